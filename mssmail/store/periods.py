"""Retention periods' rows, and the collecting of bodies that nothing holds any more."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.base.ids import AccountId, BodyId, FolderId, Period
from mssmail.store import searches
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import bodies, body_outbox, messages, periods, records, wraps

_m = messages.c

_ENDED = Statement(
    select(periods.c.period, periods.c.state)
    .where(periods.c.period <= bindparam("now"), periods.c.state != "gone")
    .order_by(periods.c.period)
)
_CLOSE = Statement(
    update(periods)
    .where(periods.c.period == bindparam("which"), periods.c.state == "open")
    .values(state="closed", closed_at=bindparam("at"))
)
_ADVANCE = Statement(
    update(periods).where(periods.c.period == bindparam("which")).values(state=bindparam("to"), gone_at=bindparam("at"))
)
_ERASED = Statement(
    update(periods)
    .where(periods.c.period == bindparam("which"))
    .values(erased=periods.c.erased + bindparam("more"))
    .returning(periods.c.erased)
)
_NEXT_OF = Statement(
    select(_m.folder_id, _m.account_id, _m.uid).where(_m.period == bindparam("which")).limit(bindparam("count"))
)
_WRAPS_TO_OUTBOX = Statement(
    select(wraps.c.body_id).where(wraps.c.period == bindparam("which")).distinct().limit(bindparam("count"))
)
_DROP_WRAPS = Statement(delete(wraps).where(wraps.c.period == bindparam("which"), wraps.c.body_id == bindparam("body")))
_MARK_DUE = put(body_outbox, ignore_existing=True)
_DUE_AGAIN = Statement(
    update(body_outbox).where(body_outbox.c.body_id == bindparam("body")).values(due_at=bindparam("due"))
)
_DUE = Statement(
    select(body_outbox.c.body_id, bodies.c.place)
    .select_from(body_outbox.outerjoin(bodies, bodies.c.body_id == body_outbox.c.body_id))
    .where(body_outbox.c.due_at <= bindparam("now"))
    .order_by(body_outbox.c.due_at)
    .limit(bindparam("count"))
)
_HELD = Statement(select(wraps.c.body_id).where(wraps.c.body_id == bindparam("body")).limit(1))
_DROP_BODY = Statement(delete(bodies).where(bodies.c.body_id == bindparam("body")))
_DROP_RECORD = Statement(delete(records).where(records.c.body_id == bindparam("body")))
_DROP_DUE = Statement(delete(body_outbox).where(body_outbox.c.body_id == bindparam("body")))
_COUNT_DUE = Statement(select(func.count()).select_from(messages).where(_m.period <= bindparam("now")))
_COUNT_ALL = Statement(select(func.count()).select_from(messages))
_BY_PERIOD = Statement(
    select(_m.period, func.count(), func.sum(_m.size_octets))
    .where(_m.period <= bindparam("until"))
    .group_by(_m.period)
    .order_by(_m.period)
)
_BODY_EXISTS = Statement(select(bodies.c.place).where(bodies.c.body_id == bindparam("body")))


@dataclass(frozen=True, slots=True)
class Doomed:
    """A message whose period has ended."""

    folder_id: FolderId
    account_id: AccountId
    uid: int


def ended(tx: Transaction, now: int) -> list[tuple[Period, str]]:
    """Periods over by `now` that aren't gone, oldest first, with their state."""
    return [(Period(row[0]), row[1]) for row in tx.run(_ENDED, now=now).fetchall()]


def close(tx: Transaction, period: Period, at: int) -> bool:
    """From now on nothing is wrapped under it; False where it was closed before."""
    return tx.run(_CLOSE, which=period, at=at).rowcount == 1


def advance(tx: Transaction, period: Period, to: str, at: int | None) -> None:
    tx.run(_ADVANCE, which=period, to=to, at=at)


def erased(tx: Transaction, period: Period, more: int) -> int:
    """Count erased messages; how many now."""
    row = tx.run(_ERASED, which=period, more=more).fetchone()
    return 0 if row is None else int(row[0])


def doomed(tx: Transaction, period: Period, count: int) -> list[Doomed]:
    """Some messages of a period."""
    return [Doomed(*row) for row in tx.run(_NEXT_OF, which=period, count=count).fetchall()]


def drop_wraps(tx: Transaction, period: Period, count: int) -> int:
    """Delete wraps of a period, at most those of `count` bodies, and mark the bodies as due; how many bodies.

    With them as many of its columns for searches, which count too.
    """
    found = [row[0] for row in tx.run(_WRAPS_TO_OUTBOX, which=period, count=count).fetchall()]
    if found:
        tx.run_many(_DROP_WRAPS, [{"which": period, "body": body} for body in found])
        mark_due(tx, found, int(tx.now))
    return len(found) + searches.drop_of_period(tx, period, count)


def mark_due(tx: Transaction, found: list[int], due: int) -> None:
    """Let the collector look at these bodies."""
    tx.run_many(_MARK_DUE, [{"body_id": body, "due_at": due} for body in found])
    tx.run_many(_DUE_AGAIN, [{"body": body, "due": due} for body in found])


def due_bodies(tx: Transaction, now: int, count: int) -> list[tuple[BodyId, bool]]:
    """Bodies to look at, with whether the body store holds a file for them."""
    return [(BodyId(row[0]), row[1] == 1) for row in tx.run(_DUE, now=now, count=count).fetchall()]


def collect(tx: Transaction, found: list[tuple[BodyId, bool]]) -> list[BodyId]:
    """Delete those that no wrap holds; which of them leave a file to be removed after the commit.

    The outbox row of a file stays until `collected`, so that a crash in between leaves no file behind.
    """
    files: list[BodyId] = []
    for body, in_store in found:
        searches.drop_lost(tx, body)
        if tx.run(_HELD, body=body).fetchone() is None:
            tx.run(_DROP_RECORD, body=body)
            searches.drop_text(tx, body)
            if in_store:
                files.append(body)
                continue
            tx.run(_DROP_BODY, body=body)
        tx.run(_DROP_DUE, body=body)
    return files


def collected(tx: Transaction, files: list[BodyId]) -> None:
    """The files are removed: forget the bodies."""
    for body in files:
        tx.run(_DROP_BODY, body=body)
        tx.run(_DROP_DUE, body=body)


def body_known(tx: Transaction, body: BodyId) -> bool:
    return tx.run(_BODY_EXISTS, body=body).fetchone() is not None


def count_due(tx: Transaction, now: int) -> tuple[int, int]:
    """Messages whose period is over, and all messages."""
    due = tx.run(_COUNT_DUE, now=now).fetchone()
    every = tx.run(_COUNT_ALL).fetchone()
    assert due is not None and every is not None
    return int(due[0]), int(every[0])


def upcoming(tx: Transaction, until: int) -> list[tuple[Period, int, int]]:
    """Periods ending by `until` with their messages and octets."""
    return [(Period(row[0]), row[1], row[2]) for row in tx.run(_BY_PERIOD, until=until).fetchall()]
