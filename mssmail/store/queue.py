"""The queue's rows: what other operators are to be given. Leases are in `queue_lease`, domains in `queue_domains`.

When the last recipient is at its end, the body's wrap goes, and the body with it where no box holds it. Knows digests,
states and times; never an address, a peer's answer or a rule of when to try again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, case, delete, exists, not_, select, update

from mssmail.base.ids import POST, AccountId, BodyId, Period
from mssmail.store import periods, queue_domains
from mssmail.store.interface import Row, Statement, Transaction, put
from mssmail.store.messages import OUTBOX_GRACE_S
from mssmail.store.queue_state import State
from mssmail.store.schema import bodies, queue_messages, queue_recipients, wraps

_m = queue_messages.c


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message about to be queued."""

    queue_id: int
    body_id: BodyId
    account_id: AccountId
    """Who sent it; `POST` where no account did."""
    period: Period
    wrapped: bytes
    """The body's key, for `POST`."""
    size_octets: int
    expires_at: int
    deadline_at: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One of its recipients."""

    domain_digest: bytes
    sealed_domain: bytes
    due_at: int
    sealed: bytes


_PUT_MESSAGE = put(queue_messages)
_PUT_RECIPIENT = put(queue_recipients)
_PUT_WRAP = put(wraps, ignore_existing=True)
_MESSAGE_COLUMNS = (
    _m.body_id,
    _m.account_id,
    _m.period,
    _m.size_octets,
    _m.created_at,
    _m.expires_at,
    _m.sealed,
)
_ITS_WRAP = and_(wraps.c.body_id == _m.body_id, wraps.c.account_id == POST, wraps.c.period == _m.period)
MESSAGE = Statement(
    select(*_MESSAGE_COLUMNS, wraps.c.wrapped, bodies.c.place, bodies.c.lengths)
    .select_from(queue_messages.outerjoin(wraps, _ITS_WRAP).outerjoin(bodies, bodies.c.body_id == _m.body_id))
    .where(_m.queue_id == bindparam("queue"))
)
_END = Statement(
    update(queue_messages)
    .where(_m.queue_id == bindparam("queue"))
    .values(
        waiting=_m.waiting - bindparam("count"),
        deadline_at=case((_m.waiting == bindparam("count"), None), else_=_m.deadline_at),
        ended_at=case((_m.waiting == bindparam("count"), bindparam("at")), else_=_m.ended_at),
    )
    .returning(_m.waiting, _m.body_id)
)
_other = queue_messages.alias("other")
_DROP_WRAP = Statement(
    delete(wraps).where(
        wraps.c.body_id == bindparam("body"),
        wraps.c.account_id == POST,
        not_(exists().where(_other.c.body_id == bindparam("body"), _other.c.waiting > 0)),
    )
)


def queue(tx: Transaction, message: QueuedMessage, recipients: Sequence[QueuedRecipient]) -> None:
    """Put a message into the queue. Its body's row is the caller's, in the same transaction."""
    now = int(tx.now)
    tx.run(
        _PUT_WRAP,
        body_id=message.body_id,
        account_id=POST,
        period=message.period,
        wrapped=message.wrapped,
    )
    tx.run(
        _PUT_MESSAGE,
        queue_id=message.queue_id,
        body_id=message.body_id,
        account_id=message.account_id,
        period=message.period,
        size_octets=message.size_octets,
        waiting=len(recipients),
        created_at=now,
        expires_at=message.expires_at,
        deadline_at=message.deadline_at,
        ended_at=None,
        sealed=message.sealed,
    )
    tx.run_many(
        _PUT_RECIPIENT,
        [
            {
                "queue_id": message.queue_id,
                "number": number,
                "domain_digest": each.domain_digest,
                "state": int(State.WAITING),
                "due_at": each.due_at,
                "attempts": 0,
                "changed_at": now,
                "cause": None,
                "sealed": each.sealed,
            }
            for number, each in enumerate(recipients, 1)
        ],
    )
    for each in {each.domain_digest: each for each in recipients}.values():
        queue_domains.expect(tx, each.domain_digest, each.sealed_domain, each.due_at)


@dataclass(frozen=True, slots=True)
class QueuedBody:
    """Where a queued message's octets are, and their key for `POST`."""

    body_id: BodyId
    period: Period
    size_octets: int
    wrapped: bytes | None
    """None where the period is over: the body is gone."""
    inline: bool
    lengths: bytes


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A queued message as `MESSAGE` reads it."""

    account_id: AccountId
    created_at: int
    expires_at: int
    sealed: bytes
    body: QueuedBody


def message_of(row: Row) -> MessageRow:
    """Of a row of `MESSAGE`."""
    body_id, account, period, size, created, expires, sealed, wrapped, place, lengths = row
    wrap = None if lengths is None else wrapped
    body = QueuedBody(BodyId(body_id), Period(period), size, wrap, place == 0, lengths or b"")
    return MessageRow(AccountId(account), created, expires, sealed, body)


def end(tx: Transaction, queue_id: int, count: int) -> None:
    """Count recipients that came to their end; the body goes with the last."""
    if not count:
        return
    row = tx.run(_END, queue=queue_id, count=count, at=int(tx.now)).fetchone()
    if row is not None and row[0] == 0 and tx.run(_DROP_WRAP, body=row[1]).rowcount:
        periods.mark_due(tx, [row[1]], int(tx.now) + OUTBOX_GRACE_S)
