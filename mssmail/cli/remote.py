"""Where a verb runs: here, or on the server that this user may only ask; and the server's side of asking.

Every verb passes here once it is parsed. Who can open the data folder works on it directly; who can't is an
administrator, or nobody, and their verb goes over the admin socket with their descriptors. There it is parsed again
by the same command line, admitted, and carried out.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mssmail.cli import session
from mssmail.cli.stop import REFUSED, UNUSABLE, Stop
from mssmail.cli.verb import Invocation
from mssmail.flow.verbs import runs_here

if TYPE_CHECKING:
    from mssmail.servers.net.local import Call
    from mssmail.settings.model import Settings


def routed(command: Any, invocation: Invocation, path: tuple[str, ...] = ()) -> Any:
    """The command, with every verb below it made to pass by `_route`."""
    below = getattr(command, "commands", None)
    if below is None:
        command.callback = partial(_route, " ".join(path), command.callback, invocation)
    else:
        for name, each in below.items():
            routed(each, invocation, (*path, name))
    return command


def _route(verb: str, proceed: Callable[..., object], invocation: Invocation, **parameters: Any) -> object:
    within = session.current()
    if within is not None:
        within.admit(verb)
        return proceed(**within.taken(verb, parameters))
    place = None if runs_here(verb) else _place(invocation)
    return proceed(**parameters) if place is None else _asked(place, verb, invocation, parameters)


def _asked(place: Path, verb: str, invocation: Invocation, parameters: dict[str, Any]) -> int:
    """Have the server carry a verb out; its exit status. Raises Unanswered, Stop, OSError."""
    from mssmail.servers.net.local import call

    status, said = call(place, invocation.arguments, session.opened(verb, parameters))
    if said:
        raise Stop(status or REFUSED, said)
    return status


def _place(invocation: Invocation) -> Path | None:
    """The socket to ask at; None where this user works on the data folder directly, or is to be told what is wrong."""
    from mssmail.settings.fault import ConfigError
    from mssmail.settings.load import config_variable, load, socket_variable
    from mssmail.settings.place import SYSTEM_SOCKET

    if invocation.socket is not None:
        return invocation.socket
    file = invocation.config or config_variable()
    elsewhere = socket_variable() or SYSTEM_SOCKET
    if file is not None and not _readable(file) and not _absent(file):
        if not elsewhere.is_socket():
            raise Stop(UNUSABLE, f"{file}: isn't for you to read; an administrator gives --socket FILE")
        return elsewhere
    if file is None:
        return elsewhere if elsewhere.is_socket() else None
    try:
        settings = load(file)
    except ConfigError:
        return None
    return settings.admin.socket if _closed(settings.server.data) else None


def _readable(file: Path) -> bool:
    return os.access(file, os.R_OK)


def _absent(file: Path) -> bool:
    """Whether a file is known not to be there; in a folder that is closed to us, nobody knows."""
    try:
        file.stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _closed(folder: Path) -> bool:
    """Whether the data folder is there, and not for this user."""
    return not _absent(folder) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK)


@dataclass(frozen=True, slots=True)
class Companion:
    """The admin socket as a server starts it: listened at in its own process, served by one of `cli/companion`."""

    settings: "Settings"
    file: Path | None
    """The server's configuration, read for each call."""

    def open(self) -> int:
        """Raises OSError, with the socket's path."""
        from mssmail.servers.net.local import listening_at

        return listening_at(self.settings.admin.socket, self.settings.admin.group)

    def command(self, listener: int, life: int) -> list[str]:
        """-P: no module is taken from the folder that the server happens to be in."""
        from mssmail.settings.place import run_folder

        log = self.settings.log
        words = listener, life, run_folder(self.settings), log.level, log.format, self.file or ""
        return [sys.executable, "-P", "-m", "mssmail.cli.companion", *map(str, words)]


def serve(listener: int, life: int, folder: Path, file: Path | None) -> None:
    """Answer at a socket that another process listens at, until that one is gone."""
    from mssmail.servers.net.local import LocalService

    LocalService(listener, folder, partial(_answer, file)).live(life)


def _answer(file: Path | None, call: "Call") -> int:
    """Carry a call out in a process of its own."""
    from mssmail.app import assembled
    from mssmail.cli.main import run
    from mssmail.cli.verb import faults_told, guarded, hush
    from mssmail.settings.load import load

    hush()
    try:
        with guarded(), faults_told():
            settings = load(*([] if file is None else [file]))
        with guarded(), assembled(settings) as assembly:
            within = session.Session(assembly, file, call.uid, call.user, call.files, call.folder)
            with within.entered():
                return run(call.arguments)
    except Stop as stop:
        return _unable(stop)


def _unable(stop: Stop) -> int:
    """The server itself isn't fit; its faults name files, and are its operator's affair."""
    sys.stderr.write("mssmail: the server can't carry this out now; its operator finds out by `mssmail doctor`\n")
    sys.stderr.flush()
    return stop.status or UNUSABLE
