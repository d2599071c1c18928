"""The queue as an administrator sees and changes it: lists, one message with its attempts, domains."""

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement, ColumnElement

from mssmail.store.interface import Row, Statement, Transaction
from mssmail.store.queue import end
from mssmail.store.queue_domains import IDLE
from mssmail.store.queue_state import State
from mssmail.store.schema import queue_attempts, queue_domains, queue_messages, queue_recipients

_m, _r, _a, _d = queue_messages.c, queue_recipients.c, queue_attempts.c, queue_domains.c

_MESSAGE_COLUMNS = (_m.queue_id, _m.account_id, _m.size_octets, _m.created_at, _m.expires_at, _m.ended_at, _m.sealed)
_RECIPIENT_COLUMNS = (_r.number, _r.sealed, _r.state, _r.attempts, _r.due_at, _r.changed_at, _r.cause)


def _list(*where: ColumnElement[bool]) -> Statement:
    return Statement(
        select(*_MESSAGE_COLUMNS, *_RECIPIENT_COLUMNS)
        .join(queue_messages, _m.queue_id == _r.queue_id)
        .where(_r.state < int(State.RELAYED), *where)
        .order_by(_r.queue_id, _r.number)
        .limit(bindparam("count"))
    )


_WAITING = _list()
_WAITING_FOR = _list(_r.domain_digest == bindparam("digest"))
_MESSAGE = Statement(select(*_MESSAGE_COLUMNS).where(_m.queue_id == bindparam("queue")))
_RECIPIENTS = Statement(select(*_RECIPIENT_COLUMNS).where(_r.queue_id == bindparam("queue")).order_by(_r.number))
_ATTEMPTS = Statement(
    select(_a.number, _a.attempt, _a.at, _a.cause, _a.code, _a.sealed)
    .where(_a.queue_id == bindparam("queue"))
    .order_by(_a.number, _a.attempt)
)
_DOMAINS = Statement(
    select(_d.domain_digest, _d.sealed, _d.next_at, _d.retry_at, _d.failures, _d.paused, _d.cause).order_by(_d.next_at)
)
_STATES = Statement(
    select(_r.domain_digest, _r.state, func.count(), func.min(_r.changed_at))
    .where(_r.state < int(State.RELAYED))
    .group_by(_r.domain_digest, _r.state)
)


def _move(*where: ColumnElement[bool]) -> Statement:
    """From one state to another; the domains of those moved."""
    return Statement(
        update(queue_recipients)
        .where(_r.state == bindparam("before"), *where)
        .values(state=bindparam("after"), due_at=bindparam("due"), changed_at=bindparam("at"))
        .returning(_r.domain_digest)
    )


_MOVE_MESSAGE = _move(_r.queue_id == bindparam("queue"))
_MOVE_DOMAIN = _move(_r.domain_digest == bindparam("digest"))
_MOVE_ALL = _move()
_AT_ONCE = Statement(
    update(queue_domains).where(_d.domain_digest == bindparam("digest")).values(next_at=bindparam("now"), retry_at=0)
)


def _pause(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(queue_domains).values(
        domain_digest=bindparam("digest"), next_at=IDLE, paused=bindparam("paused"), sealed=bindparam("sealed")
    )
    return clause.on_conflict_do_update(index_elements=["domain_digest"], set_={"paused": clause.excluded.paused})


_PAUSE = Statement(_pause)


def waiting(tx: Transaction, digest: bytes | None, count: int) -> list[Row]:
    """Recipients that aren't at their end, the oldest first: columns of the message, then of the recipient."""
    if digest is None:
        return tx.run(_WAITING, count=count).fetchall()
    return tx.run(_WAITING_FOR, digest=digest, count=count).fetchall()


def message(tx: Transaction, queue_id: int) -> tuple[Row, list[Row], list[Row]] | None:
    """A message's row, its recipients' and its attempts'; None where it is unknown."""
    row = tx.run(_MESSAGE, queue=queue_id).fetchone()
    if row is None:
        return None
    return row, tx.run(_RECIPIENTS, queue=queue_id).fetchall(), tx.run(_ATTEMPTS, queue=queue_id).fetchall()


def domains(tx: Transaction) -> tuple[list[Row], list[Row]]:
    """Domains' rows, and the counts of their recipients that aren't at their end, by state."""
    return tx.run(_DOMAINS).fetchall(), tx.run(_STATES).fetchall()


def move(
    tx: Transaction, before: State, after: State, *, queue_id: int | None = None, digest: bytes | None = None
) -> int:
    """Move recipients from one state to another, of a message, a domain, or all; how many. What waits then is due."""
    now = int(tx.now)
    values = {"before": int(before), "after": int(after), "due": now, "at": now}
    if queue_id is not None:
        found = tx.run(_MOVE_MESSAGE, queue=queue_id, **values).fetchall()
    elif digest is not None:
        found = tx.run(_MOVE_DOMAIN, digest=digest, **values).fetchall()
    else:
        found = tx.run(_MOVE_ALL, **values).fetchall()
    if after is State.WAITING:
        for each in {row[0] for row in found}:
            tx.run(_AT_ONCE, digest=each, now=now)
    if after.ended and queue_id is not None:
        end(tx, queue_id, len(found))
    return len(found)


def set_paused(tx: Transaction, digest: bytes, sealed: bytes, paused: int) -> None:
    """Let nothing be given to a domain (1), or again (0)."""
    tx.run(_PAUSE, digest=digest, sealed=sealed, paused=paused)
