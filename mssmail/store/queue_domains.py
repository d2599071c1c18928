"""Where queued mail goes: when something is due for a domain, and how its operator fares.

A domain whose server fails isn't looked at before `retry_at`, whatever waits for it; `next_at` says when it is looked
at next, so that the few that have something due are found among all.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, case, func, null, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.store.interface import Statement, Transaction
from mssmail.store.queue_state import State
from mssmail.store.schema import queue_domains, queue_recipients

IDLE: Final = 1 << 60
"""`next_at` of a domain that nothing waits for."""

_r, _d = queue_recipients.c, queue_domains.c


def _domain(dialect: str) -> ClauseElement:
    """A domain's row, or the one that is there told that something is due."""
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(queue_domains).values(
        domain_digest=bindparam("digest"), next_at=bindparam("due"), sealed=bindparam("sealed")
    )
    due = clause.excluded.next_at
    return clause.on_conflict_do_update(
        index_elements=["domain_digest"],
        set_={"next_at": case((due < _d.retry_at, _d.retry_at), else_=due)},
        where=due < _d.next_at,
    )


_PUT_DOMAIN = Statement(_domain)
_BRING_FORWARD = Statement(
    update(queue_domains)
    .where(_d.domain_digest == bindparam("digest"), _d.next_at > bindparam("due"))
    .values(next_at=case((bindparam("due") < _d.retry_at, _d.retry_at), else_=bindparam("due")))
)
_FIRST_DUE = Statement(
    select(func.min(_r.due_at)).where(_r.domain_digest == bindparam("digest"), _r.state == int(State.WAITING))
)
_SET_NEXT = Statement(
    update(queue_domains)
    .where(_d.domain_digest == bindparam("digest"))
    .values(next_at=case((bindparam("due") < _d.retry_at, _d.retry_at), else_=bindparam("due")))
)
_NEXT = Statement(select(func.min(_d.next_at)).where(_d.paused == 0))
_DUE_DOMAINS = Statement(
    select(_d.domain_digest, _d.sealed, _d.failures)
    .where(_d.paused == 0, _d.next_at <= bindparam("now"))
    .order_by(_d.next_at)
    .limit(bindparam("count"))
)
_BEGIN_PROBE = Statement(
    update(queue_domains)
    .where(
        _d.domain_digest == bindparam("digest"),
        _d.failures > 0,
        _d.retry_at <= bindparam("now"),
    )
    .values(retry_at=bindparam("until"))
)
_END_PROBE = Statement(
    update(queue_domains)
    .where(_d.domain_digest == bindparam("digest"), _d.failures > 0, _d.retry_at > bindparam("now"))
    .values(retry_at=bindparam("now"))
)
_FAILURES = Statement(select(_d.failures, _d.paused).where(_d.domain_digest == bindparam("digest")))
_FAILED = Statement(
    update(queue_domains)
    .where(_d.domain_digest == bindparam("digest"))
    .values(
        failures=_d.failures + 1,
        retry_at=bindparam("at"),
        cause=bindparam("why"),
    )
)
_WELL = Statement(
    update(queue_domains)
    .where(_d.domain_digest == bindparam("digest"), _d.failures > 0)
    .values(failures=0, retry_at=0, cause=null())
)


@dataclass(frozen=True, slots=True)
class DueDomain:
    """A domain that something is due for."""

    digest: bytes
    sealed: bytes
    failures: int


def next_due(tx: Transaction) -> int:
    """When something is due next; `IDLE` where nothing waits."""
    row = tx.run(_NEXT).fetchone()
    return IDLE if row is None or row[0] is None else int(row[0])


def due_domains(tx: Transaction, count: int) -> list[DueDomain]:
    """Domains that something is due for, the most pressing first."""
    return [DueDomain(*row) for row in tx.run(_DUE_DOMAINS, now=int(tx.now), count=count).fetchall()]


def expect(tx: Transaction, digest: bytes, sealed: bytes, due_at: int) -> None:
    """Something is due for a domain, which may be new, then."""
    tx.run(_PUT_DOMAIN, digest=digest, due=due_at, sealed=sealed)


def bring_forward(tx: Transaction, digest: bytes, due_at: int) -> None:
    """Something is due for a domain then, or earlier."""
    tx.run(_BRING_FORWARD, digest=digest, due=due_at)


def may_try(tx: Transaction, digest: bytes, term_s: int) -> int | None:
    """How many messages may be tried: any number (None), one alone where the domain is being probed, or none.

    A probe keeps others from the domain for `term_s`, or until its outcome is written.
    """
    row = tx.run(_FAILURES, digest=digest).fetchone()
    if row is None or row[1]:
        return 0
    if not row[0]:
        return None
    now = int(tx.now)
    return tx.run(_BEGIN_PROBE, digest=digest, now=now, until=now + term_s).rowcount


def end_probe(tx: Transaction, digest: bytes) -> None:
    """A probe brought no outcome: another may be made at once. `bring_forward` or `refresh` afterwards."""
    tx.run(_END_PROBE, digest=digest, now=int(tx.now))


def refresh(tx: Transaction, digest: bytes) -> None:
    """Let a domain's row say when something is due next."""
    row = tx.run(_FIRST_DUE, digest=digest).fetchone()
    tx.run(_SET_NEXT, digest=digest, due=IDLE if row is None or row[0] is None else int(row[0]))


def failed(tx: Transaction, digest: bytes, cause: str, retry_at: int) -> None:
    """No connection to a domain came to anything: leave it in peace until then."""
    tx.run(_FAILED, digest=digest, at=retry_at, why=cause)
    refresh(tx, digest)


def well(tx: Transaction, digest: bytes) -> None:
    """A domain's server takes mail again: all that waits for it may go."""
    if tx.run(_WELL, digest=digest).rowcount:
        refresh(tx, digest)
