"""Who has which queued message in hand, and what comes of it.

A message to one domain is leased as a whole, to one worker, under a number that is given once; a lease ends by itself.
Recipients that are under way are SENDING: they are in nobody else's reach while the lease's row stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, select, update

from mssmail.base.ids import AccountId
from mssmail.store import queue_domains
from mssmail.store.interface import Row, Statement, Transaction, put
from mssmail.store.queue import MESSAGE, QueuedBody, end, message_of
from mssmail.store.queue_domains import IDLE
from mssmail.store.queue_state import State
from mssmail.store.schema import queue_attempts, queue_leases, queue_recipients

MAX_TOGETHER: Final = 100
"""Recipients of one errand (RFC 5321 §4.5.3.1.8: what every server takes)."""
_LOOKED: Final = 400
"""Rows looked at for a lease: a message of hundreds of recipients may stand before others."""

_r, _l = queue_recipients.c, queue_leases.c

_PUT_ATTEMPT = put(queue_attempts, ignore_existing=True)
_PUT_LEASE = put(queue_leases, ignore_existing=True)
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


def lease(tx: Transaction, digest: bytes, slot: int, fences: Sequence[int], term_s: int) -> list[Leased]:
    """Take messages to a domain, at most one for each number; one alone where the domain is being probed."""
    now = int(tx.now)
    most = queue_domains.may_try(tx, digest, term_s)
    if most == 0:
        return []
    taken: list[Leased] = []
    left = list(fences[:most])
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
        if message is None:
            continue  # of a row that was tampered with: it mustn't stand before others
        taken.append(_leased(queue_id, digest, left.pop(), recipients, message))
    if most and not taken:
        queue_domains.end_probe(tx, digest)  # all that is due is in others' hands
    queue_domains.refresh(tx, digest)
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
        queue_domains.end_probe(tx, leased.domain_digest)
        queue_domains.bring_forward(tx, leased.domain_digest, now)


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
        # it may have been the domain's probe; where it wasn't, the domain is asked a little early
        queue_domains.end_probe(tx, digest)
        queue_domains.bring_forward(tx, digest, now)
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
        queue_domains.bring_forward(tx, leased.domain_digest, first)
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
