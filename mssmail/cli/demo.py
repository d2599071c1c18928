"""`mssmail demo`: a whole system on this machine for a first look. What it does is in the room `demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.serve import check_startable, keep
from mssmail.cli.verb import UNUSABLE, Stop, config_of, faults_told

if TYPE_CHECKING:
    from mssmail.settings.model import Tls, Trust


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
    from mssmail.demo.apart import Lost
    from mssmail.demo.run import Demo, NotADemo
    from mssmail.settings.reload import Configuration

    wanted = Demo(data.absolute(), port_base, accounts, workers)
    file = config_of(ctx)
    try:
        with faults_told(), screen.progress("preparing") as advance:
            prepared = wanted.prepare(file, fresh=fresh, on_progress=lambda done: advance(done, 1.0))
    except (NotADemo, Lost) as error:
        raise Stop(UNUSABLE, str(error)) from None
    check_startable(prepared.settings)
    raise typer.Exit(keep(Configuration(prepared.settings, prepared.read_again), prepared.announce, prepared.config))


def demo_hierarchy(folder: Path, name: str) -> "tuple[Tls, Trust]":
    """A demo's CAs in a folder, a server certificate by them for this name, and their anchors: for `mssmail init`."""
    from mssmail.base.clock import SystemClock
    from mssmail.demo.pki import DemoPki
    from mssmail.files import write_whole
    from mssmail.settings.model import Tls, Trust

    pki = DemoPki.create_or_load(folder, SystemClock())
    leaf = pki.server((name, "localhost", "127.0.0.1", "::1"))
    chains = {}
    for authority in (pki.persons, pki.organisations):
        chains[authority.slug] = folder / f"{authority.slug}-chain.pem"
        write_whole(chains[authority.slug], authority.pem + pki.root.pem)
    trust = Trust(persons_ca=chains["persons"], organisations_ca=chains["organisations"], crls=pki.crls)
    return Tls(leaf.cert, leaf.key), trust
