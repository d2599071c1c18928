"""What comes to its time in the queue: notices of delay, lifetimes, and the trace of what has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, case, delete, func, select, update

from mssmail.store.interface import Statement, Transaction
from mssmail.store.queue import MESSAGE, MessageRow, end, message_of
from mssmail.store.queue_state import State
from mssmail.store.schema import queue_attempts, queue_domains, queue_messages, queue_recipients

FAILING: Final = 3
"""Connections in a row that came to nothing, from which a domain counts as not answering."""

_m, _r, _a, _d = queue_messages.c, queue_recipients.c, queue_attempts.c, queue_domains.c

_DEADLINES = Statement(
    select(_m.queue_id, _m.deadline_at)
    .where(_m.deadline_at <= bindparam("now"))
    .order_by(_m.deadline_at)
    .limit(bindparam("count"))
)
_LAST_CAUSE = select(_d.cause).where(_d.domain_digest == _r.domain_digest).scalar_subquery()
_OPEN = Statement(
    select(_r.number, _r.sealed, _r.state, _r.attempts, func.coalesce(_r.cause, _LAST_CAUSE), _a.at, _a.sealed)
    .select_from(
        queue_recipients.outerjoin(
            queue_attempts,
            (_a.queue_id == _r.queue_id) & (_a.number == _r.number) & (_a.attempt == _r.attempts),
        )
    )
    .where(_r.queue_id == bindparam("queue"), _r.state < int(State.RELAYED))
    .order_by(_r.number)
)
_NEXT_DEADLINE = Statement(
    update(queue_messages)
    .where(_m.queue_id == bindparam("queue"), _m.deadline_at == bindparam("before"))
    .values(deadline_at=bindparam("after"))
)
_EXPIRE = Statement(
    update(queue_recipients)
    .where(
        _r.queue_id == bindparam("queue"),
        _r.number == bindparam("which"),
        (_r.state == int(State.WAITING)) | (_r.state == int(State.HELD)),
    )
    .values(state=int(State.FAILED), cause=bindparam("why"), changed_at=bindparam("at"))
)
_ENDED = Statement(
    select(_m.queue_id).where(_m.ended_at <= bindparam("before")).order_by(_m.ended_at).limit(bindparam("count"))
)
_FORGET = [
    Statement(delete(table).where(table.c.queue_id == bindparam("queue")))
    for table in (queue_attempts, queue_recipients, queue_messages)
]
_COUNTS = Statement(select(func.count(), func.min(_m.created_at)).where(_m.deadline_at >= 0))


_TROUBLED = Statement(
    select(func.sum(case((_d.failures >= FAILING, 1), else_=0)), func.sum(_d.paused)).select_from(queue_domains)
)


@dataclass(frozen=True, slots=True)
class OpenRecipient:
    """A recipient that isn't at its end."""

    number: int
    sealed: bytes
    state: State
    attempts: int
    cause: str | None
    """Of its last attempt, or of its domain's."""
    attempted_at: int | None
    last: bytes | None
    """The last attempt, sealed."""


def deadlines(tx: Transaction, count: int) -> list[tuple[int, int]]:
    """Messages whose notice of delay or end is due, with that time."""
    return [(row[0], row[1]) for row in tx.run(_DEADLINES, now=int(tx.now), count=count).fetchall()]


def message(tx: Transaction, queue_id: int) -> tuple[MessageRow, list[OpenRecipient]] | None:
    """A message with its recipients that wait; None where it is gone."""
    row = tx.run(MESSAGE, queue=queue_id).fetchone()
    if row is None:
        return None
    found = [
        OpenRecipient(number, sealed, State(state), attempts, cause, at, last)
        for number, sealed, state, attempts, cause, at, last in tx.run(_OPEN, queue=queue_id).fetchall()
    ]
    return message_of(row), found


def set_deadline(tx: Transaction, queue_id: int, before: int, after: int) -> bool:
    """Let a message come up again at another time; False where another worker did."""
    return tx.run(_NEXT_DEADLINE, queue=queue_id, before=before, after=after).rowcount == 1


def expire(tx: Transaction, queue_id: int, numbers: Sequence[int], cause: str) -> int:
    """Recipients fail for good that nobody has in hand; how many."""
    at = int(tx.now)
    count = sum(tx.run(_EXPIRE, queue=queue_id, which=number, why=cause, at=at).rowcount for number in numbers)
    end(tx, queue_id, count)
    return count


def expire_all(tx: Transaction, queue_id: int) -> None:
    """The same for a message that can't be read: nobody is told."""
    found = [row[0] for row in tx.run(_OPEN, queue=queue_id).fetchall()]
    expire(tx, queue_id, found, "unreadable")


def forget(tx: Transaction, before: int, count: int) -> int:
    """Forget messages that ended by then, at most so many; how many."""
    found = [row[0] for row in tx.run(_ENDED, before=before, count=count).fetchall()]
    for queue_id in found:
        for statement in _FORGET:
            tx.run(statement, queue=queue_id)
    return len(found)


def troubled(tx: Transaction) -> tuple[int, int]:
    """Domains that failed several times in a row, and paused ones."""
    row = tx.run(_TROUBLED).fetchone()
    assert row is not None
    return int(row[0] or 0), int(row[1] or 0)


def counts(tx: Transaction) -> tuple[int, int | None]:
    """Messages that wait, and when the oldest was queued."""
    row = tx.run(_COUNTS).fetchone()
    assert row is not None
    return int(row[0]), row[1]
