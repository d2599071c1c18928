"""Submissions whose 250 may not have been read, and notices between processes."""

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import notices, replays

KEPT_S = 24 * 3600
"""A client that hasn't come back after a day won't send the same octets again."""

_PUT = put(replays, ignore_existing=True)
_FIND = Statement(select(replays.c.queue_id, replays.c.armed).where(replays.c.digest == bindparam("digest")))
_FORGET = Statement(delete(replays).where(replays.c.digest == bindparam("digest")))
_ARM = Statement(update(replays).where(replays.c.digest == bindparam("digest")).values(armed=1))
_ARM_SLOT = Statement(update(replays).where(replays.c.slot == bindparam("whose")).values(armed=1))
_ARM_FROM = Statement(update(replays).where(replays.c.slot >= bindparam("whose")).values(armed=1))
_EXPIRE = Statement(delete(replays).where(replays.c.at < bindparam("before")))

_PUT_NOTICE = put(notices, omit=("notice_id",))
_SINCE = Statement(
    select(notices.c.notice_id, notices.c.account_id, notices.c.kind)
    .where(notices.c.notice_id > bindparam("after"))
    .order_by(notices.c.notice_id)
)
_LAST = Statement(select(func.coalesce(func.max(notices.c.notice_id), 0)))
_DROP_NOTICES = Statement(delete(notices).where(notices.c.at < bindparam("before")))


def remember(tx: Transaction, digest: bytes, slot: int, queue_id: str) -> str | None:
    """Note a submission; the queue id of an earlier one of the same octets, if its 250 was never read.

    While the connection that sent the earlier one is open, the same octets from another are another message.
    """
    if tx.run(_PUT, digest=digest, slot=slot, armed=0, at=int(tx.now), queue_id=queue_id).rowcount == 1:
        return None
    row = tx.run(_FIND, digest=digest).fetchone()
    return row[0] if row is not None and row[1] else None


def forget(tx: Transaction, digests: list[bytes]) -> None:
    """The client showed that it read the 250."""
    tx.run_many(_FORGET, [{"digest": digest} for digest in digests])


def arm(tx: Transaction, digests: list[bytes]) -> None:
    """The client left without showing it."""
    tx.run_many(_ARM, [{"digest": digest} for digest in digests])


def arm_slot(tx: Transaction, slot: int, *, and_above: bool) -> None:
    """A worker's earlier life is over, and its connections with it."""
    tx.run(_ARM_FROM if and_above else _ARM_SLOT, whose=slot)


def expire(tx: Transaction) -> None:
    tx.run(_EXPIRE, before=int(tx.now) - KEPT_S)
    tx.run(_DROP_NOTICES, before=int(tx.now) - 3600)


def notify(tx: Transaction, account: int, kind: str) -> None:
    """Tell every worker that something about an account (0: about all) changed: `mail`, `session`, `directory`."""
    tx.run(_PUT_NOTICE, at=int(tx.now), account_id=account, kind=kind)


def notices_after(tx: Transaction, after: int) -> list[tuple[int, int, str]]:
    return [(row[0], row[1], row[2]) for row in tx.run(_SINCE, after=after).fetchall()]


def last_notice(tx: Transaction) -> int:
    row = tx.run(_LAST).fetchone()
    assert row is not None
    return int(row[0])
