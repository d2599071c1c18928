"""Where things lie: relative paths made absolute, and the places under the data folder filled in.

Paths in a file are relative to that file's folder (`load` sees to it). What stands under the data folder by default
is named here alone: `mail.db`, `bodies/`, `keys/keys.db`, `directory/`, `revocation/`, `admin.sock`,
`run/`.
"""

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from mssmail.settings.model import Settings

RUN_FOLDER = "run"
"""Sockets, process ids and shared counters; nothing in it outlives a stop."""
SYSTEM_SOCKET = Path("/run/mssmail/admin.sock")
"""Where an administrator's command looks for the server whose configuration it can't read."""


def place(settings: Settings) -> Settings:
    """Return the settings with the data folder absolute and all empty places filled in. Idempotent; touches no disk."""
    data = Path.cwd() / settings.server.data
    folder, lists = settings.directory.folder, settings.trust.crl_folder
    white = settings.trust_list.folder
    socket = settings.admin.socket
    return replace(
        settings,
        server=replace(settings.server, data=data),
        store=replace(
            settings.store,
            database=_database(settings.store.database, data, "mail.db"),
            bodies=_file_url(settings.store.bodies or "file:bodies", data),
        ),
        keys=replace(
            settings.keys,
            provider=_file_url(settings.keys.provider, data),
            store=_database(settings.keys.store, data, "keys/keys.db"),
        ),
        directory=replace(settings.directory, folder=data / "directory" if folder == Path() else folder),
        trust=replace(settings.trust, crl_folder=data / "revocation" if lists == Path() else lists),
        trust_list=replace(settings.trust_list, folder=data / "trust" if white == Path() else white),
        admin=replace(settings.admin, socket=data / "admin.sock" if socket == Path() else socket),
    )


def run_folder(settings: Settings) -> Path:
    """The folder of what lives only while the server runs."""
    return settings.server.data / RUN_FOLDER


def web_address(settings: Settings, port: int) -> str:
    """`https://host[:port]`, by which users and programs reach the HTTPS port, which listens at `port`."""
    if settings.web.address:
        return settings.web.address.rstrip("/")
    return f"https://{settings.server.name}" + ("" if port == 443 else f":{port}")


def _database(address: str, data: Path, default: str) -> str:
    """An SQLAlchemy address whose SQLite file is absolute; a relative one lies under the data folder."""
    prefix = "sqlite:///"
    if not address:
        return f"{prefix}{data / default}"
    file = address.removeprefix(prefix)
    if file == address or not file or file == ":memory:":
        return address
    return f"{prefix}{data / file}"


def _file_url(address: str, data: Path) -> str:
    """`file:relative` placed under the data folder as `file:///…` (RFC 8089); anything else as it is."""
    if not address.startswith("file:") or address.startswith("file:/"):
        return address
    return (data / unquote(address.removeprefix("file:"))).as_uri()


def file_of(address: str) -> Path | None:
    """The path that a `file:///…` address names, percent-encoding undone (RFC 8089 §2); None for another scheme."""
    if not address.startswith("file:///"):
        return None
    return Path(unquote(address.removeprefix("file://")))
