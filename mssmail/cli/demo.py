"""`mssmail demo`: a whole system on this machine for a first look. What it does is in the room `demo`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.serve import check_startable, keep
from mssmail.cli.verb import UNUSABLE, Stop, config_of, faults_told

if TYPE_CHECKING:
    from mssmail.demo.run import Prepared
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
    federation: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=9,
            help="So many operators that write to each other, 2 to 9: each 1,000 ports further on, "
            "with its own folder under operators/.",
        ),
    ] = 0,
) -> None:
    """Start a whole system on this machine: certificates, directory, accounts, all listeners. Ctrl-C stops it."""
    from mssmail.demo.run import Demo
    from mssmail.settings.reload import Configuration

    if federation == 1:
        raise Stop(UNUSABLE, "--federation 1: one operator is the demo without --federation")
    file = config_of(ctx)
    if federation:
        raise typer.Exit(_federation(file, (data.absolute(), port_base, accounts, workers, federation), fresh=fresh))
    wanted = Demo(data.absolute(), port_base, accounts, workers)
    with _preparing() as advance:
        prepared = wanted.prepare(file, fresh=fresh, on_progress=advance)
    check_startable(prepared.settings)
    raise typer.Exit(keep(Configuration(prepared.settings, prepared.read_again), prepared.announce, prepared.config))


def _federation(file: Path | None, wanted: tuple[Path, int, int, int, int], *, fresh: bool) -> int:
    """Serve as several operators; `wanted`: as `Federation` takes it."""
    from mssmail.demo.crew import Crew
    from mssmail.demo.federation import Federation

    with contextlib.ExitStack() as held:
        with _preparing() as advance:
            federation = held.enter_context(contextlib.closing(Federation(*wanted)))
            operators = federation.prepare(file, fresh=fresh, on_progress=advance)
        for each in operators:
            check_startable(each.settings)
        return Crew(operators, federation.ports, _serve).run()


def _serve(one: "Prepared", on_ready: Callable[[], None]) -> int:
    """One operator of several, in a process of its own."""
    from mssmail.settings.reload import Configuration

    return keep(Configuration(one.settings, one.read_again), lambda places: on_ready(), one.config)


@contextlib.contextmanager
def _preparing() -> Iterator[Callable[[float], None]]:
    """Show the progress, and turn what stands in the way into one line."""
    from mssmail.demo.apart import Lost
    from mssmail.demo.run import NotADemo

    try:
        with faults_told(), screen.progress("preparing") as advance:
            yield lambda done: advance(done, 1.0)
    except (NotADemo, Lost) as error:
        raise Stop(UNUSABLE, str(error)) from None


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
