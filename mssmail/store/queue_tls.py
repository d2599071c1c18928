"""How attempts over TLS went, counted by day, domain and result: the figures of a report (RFC 8460)."""

from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.store.interface import Statement, Transaction
from mssmail.store.schema import queue_domains, tls_results

DAY_S: Final = 86_400
KEPT_DAYS: Final = 60
"""A report is of one day; two months are enough to look into what an operator asks about."""

_t = tls_results.c


def _count(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(tls_results).values(
        day=bindparam("today"), domain_digest=bindparam("digest"), result=bindparam("how"), count=1
    )
    return clause.on_conflict_do_update(index_elements=["day", "domain_digest", "result"], set_={"count": _t.count + 1})


_COUNT = Statement(_count)
_OF_DAY = Statement(
    select(_t.domain_digest, queue_domains.c.sealed, _t.result, _t.count)
    .join(queue_domains, queue_domains.c.domain_digest == _t.domain_digest)
    .where(_t.day == bindparam("which"))
)
_FORGET = Statement(delete(tls_results).where(_t.day < bindparam("before")))


def count(tx: Transaction, digest: bytes, result: str) -> None:
    """One more attempt."""
    tx.run(_COUNT, today=int(tx.now) // DAY_S, digest=digest, how=result)


def of_day(tx: Transaction, day: int) -> list[tuple[bytes, bytes, str, int]]:
    """Domain's digest and sealed name, result and count."""
    return [(row[0], row[1], row[2], row[3]) for row in tx.run(_OF_DAY, which=day).fetchall()]


def forget(tx: Transaction) -> None:
    """Forget what is older than KEPT_DAYS."""
    tx.run(_FORGET, before=int(tx.now) // DAY_S - KEPT_DAYS)
