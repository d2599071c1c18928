"""The database engine, chosen by its address. SQLite today; PostgreSQL has its place in `connect`.

Every connection is set the same way here: durable commits, sealed octets overwritten when deleted, no temporary files.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from mssmail.base.refusal import Reason, Refusal
from mssmail.store.interface import Driver
from mssmail.store.schema import SCHEMA_VERSION, metadata

BUSY_TIMEOUT_MS = 20_000
"""Several workers take turns at one SQLite file; the slowest turn seen with four was 0.7 s."""
_LOW_SPACE_OCTETS = 1 << 20


class UnsupportedDatabase(Exception):
    """The address names a database that this version doesn't speak; the text says which it does."""


def make_engine(address: str) -> Engine:
    """An engine for the mail's database; raises UnsupportedDatabase."""
    url = make_url(address)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise UnsupportedDatabase(f"store.database: {url.get_backend_name()} isn't spoken yet; give sqlite:///PATH")
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _set_mail)
    return engine


def make_key_engine(address: str) -> Engine:
    """An engine for the key store: no write-ahead log that would outlive a destroyed key, and overwriting deletes."""
    url = make_url(address)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise UnsupportedDatabase(f"keys.store: {url.get_backend_name()} isn't spoken yet; give sqlite:///PATH")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _set_keys)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _set_mail(raw: Any, _record: object) -> None:
    connection = cast(sqlite3.Connection, raw)
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=FAST",
        "temp_store=MEMORY",
        "cache_size=-16384",
        "wal_autocheckpoint=2000",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _set_keys(raw: Any, _record: object) -> None:
    connection = cast(sqlite3.Connection, raw)
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=DELETE",
        "synchronous=EXTRA",
        "secure_delete=ON",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def prepare(engine: Engine) -> None:
    """Make the tables where missing. Raises UnsupportedDatabase where a newer version made them."""
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "INSERT INTO meta (name, value) VALUES ('schema', ?) ON CONFLICT DO NOTHING", (str(SCHEMA_VERSION),)
        )
        found = connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'schema'").scalar_one()
        connection.commit()
    if int(found) != SCHEMA_VERSION:
        raise UnsupportedDatabase(f"the mail's database has schema {found}, this version speaks {SCHEMA_VERSION}")


def connector(engine: Engine) -> Callable[[], Driver]:
    """A function that opens a connection of the driver's own, in autocommit: lanes say BEGIN themselves."""

    def connect() -> Driver:
        proxied = engine.raw_connection()
        raw = proxied.dbapi_connection
        proxied.detach()
        return cast(Driver, raw)

    return connect


def in_transaction(driver: Driver) -> bool:
    """Whether the transaction that was begun still stands: on a full disk SQLite rolls back all of it by itself."""
    return bool(getattr(driver, "in_transaction", False))


def refusal_of(error: BaseException, folder: Path | None = None) -> Refusal | None:
    """What a driver's error means to the domain; None where it is a bug of ours."""
    if isinstance(error, Refusal):
        return error
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code in _DISK and _is_full(folder)):
        return Refusal(Reason.STORAGE_FULL, f"database: {error.sqlite_errorname}")
    if code in _DISK or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Refusal(Reason.UNAVAILABLE, f"database: {error.sqlite_errorname}")
    return None


_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM)


def _is_full(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        space = os.statvfs(folder)
    except OSError:
        return False
    return space.f_bavail * space.f_frsize < _LOW_SPACE_OCTETS
