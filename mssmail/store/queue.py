"""The queue's rows: what other operators are to be given, who has it in hand, and what came of each attempt.

A message to one domain is leased as a whole, to one worker, under a number that is given once; a lease ends by itself.
Recipients that are under way are SENDING: they are in nobody else's reach while the lease's row stands. When the last
recipient is at its end, the body's wrap goes, and the body with it where no box holds it.

Knows digests, states and times; never an address, a peer's answer or a rule of when to try again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from sqlalchemy import and_, bindparam, case, delete, exists, func, not_, null, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.base.ids import POST, AccountId, BodyId, Period
from mssmail.store import periods
from mssmail.store.interface import Row, Statement, Transaction, put
from mssmail.store.messages import OUTBOX_GRACE_S
from mssmail.store.schema import (
    bodies,
    queue_attempts,
    queue_domains,
    queue_leases,
    queue_messages,
    queue_recipients,
    wraps,
)

IDLE: Final = 1 << 60
"""`next_at` of a domain that nothing waits for."""
MAX_TOGETHER: Final = 100
"""Recipients of one errand (RFC 5321 §4.5.3.1.8: what every server takes)."""
_LOOKED: Final = 400
"""Rows looked at for a lease: a message of hundreds of recipients may stand before others."""

_m, _r, _d, _l = queue_messages.c, queue_recipients.c, queue_domains.c, queue_leases.c


@unique
class State(IntEnum):
    """Where a recipient stands; the number is what lies on disk."""

    WAITING = 0
    SENDING = 1
    """In a worker's hands, under a lease."""
    HELD = 2
    """By an administrator."""
    RELAYED = 3
    FAILED = 4
    """For good; the cause says why."""
    DROPPED = 5
    """By an administrator, with nobody told."""

    @property
    def ended(self) -> bool:
        return self >= State.RELAYED


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
_PUT_ATTEMPT = put(queue_attempts, ignore_existing=True)
_PUT_LEASE = put(queue_leases, ignore_existing=True)
_PUT_WRAP = put(wraps, ignore_existing=True)


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

_DUE = Statement(
    select(_r.queue_id)
    .where(_r.domain_digest == bindparam("digest"), _r.state == int(State.WAITING), _r.due_at <= bindparam("now"))
    .order_by(_r.due_at, _r.queue_id)
    .limit(bindparam("count"))
)
_some = queue_recipients.alias("some")
_TAKE = Statement(
    update(queue_recipients)
    .where(
        _r.queue_id == bindparam("queue"),
        _r.state == int(State.WAITING),
        _r.number.in_(
            select(_some.c.number)
            .where(
                _some.c.queue_id == bindparam("queue"),
                _some.c.domain_digest == bindparam("digest"),
                _some.c.state == int(State.WAITING),
                _some.c.due_at <= bindparam("now"),
            )
            .order_by(_some.c.number)
            .limit(MAX_TOGETHER)
        ),
    )
    .values(state=int(State.SENDING))
    .returning(_r.number, _r.sealed, _r.attempts)
)
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
_DROP_LEASE = Statement(
    delete(queue_leases).where(
        _l.queue_id == bindparam("queue"), _l.domain_digest == bindparam("digest"), _l.fence == bindparam("mine")
    )
)
_RENEW = Statement(
    update(queue_leases)
    .where(_l.queue_id == bindparam("queue"), _l.domain_digest == bindparam("digest"), _l.fence == bindparam("mine"))
    .values(until_ms=bindparam("until"))
)
_LEASES_OF = Statement(
    select(_l.queue_id, _l.domain_digest, _l.fence).where(_l.slot >= bindparam("low"), _l.slot <= bindparam("high"))
)
_LAPSED = Statement(select(_l.queue_id, _l.domain_digest, _l.fence).where(_l.until_ms <= bindparam("now")))
_BACK = Statement(
    update(queue_recipients)
    .where(_r.queue_id == bindparam("queue"), _r.domain_digest == bindparam("digest"), _r.state == int(State.SENDING))
    .values(
        state=int(State.WAITING),
        due_at=bindparam("due"),
        attempts=_r.attempts + bindparam("more"),
        cause=bindparam("why"),
    )
    .returning(_r.number, _r.attempts)
)
_SETTLE = Statement(
    update(queue_recipients)
    .where(
        _r.queue_id == bindparam("queue"),
        _r.number == bindparam("which"),
        _r.state < int(State.RELAYED),
    )
    .values(
        state=bindparam("to"),
        due_at=bindparam("due"),
        attempts=_r.attempts + bindparam("more"),
        changed_at=bindparam("at"),
        cause=bindparam("why"),
    )
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


# --- queueing ---


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
        tx.run(_PUT_DOMAIN, digest=each.domain_digest, due=each.due_at, sealed=each.sealed_domain)


# --- leasing ---


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
class Leased:
    """A message's recipients of one domain, in this worker's hands."""

    queue_id: int
    domain_digest: bytes
    fence: int
    recipients: Sequence[tuple[int, bytes, int]]
    """Number, sealed, attempts so far."""
    account_id: AccountId
    created_at: int
    expires_at: int
    sealed: bytes
    body: QueuedBody


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


def lease(tx: Transaction, digest: bytes, slot: int, fences: Sequence[int], term_s: int) -> list[Leased]:
    """Take messages to a domain, at most one for each number; one alone where the domain is being probed."""
    now = int(tx.now)
    row = tx.run(_FAILURES, digest=digest).fetchone()
    if row is None or row[1]:
        return []
    if row[0]:
        if tx.run(_BEGIN_PROBE, digest=digest, now=now, until=now + term_s).rowcount != 1:
            return []
        fences = fences[:1]
    taken: list[Leased] = []
    left = list(fences)
    until_ms = int(tx.now * 1000) + term_s * 1000
    for queue_id in _waiting(tx, digest, len(left)):
        if not left:
            break
        fresh = tx.run(
            _PUT_LEASE, queue_id=queue_id, domain_digest=digest, slot=slot, fence=left[-1], until_ms=until_ms
        )
        if fresh.rowcount != 1:
            continue
        recipients = tx.run(_TAKE, queue=queue_id, digest=digest, now=now).fetchall()
        message = tx.run(MESSAGE, queue=queue_id).fetchone()
        assert message is not None
        taken.append(_leased(queue_id, digest, left.pop(), recipients, message))
    _refresh(tx, digest)
    return taken


def _waiting(tx: Transaction, digest: bytes, wanted: int) -> Iterator[int]:
    """Messages that are due, the most pressing first; a few more than wanted, in case that others have them in hand."""
    seen: set[int] = set()
    for count in (4 * wanted + 4, _LOOKED):
        found = [row[0] for row in tx.run(_DUE, digest=digest, now=int(tx.now), count=count).fetchall()]
        for queue_id in found:
            if queue_id not in seen:
                seen.add(queue_id)
                yield queue_id
        if len(found) < count:
            return


def _leased(queue_id: int, digest: bytes, fence: int, recipients: Sequence[Row], row: Row) -> Leased:
    message = message_of(row)
    return Leased(
        queue_id,
        digest,
        fence,
        sorted((number, octets, attempts) for number, octets, attempts in recipients),
        message.account_id,
        message.created_at,
        message.expires_at,
        message.sealed,
        message.body,
    )


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


def _refresh(tx: Transaction, digest: bytes) -> None:
    """Let a domain's row say when something is due next."""
    row = tx.run(_FIRST_DUE, digest=digest).fetchone()
    tx.run(_SET_NEXT, digest=digest, due=IDLE if row is None or row[0] is None else int(row[0]))


def renew(tx: Transaction, leased: Sequence[Leased], term_s: int) -> None:
    """Hold leases for another term. One that has lapsed stays lost."""
    until = int(tx.now * 1000) + term_s * 1000
    tx.run_many(
        _RENEW,
        [{"queue": each.queue_id, "digest": each.domain_digest, "mine": each.fence, "until": until} for each in leased],
    )


def give_back(tx: Transaction, leased: Leased) -> None:
    """Let others have what wasn't tried."""
    now = int(tx.now)
    if tx.run(_DROP_LEASE, queue=leased.queue_id, digest=leased.domain_digest, mine=leased.fence).rowcount == 1:
        tx.run(_BACK, queue=leased.queue_id, digest=leased.domain_digest, due=now, more=0, why=None).fetchall()
        tx.run(_BRING_FORWARD, digest=leased.domain_digest, due=now)


def interrupted(tx: Transaction, leased: Leased, cause: str) -> None:
    """Let others have what was being tried when this worker had to stop."""
    _take_back(tx, [(leased.queue_id, leased.domain_digest, leased.fence)], cause)


def any_lapsed(tx: Transaction) -> bool:
    """Whether `free_lapsed` has something to do."""
    return tx.run(_LAPSED, now=int(tx.now * 1000)).fetchone() is not None


def free(tx: Transaction, low: int, high: int, cause: str) -> int:
    """Take back what workers of these slots had in hand in an earlier life; how many leases."""
    return _take_back(tx, tx.run(_LEASES_OF, low=low, high=high).fetchall(), cause)


def free_lapsed(tx: Transaction, cause: str) -> int:
    """Take back what was leased to workers that are gone."""
    return _take_back(tx, tx.run(_LAPSED, now=int(tx.now * 1000)).fetchall(), cause)


def _take_back(tx: Transaction, found: Sequence[Row], cause: str) -> int:
    now = int(tx.now)
    for queue_id, digest, fence in found:
        if tx.run(_DROP_LEASE, queue=queue_id, digest=digest, mine=fence).rowcount != 1:
            continue
        back = tx.run(_BACK, queue=queue_id, digest=digest, due=now, more=1, why=cause).fetchall()
        for number, attempts in back:
            _attempted(tx, queue_id, number, attempts, cause, 0, b"")
        tx.run(_BRING_FORWARD, digest=digest, due=now)
    return len(found)


# --- outcomes ---


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt for one recipient."""

    number: int
    attempt: int
    """From 1."""
    state: State
    due_at: int
    """Of the next attempt, where the state is WAITING."""
    cause: str
    code: int
    sealed: bytes
    """Peer, TLS and answer."""


def settle(tx: Transaction, leased: Leased, results: Sequence[Result]) -> bool:
    """Write what came of an errand, and end its lease; False where that was lost meanwhile.

    What was delivered is written all the same then: it must not go out again.
    """
    mine = tx.run(_DROP_LEASE, queue=leased.queue_id, digest=leased.domain_digest, mine=leased.fence).rowcount == 1
    ended, first = 0, IDLE
    for each in results:
        if not mine and each.state is not State.RELAYED:
            continue
        changed = _change(tx, leased.queue_id, each.number, each.state, each.due_at, each.cause, attempts=1)
        _attempted(tx, leased.queue_id, each.number, each.attempt, each.cause, each.code, each.sealed)
        ended += changed and each.state.ended
        if each.state is State.WAITING:
            first = min(first, each.due_at)
    if first < IDLE:
        tx.run(_BRING_FORWARD, digest=leased.domain_digest, due=first)
    end(tx, leased.queue_id, ended)
    return mine


def _change(
    tx: Transaction, queue_id: int, number: int, to: State, due_at: int, cause: str | None, *, attempts: int = 0
) -> bool:
    """Move a recipient that isn't at its end; False where it is."""
    values = {"to": int(to), "due": due_at, "more": attempts, "at": int(tx.now), "why": cause}
    return tx.run(_SETTLE, queue=queue_id, which=number, **values).rowcount == 1


def _attempted(tx: Transaction, queue_id: int, number: int, attempt: int, cause: str, code: int, sealed: bytes) -> None:
    tx.run(
        _PUT_ATTEMPT,
        queue_id=queue_id,
        number=number,
        attempt=attempt,
        at=int(tx.now),
        cause=cause,
        code=code,
        sealed=sealed,
    )


def end(tx: Transaction, queue_id: int, count: int) -> None:
    """Count recipients that came to their end; the body goes with the last."""
    if not count:
        return
    row = tx.run(_END, queue=queue_id, count=count, at=int(tx.now)).fetchone()
    if row is not None and row[0] == 0 and tx.run(_DROP_WRAP, body=row[1]).rowcount:
        periods.mark_due(tx, [row[1]], int(tx.now) + OUTBOX_GRACE_S)


def failed(tx: Transaction, digest: bytes, cause: str, retry_at: int) -> None:
    """No connection to a domain came to anything: leave it in peace until then."""
    tx.run(_FAILED, digest=digest, at=retry_at, why=cause)
    _refresh(tx, digest)


def well(tx: Transaction, digest: bytes) -> None:
    """A domain's server takes mail again: all that waits for it may go."""
    if tx.run(_WELL, digest=digest).rowcount:
        _refresh(tx, digest)
