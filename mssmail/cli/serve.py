"""`mssmail serve`: the server in the foreground, until SIGTERM or Ctrl-C.

All that can be wrong beforehand is told before any port is open: the configuration's faults, a missing or wrong root
key, an unreadable certificate, another server on the same data folder.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import remote
from mssmail.cli.verb import UNUSABLE, Stop, config_of, settings_of

if TYPE_CHECKING:
    from mssmail.servers.net.listener import Place
    from mssmail.settings.model import Settings
    from mssmail.settings.reload import Configuration

WORKERS = Annotated[int | None, typer.Option(min=1, max=256, help="Worker processes; else server.workers.")]


def serve(ctx: typer.Context, workers: WORKERS = None) -> None:
    """Run the server in the foreground."""
    from mssmail.settings.reload import Configuration

    settings = settings_of(ctx)
    if workers is not None:
        settings = replace(settings, server=replace(settings.server, workers=workers))
    check_startable(settings)
    file = config_of(ctx)

    def read() -> "Settings":
        from mssmail.settings.load import load

        again = load(*([] if file is None else [file]))
        return again if workers is None else replace(again, server=replace(again.server, workers=workers))

    def on_ready(places: "dict[str, Place]") -> None:
        from mssmail.metrics.logs import get_logger

        get_logger("serve").info("serving", **{name: place.port for name, place in places.items()})

    raise typer.Exit(keep(Configuration(settings, read), on_ready, file))


def check_startable(settings: "Settings") -> None:
    """Open the house once and close it, and read every file that a start needs. Raises Stop(2), Unusable, Refusal.

    In this process, before any worker is forked: threads and connections must not be carried over.
    """
    from mssmail.app import assembled
    from mssmail.servers.net.tls import server_context
    from mssmail.settings.check import check_files

    faults = check_files(settings)
    if faults:
        raise Stop(UNUSABLE, *map(str, faults))
    with assembled(settings) as assembly:
        assembly.certificates()
    try:
        server_context(settings)
    except (OSError, ValueError) as error:
        raise Stop(UNUSABLE, f"tls.certificate, tls.key: can't be used together: {error.args[-1]}") from None


def keep(configuration: "Configuration", on_ready: "Callable[[dict[str, Place]], None]", file: Path | None) -> int:
    """Log, open the listeners, and serve; the exit status. Raises AlreadyRunning, PortTaken, NeverReady, OSError.

    `file`: the configuration that administrators' commands read, each anew.
    """
    from mssmail.app import run_loop, take_settings, wanted_places, worker_of
    from mssmail.metrics import gather, logs
    from mssmail.settings.place import run_folder
    from mssmail.supervise import run

    settings = configuration.settings
    logs.configure(settings.log.level, settings.log.format)
    folder = run_folder(settings)
    gather.prepare(folder)

    def on_worker_death(slot: int) -> None:
        gather.retire(folder, f"worker-{slot}")

    return run(
        worker_of(configuration),
        run_loop,
        workers=settings.server.workers,
        wanted=wanted_places(settings),
        run_folder=folder,
        on_ready=on_ready,
        on_worker_death=on_worker_death,
        on_reload=lambda: take_settings(configuration),
        beside=remote.Companion(settings, None if file is None else file.absolute()),
    )
