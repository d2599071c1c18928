"""How the mail's database is: a bounded check of its structure, and the dates by which its keepers are judged."""

import sqlite3
from collections.abc import Callable
from typing import cast

from sqlalchemy import bindparam, func, select

from mssmail.store.interface import Statement, Transaction
from mssmail.store.schema import chains, events, leases

_LAST_EVENT = Statement(select(func.max(events.c.at_ms)))
_OLDEST_UNTIED = Statement(
    select(func.min(events.c.at_ms))
    .select_from(chains.join(events, events.c.chain_id == chains.c.chain_id))
    .where(chains.c["count"] != chains.c.tied_count, events.c.sequence > chains.c.tied_count)
)
_LEASE = Statement(select(leases.c.until_ms).where(leases.c.name == bindparam("which")))
_STEPS = 20_000
"""SQLite's instructions between two looks at the time: some milliseconds."""
_FAULTS = 10


def quick_check(tx: Transaction, within_s: float, monotonic: Callable[[], float]) -> tuple[str, ...] | None:
    """Faults of the database's structure, none where it is sound; None where it took longer than `within_s`.

    SQLite's `quick_check`: every page and row, not whether indexes agree. Another database checks itself: no faults.
    """
    if tx.dialect.name != "sqlite":
        return ()
    connection = cast(sqlite3.Connection, tx.driver)
    until = monotonic() + within_s
    connection.set_progress_handler(lambda: monotonic() > until, _STEPS)
    try:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_FAULTS})").fetchall()]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return (error.sqlite_errorname,)
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return () if found == ["ok"] else tuple(found)


def last_event_ms(tx: Transaction) -> int | None:
    """When the latest of the trail's events happened."""
    row = tx.run(_LAST_EVENT).fetchone()
    return None if row is None else row[0]


def oldest_untied_ms(tx: Transaction) -> int | None:
    """When the first of the events happened that no checkpoint has signed yet."""
    row = tx.run(_OLDEST_UNTIED).fetchone()
    return None if row is None else row[0]


def lease_until_ms(tx: Transaction, name: str) -> int:
    """Until when a lease is held; 0 where nobody ever held it."""
    row = tx.run(_LEASE, which=name).fetchone()
    return 0 if row is None else int(row[0])
