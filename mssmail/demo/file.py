"""Files of the demo, put in place whole and durable, readable by their owner alone."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, sync, rename, sync the folder: a reader sees the old file or the new one. Mode 0600."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
