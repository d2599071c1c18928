"""Examining what the server stands on: files and their modes, places, disk space, the clock, open-file limits.

Touches nothing and opens no room: works where nothing has been set up yet, and beside a running server.
"""

import ctypes
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mssmail.flow.finding import Finding, error, note, ok, warning
from mssmail.settings.model import GIB, MIB, Settings
from mssmail.settings.place import file_of

LEAST_FREE: Final = 256 * MIB
"""Below, a burst of mail fills the disk before anybody can react: five messages of the largest size."""
LOW_FREE: Final = 2 * GIB
KEYS_LEAST_FREE: Final = 16 * MIB
LOW_FILES: Final = 4096
"""Open files a worker may need: a connection takes one, a lane and a body some."""
_TIME_ERROR: Final = 5
"""adjtimex(2): the clock isn't synchronised."""
_SQLITE: Final = "sqlite:///"


def examine(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Everything that can be told from the settings and the file system."""
    yield from _private(settings, config)
    yield from _apart(settings)
    yield from _space(settings)
    yield _clock()
    yield _files()


def _database(address: str) -> Path | None:
    return Path(address.removeprefix(_SQLITE)) if address.startswith(_SQLITE) else None


def _private(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """What nobody else may read or, for the configuration, write."""
    root = file_of(settings.keys.provider)
    files: list[tuple[str, Path | None]] = [
        ("root key", root),
        ("server's private key", settings.tls.key),
        ("data folder", settings.server.data),
        ("key store", _database(settings.keys.store)),
    ]
    for subject, path in files:
        try:
            mode = None if path is None else stat.S_IMODE(path.stat().st_mode)
        except OSError:
            mode = None
        if path is None or mode is None:
            continue  # whether it must be there is said where it is opened
        private = subject == "key store" and not path.parent.stat().st_mode & 0o077
        others = mode & 0o007 if subject == "server's private key" else mode & 0o077
        if others and not private:
            wanted = "700" if path.is_dir() else "600"
            yield error(subject, f"{path} has mode {mode:04o}: others can read it", f"chmod {wanted} {path}")
        else:
            yield ok(subject, f"{path}: mode {mode:04o}{', in a folder that is closed to others' if private else ''}")
    if config is not None and config.exists() and config.stat().st_mode & 0o022:
        mode = stat.S_IMODE(config.stat().st_mode)
        yield error("configuration file", f"{config} has mode {mode:04o}: others can change it", f"chmod 600 {config}")


def _apart(settings: Settings) -> Iterator[Finding]:
    """A backup of the mail must not hold the keys, and one disk not both the mail and what opens it."""
    keys, mail, bodies = (
        _database(settings.keys.store),
        _database(settings.store.database),
        file_of(settings.store.bodies),
    )
    apart = "move it and set keys.store: a backup of the mail that holds it opens what was erased"
    if keys is not None:
        if bodies is not None and bodies in keys.parents:
            yield error("place of the key store", f"{keys} lies among the mail's bodies", apart)
        elif mail is not None and keys.parent == mail.parent:
            yield error("place of the key store", f"{keys} lies in the folder of the mail's database", apart)
        elif settings.server.data in keys.parents:
            yield note(
                "place of the key store",
                f"{keys} lies under the data folder",
                f"leave {keys.parent} out of every backup that holds the mail",
            )
        else:
            yield ok("place of the key store", f"{keys}: apart from the mail")
    root = file_of(settings.keys.provider)
    if root is not None and settings.server.data in root.parents:
        yield warning(
            "place of the root key",
            f"{root} lies under the data folder: whoever takes the disk has both",
            "keep it on another disk, or in a token; set keys.provider",
        )


def _space(settings: Settings) -> Iterator[Finding]:
    places = {
        "disk of the mail": (_database(settings.store.database), LEAST_FREE, LOW_FREE),
        "disk of the bodies": (file_of(settings.store.bodies), LEAST_FREE, LOW_FREE),
        "disk of the key store": (_database(settings.keys.store), KEYS_LEAST_FREE, LEAST_FREE),
    }
    for subject, (path, least, low) in places.items():
        there = next((p for p in (path, *path.parents) if p.exists()), None) if path is not None else None
        if there is None:
            continue
        try:
            usage = shutil.disk_usage(there)
        except OSError as problem:
            yield note(subject, f"{there}: {problem.strerror}")
            continue
        text = f"{there}: {_size(usage.free)} free of {_size(usage.total)}"
        if usage.free < least:
            yield error(subject, text, "make room: mail is refused for the time being once the disk is full")
        elif usage.free < low:
            yield warning(subject, text, "make room soon")
        else:
            yield ok(subject, text)


def _clock() -> Finding:
    """Whether the kernel knows its clock to be synchronised (adjtimex(2), asking alone: nothing is set)."""
    subject = "clock's synchronisation"
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return note(subject, "this system doesn't tell")
    if state == _TIME_ERROR:
        return warning(
            subject,
            "the kernel says that the clock isn't synchronised; codes, certificates and terms go by it",
            "run chrony or systemd-timesyncd (a virtual machine may have its time from its host)",
        )
    return ok(subject, "synchronised") if state >= 0 else note(subject, "this system doesn't tell")


def _files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = "any number" if soft == resource.RLIM_INFINITY else f"{soft} for a process started like this one"
    if soft != resource.RLIM_INFINITY and soft < LOW_FILES:
        return note(
            "open files", text, f"LimitNOFILE={LOW_FILES} or more in the service's unit: each connection is one"
        )
    return ok("open files", text)


def _size(octets: int) -> str:
    return f"{octets / GIB:.1f} GiB" if octets >= GIB else f"{octets / MIB:.0f} MiB"


def is_owner(folder: Path) -> bool:
    """Whether this process may do as the server does: the folder's owner, or root."""
    return os.geteuid() in (0, folder.stat().st_uid)
