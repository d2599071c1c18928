"""The body store: sealed chunks of bodies too large for the database, one file each, durable before they are named.

A file is written under `incoming/`, synced, then renamed to its body's number and its folder synced. A file whose body
has no row is a submission that never committed: it is spared for an hour, then swept.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from mssmail.base.ids import BodyId
from mssmail.base.refusal import Reason, Refusal

SPARED_S = 3600


class Upload(Protocol):
    """Sealed octets on their way to the store; every method may block."""

    def write(self, sealed: bytes) -> None: ...
    def commit(self, body: BodyId) -> None:
        """Make it durable under its number."""

    def abort(self) -> None: ...


class Bodies(Protocol):
    """Where large bodies lie; every method may block. Raises Refusal(STORAGE_FULL or UNAVAILABLE)."""

    def begin(self) -> Upload: ...
    def read(self, body: BodyId, start: int, count: int) -> bytes | None:
        """Sealed octets [start, start + count); None where the body is gone."""

    def remove(self, body: BodyId) -> None: ...
    def sweep(self, before: float) -> Iterator[BodyId]:
        """Bodies whose file is older than `before`; removes abandoned uploads of that age by itself."""


class FileBodies:
    """A folder of files, spread over 256 subfolders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, body: BodyId) -> Path:
        name = f"{body:016x}"
        return self._folder / name[-2:] / name

    def begin(self) -> "FileUpload":
        try:
            return FileUpload(self, self._incoming / os.urandom(12).hex())
        except OSError as error:
            raise disk_refusal(error) from error

    def read(self, body: BodyId, start: int, count: int) -> bytes | None:
        try:
            fd = os.open(self.path(body), os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_refusal(error) from error
        try:
            return os.pread(fd, count, start)
        except OSError as error:
            raise disk_refusal(error) from error
        finally:
            os.close(fd)

    def remove(self, body: BodyId) -> None:
        try:
            self.path(body).unlink(missing_ok=True)
            _sync_folder(self.path(body).parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_refusal(error) from error

    def sweep(self, before: float) -> Iterator[BodyId]:
        for entry in list(self._incoming.iterdir()):
            if entry.stat().st_mtime < before:
                entry.unlink(missing_ok=True)
        for folder in list(self._folder.iterdir()):
            if folder.name == "incoming" or not folder.is_dir():
                continue
            for entry in list(folder.iterdir()):
                if entry.stat().st_mtime < before:
                    yield BodyId(int(entry.name, 16))


class FileUpload:
    """A file under `incoming/` until it is committed."""

    def __init__(self, store: FileBodies, path: Path) -> None:
        self._store = store
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def write(self, sealed: bytes) -> None:
        try:
            view = memoryview(sealed)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise disk_refusal(error) from error

    def commit(self, body: BodyId) -> None:
        target = self._store.path(body)
        try:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
            new = not target.parent.is_dir()
            target.parent.mkdir(exist_ok=True, mode=0o700)
            self._path.rename(target)
            _sync_folder(target.parent)
            if new:
                _sync_folder(target.parent.parent)
        except OSError as error:
            self.abort()
            raise disk_refusal(error) from error

    def abort(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def disk_refusal(error: OSError) -> Refusal:
    """What a failing disk means to the domain."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Refusal(
        Reason.STORAGE_FULL if full else Reason.UNAVAILABLE, f"disk: {errno.errorcode.get(error.errno or 0)}"
    )
