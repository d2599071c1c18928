"""Messages' rows as they pass from one account to another: with their wraps, so that their keys can be wrapped anew."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from mssmail.base.ids import AccountId, BodyId, FolderId, Period
from mssmail.store.interface import Ranges, Statement, Transaction, put
from mssmail.store.messages import IN_RANGE, ITS_WRAP, add_wraps
from mssmail.store.schema import messages, wraps

_m = messages.c
_ROWS = Statement(
    select(
        _m.uid,
        _m.body_id,
        _m.period,
        _m.arrived_at,
        _m.internal_date,
        _m.zone_minutes,
        _m.size_octets,
        _m.flags,
        _m.keywords,
        wraps.c.wrapped,
    )
    .join(wraps, ITS_WRAP)
    .where(IN_RANGE)
    .order_by(_m.uid)
    .limit(bindparam("count"))
)
_PUT = put(messages)


@dataclass(frozen=True, slots=True)
class Passing:
    """A message in the account that it is to be copied from."""

    uid: int
    body_id: BodyId
    period: Period
    arrived_at: int
    internal_date: int
    zone_minutes: int
    size_octets: int
    flags: int
    keywords: int
    wrapped: bytes


def passing(tx: Transaction, folder: FolderId, account: AccountId, ranges: Ranges, count: int) -> list[Passing]:
    """The messages in these ranges, by UID, at most `count`."""
    found: list[Passing] = []
    for low, high in ranges:
        rows = tx.run(_ROWS, folder=folder, account=account, low=low, high=high, count=count - len(found)).fetchall()
        found += [Passing(*row) for row in rows]
    return found


@dataclass(frozen=True, slots=True)
class Arriving:
    """The same message in the account that it is copied to, its key wrapped for that."""

    uid: int
    came: Passing
    period: Period
    wrapped: bytes
    keywords: int


def put_in(tx: Transaction, folder: FolderId, account: AccountId, new: Sequence[Arriving], modseq: int) -> None:
    """Put messages into a folder that has made place for them, each to be made searchable for its new account."""
    add_wraps(
        tx,
        [{"body_id": m.came.body_id, "account_id": account, "period": m.period, "wrapped": m.wrapped} for m in new],
    )
    tx.run_many(
        _PUT,
        [
            {
                "folder_id": folder,
                "uid": m.uid,
                "account_id": account,
                "body_id": m.came.body_id,
                "period": m.period,
                "arrived_at": m.came.arrived_at,
                "saved_at": int(tx.now),
                "internal_date": m.came.internal_date,
                "zone_minutes": m.came.zone_minutes,
                "size_octets": m.came.size_octets,
                "flags": m.came.flags,
                "keywords": m.keywords,
                "modseq": modseq,
            }
            for m in new
        ],
    )
