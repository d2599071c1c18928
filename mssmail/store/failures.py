"""Rows of failed sign-ins, by a digest of the source address or the login. What they hold is sealed by `identity`."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.store.interface import Statement, Transaction
from mssmail.store.schema import failures


@dataclass(frozen=True, slots=True)
class FailureRow:
    """Failures of one address or login."""

    subject: bytes
    sealed: bytes | None
    count: int
    last_at: int
    until: int
    """Locked until then; 0 where it isn't."""


def _upsert(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    names = ("subject", "sealed", "count", "last_at", "until")
    clause = make(failures).values({name: bindparam(name) for name in names})
    return clause.on_conflict_do_update(
        index_elements=[failures.c.subject], set_={name: clause.excluded[name] for name in names[1:]}
    )


_COLUMNS = (failures.c.subject, failures.c.sealed, failures.c["count"], failures.c.last_at, failures.c.until)
_SET = Statement(_upsert)
_GET = Statement(select(*_COLUMNS).where(failures.c.subject == bindparam("which")))
_ALL = Statement(select(*_COLUMNS).order_by(failures.c.last_at.desc()))
_DROP = Statement(delete(failures).where(failures.c.subject == bindparam("which")))
_DROP_ALL = Statement(delete(failures))
_EXPIRE = Statement(
    delete(failures).where(failures.c.last_at < bindparam("before"), failures.c.until < bindparam("now"))
)
_PAGE = 1000


def get(tx: Transaction, subject: bytes) -> FailureRow | None:
    row = tx.run(_GET, which=subject).fetchone()
    return None if row is None else FailureRow(*row)


def put_row(tx: Transaction, row: FailureRow) -> None:
    """Write what is known of a subject now, in place of what was."""
    tx.run(_SET, subject=row.subject, sealed=row.sealed, count=row.count, last_at=row.last_at, until=row.until)


def drop(tx: Transaction, subject: bytes) -> bool:
    return tx.run(_DROP, which=subject).rowcount == 1


def drop_all(tx: Transaction) -> int:
    return tx.run(_DROP_ALL).rowcount


def every(tx: Transaction) -> Iterator[FailureRow]:
    """All of them, the latest first."""
    cursor = tx.run(_ALL)
    while rows := cursor.fetchmany(_PAGE):
        yield from (FailureRow(*row) for row in rows)


def expire(tx: Transaction, before: int) -> None:
    """Forget what counts no more: the last failure before `before`, and no lock."""
    tx.run(_EXPIRE, before=before, now=int(tx.now))
