"""Files put in place whole and durable: a reader sees the old one or the new one, before and after a crash."""

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write beside, sync, rename, sync the folder. The umask takes from `mode`. Raises OSError."""
    put_in_place(write_beside(path, content, mode), path)


def swap(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write beside and rename: whole, too, but what a crash of the machine leaves may be empty. Raises OSError."""
    _written(path, content, mode, durable=False).replace(path)


def write_beside(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """Write the file that is to stand under `path`, synced, under another name; that name. Raises OSError."""
    return _written(path, content, mode, durable=True)


def _written(path: Path, content: bytes, mode: int, *, durable: bool) -> Path:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(handle)
    return new


def put_in_place(new: Path, path: Path, previous: Path | None = None) -> None:
    """Give a synced file its name. `previous`: where what stood there before, if anything, is kept. Raises OSError."""
    if previous is not None:
        spare = previous.with_name(previous.name + ".new")
        spare.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(path, spare)
            spare.replace(previous)
    new.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
