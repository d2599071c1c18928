"""The call of an administrator that this process carries out for them at the admin socket, where it does.

Here the settings are the server's, the house is open already, and whoever calls has been named by the operating
system. A verb is admitted, by `flow`, once it is parsed and before anything of it runs.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mssmail.cli.stop import UNUSABLE, Stop

if TYPE_CHECKING:
    from mssmail.app import Assembly
    from mssmail.flow.administer import Caller

INPUTS: Final = {"cert inspect": "file", "directory import": "files", "trust import": "file"}
"""Verbs that read files, with the parameter that names them: the caller opens those, and the server takes a copy.
No other path is taken over the socket."""
MAX_FILE_OCTETS: Final = 4 << 30
"""Thrice the national extract of professionals, unpacked."""
_PIECE: Final = 1 << 24

_current: ContextVar["Session | None"] = ContextVar("session", default=None)


def current() -> "Session | None":
    """The call that is carried out; None where somebody runs the command line by themselves."""
    return _current.get()


@dataclass(slots=True)
class Session:
    """A call at the socket."""

    assembly: "Assembly"
    config: Path | None
    """The server's own."""
    uid: int
    user: str
    files: tuple[int, ...]
    folder: Path
    """Of this call alone, not there yet; removed by whoever gave it."""
    caller: "Caller | None" = None
    """Once a verb was admitted."""

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def admit(self, verb: str) -> None:
        """Raises Refusal(NOT_PERMITTED)."""
        import asyncio

        from mssmail.flow.administer import admit

        self.caller = asyncio.run(admit(self.assembly.house, self.uid, self.user, verb))

    def taken(self, verb: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters, with copies in place of the files that the caller opened. Raises Stop.

        A path is never opened with the server's rights.
        """
        read = INPUTS.get(verb)
        for name, value in parameters.items():
            if name != read and any(isinstance(each, Path) for each in _each(value)):
                raise Stop(UNUSABLE, f"--{name} isn't taken over the admin socket: redirect the output instead")
        named = _named(verb, parameters)
        if len(named) != len(self.files):
            raise Stop(UNUSABLE, "the files named aren't those that came")
        if read is None:
            return parameters
        copies = [
            self._copy(number, path.name, fd) for number, (path, fd) in enumerate(zip(named, self.files, strict=True))
        ]
        single = isinstance(parameters[read], Path)
        return {**parameters, read: copies[0] if single else copies}

    def _copy(self, number: int, name: str, fd: int) -> Path:
        """A copy under the file's own name, by which extracts are told apart."""
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise Stop(UNUSABLE, "a file without a name")
        place = self.folder / str(number)
        place.mkdir(parents=True, mode=0o700)
        left = MAX_FILE_OCTETS
        with open(fd, "rb", buffering=0) as source, (place / name).open("xb") as target:
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0 or shutil.disk_usage(place).free < len(piece) + _PIECE:
                    raise Stop(UNUSABLE, f"{name}: too large to be taken over the admin socket")
                target.write(piece)
        return place / name


def _each(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _named(verb: str, parameters: dict[str, Any]) -> list[Path]:
    """The files that a verb is to read."""
    read = INPUTS.get(verb)
    return [] if read is None else [each for each in _each(parameters[read]) if isinstance(each, Path)]


def opened(verb: str, parameters: dict[str, Any]) -> list[int]:
    """The files that a verb is to read, opened with the rights of whoever calls. Raises OSError."""
    return [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in _named(verb, parameters)]
