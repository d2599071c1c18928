"""`mssmail demo`: a whole system on this machine for a first look. What it does is in the room `demo`."""

from pathlib import Path
from typing import Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.serve import check_startable, keep
from mssmail.cli.verb import UNUSABLE, Stop, config_of, faults_told


def demo(
    ctx: typer.Context,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Everything the demo writes.")] = Path("var/demo"),
    port_base: Annotated[
        int, typer.Option(min=0, max=64_000, help="The first of its ports: base+25 to base+993; 0: the system chooses.")
    ] = 20_000,
    accounts: Annotated[int, typer.Option(min=0, max=100_000, help="So many more boxes beside the named ones.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Empty the folder first.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
) -> None:
    """Start a whole system on this machine: certificates, directory, accounts, all listeners. Ctrl-C stops it."""
    from mssmail.demo.run import Demo, NotADemo
    from mssmail.settings.reload import Configuration

    wanted = Demo(data.absolute(), port_base, accounts, workers)
    file = config_of(ctx)
    try:
        with faults_told(), screen.progress("preparing") as advance:
            prepared = wanted.prepare(file, fresh=fresh, on_progress=lambda done: advance(done, 1.0))
    except NotADemo as error:
        raise Stop(UNUSABLE, str(error)) from None
    check_startable(prepared.settings)
    raise typer.Exit(keep(Configuration(prepared.settings, prepared.read_again), prepared.announce))
