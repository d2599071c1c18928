"""`mssmail doctor`: what is wrong with this server or soon will be, each finding with its remedy.

Goes as far as it can: with a broken configuration it tells that alone; without a running server, or before the first
start, it examines what is there. Changes nothing, and makes nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, REFUSED, config_of, hush

if TYPE_CHECKING:
    from mssmail.flow.finding import Finding
    from mssmail.settings.model import Settings


def doctor(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Show what is in order too.")] = False,
    json: JSON = False,
) -> None:
    """Examine the server: configuration, certificates, clock, directory, disk, keys, database, trail, ports.

    Status 1 where there is an error.
    """
    from mssmail.flow.finding import Severity

    hush()
    with screen.progress("examining"):
        found = list(_findings(config_of(ctx)))
    if json:
        screen.as_json([finding.as_json() for finding in found])
    else:
        _show(found, everything=all_)
    if any(finding.severity is Severity.ERROR for finding in found):
        raise typer.Exit(REFUSED)


def _show(found: "list[Finding]", *, everything: bool) -> None:
    from mssmail.flow.finding import Severity

    shown = [f for f in found if everything or f.severity is not Severity.OK]
    for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE, Severity.OK):
        for finding in (f for f in shown if f.severity is severity):
            screen.line(f"{severity.value:<8} {finding.subject}: {screen.printable(finding.text)}")
            if finding.remedy:
                screen.line(f"{'':<8} → {screen.printable(finding.remedy)}")
    counts = {s: sum(f.severity is s for f in found) for s in Severity}
    screen.line(
        f"{len(found)} things examined: {counts[Severity.ERROR]} errors, {counts[Severity.WARNING]} warnings, "
        f"{counts[Severity.NOTE]} notes"
    )


def _findings(file: Path | None) -> "Iterator[Finding]":
    from mssmail.base.clock import SystemClock
    from mssmail.flow import doctor, premises
    from mssmail.flow.finding import error, ok
    from mssmail.settings.check import check_files
    from mssmail.settings.fault import ConfigError
    from mssmail.settings.load import load

    try:
        settings = load(*([] if file is None else [file]))
    except ConfigError as problem:
        for fault in problem.faults:
            yield error("configuration", str(fault), "mssmail config reference tells what may stand there")
        return
    faults = check_files(settings)
    for fault in faults:
        yield error("configuration", str(fault), "give a file that is there, and that the server may read")
    if not faults:
        yield ok("configuration", f"{file or 'environment'}: sound")
        yield from _pair(settings)
    yield from premises.examine(settings, file)
    yield from doctor.examine_certificates(settings, SystemClock())
    yield from _ports(settings)
    yield from _house(settings)


def _pair(settings: "Settings") -> "Iterator[Finding]":
    from mssmail.flow.finding import error
    from mssmail.servers.net.tls import server_context

    try:
        server_context(settings)
    except (OSError, ValueError):
        text = "tls.certificate and tls.key, or the anchors, can't be used together"
        yield error("server's certificate", text, "give the key that the certificate was made for")


def _ports(settings: "Settings") -> "Iterator[Finding]":
    """Beside a server each port must answer, without one each must be free."""
    from mssmail.app import wanted_places
    from mssmail.flow.finding import error, note, ok
    from mssmail.servers.net.listener import PortTaken, accepts, reserve
    from mssmail.settings.place import run_folder
    from mssmail.supervise import holder

    pid = holder(run_folder(settings))
    yield note("server", "not running") if pid is None else ok("server", f"running, process {pid}")
    if pid is not None:
        yield _socket(settings.admin.socket)
    for place in wanted_places(settings):
        where = f"{place.name}, {place.host or '*'}:{place.port}"
        if not place.port:
            continue
        if pid is not None:
            if accepts(place):
                yield ok("ports", f"{where}: answers")
            else:
                restart = "restart the server: it was started with another configuration, or is stopping"
                yield error("ports", f"{where}: nobody answers although the server runs", restart)
            continue
        try:
            reserve(place.name, place.host, place.port)[1].close()
        except PortTaken as problem:
            yield error("ports", str(problem), f"stop what has it (ss -ltnp), or set listen.{place.name}")
        else:
            yield ok("ports", f"{where}: free")


def _socket(socket: Path) -> "Finding":
    """Whether administrators can reach a running server."""
    from mssmail.flow.finding import error, note, ok

    if not socket.is_socket():
        return error("admin socket", f"{socket} isn't there although the server runs", "restart the server")
    closed = [folder for folder in socket.parents if not folder.stat().st_mode & 0o011]
    if closed:
        remedy = "where others administer, set admin.socket to a folder that they can enter, as /run/mssmail/admin.sock"
        return note("admin socket", f"{socket}: nobody but the server's user can enter {closed[0]}", remedy)
    return ok("admin socket", f"{socket}: is there")


def _house(settings: "Settings") -> "Iterator[Finding]":
    """What can only be told from within the open house."""
    import asyncio

    from mssmail.app import Unusable, assembled
    from mssmail.base.refusal import Refusal
    from mssmail.cli.words import sentence
    from mssmail.flow import doctor
    from mssmail.flow.finding import error, note, ok
    from mssmail.flow.premises import is_owner
    from mssmail.settings.place import file_of, run_folder
    from mssmail.supervise import holder

    data, root = settings.server.data, file_of(settings.keys.provider)
    if root is not None and not root.exists():
        remedy = "restore it: no mail can be opened without. Before the first start: mssmail keys init"
        yield error("root key", f"{root} is missing", remedy)
        return
    if not (data.is_dir() and any(data.glob("mail.db"))) and settings.store.database.endswith(f"{data}/mail.db"):
        yield note("database", f"{data} holds no mail yet", "the first start makes what is missing")
        return
    if not is_owner(data):
        yield error("data folder", f"{data} belongs to another user", "run this as the server's user, or as root")
        return
    try:
        with assembled(settings) as assembly:
            yield ok("key store", "opens with this root key")
            yield doctor.examine_directory(assembly.house)
            yield from doctor.examine_trust(assembly.house)
            running = holder(run_folder(settings)) is not None
            yield from asyncio.run(doctor.examine_store(assembly.house, running=running))
    except Unusable as problem:
        yield error("key store", str(problem), "give the root key that it was made with")
    except Refusal as problem:
        yield error("database", sentence(problem), "see what was found above")
    except Exception as problem:  # noqa: BLE001 - a damaged database may fail anywhere, and must be told as one
        text = f"can't be opened or read: {type(problem).__name__}"
        yield error("database", text, "stop the server, keep a copy, restore the last backup")
