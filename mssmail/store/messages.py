"""Messages' rows: what stands where, with which flags; set-based, so that a command costs a few statements.

UID sets are inclusive (low, high) pairs, ascending. Each change takes a mod-sequence that the caller got from
`accounts.change` in the same transaction. UIDs rise in the order of the source, and are never given twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, insert, literal_column, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ColumnElement

from mssmail.base.ids import AccountId, BodyId, FolderId, Period, Uid
from mssmail.base.search import Flag
from mssmail.store import folders, vanished
from mssmail.store.interface import Cursor, Ranges, Row, Statement, Transaction, Values, put
from mssmail.store.schema import bodies, body_outbox, messages, periods, records, search_due, wraps

OUTBOX_GRACE_S = 60
"""How long a body that lost its last message stays, so that a COPY or a FETCH under way can end."""

_BATCH_ROWS = 4_096
_MAX_UID = 0xFFFF_FFFF
_SEEN = Flag.SEEN.value
_m = messages.c


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message about to stand in a folder, in the place that `folders.count` made for it."""

    folder_id: FolderId
    uid: Uid
    modseq: int
    account_id: AccountId
    body_id: BodyId
    period: Period
    arrived_at: int
    internal_date: int
    zone_minutes: int
    size_octets: int
    flags: int = 0
    keywords: int = 0


@dataclass(frozen=True, slots=True)
class NewBody:
    """A sealed body with its sealed record, and its key wrapped for each account and period."""

    body_id: BodyId
    size_octets: int
    lengths: bytes
    data: bytes | None
    """None where the body store has it."""
    record: bytes
    wraps: Sequence[tuple[AccountId, Period, bytes]]


IN_RANGE = and_(_m.folder_id == bindparam("folder"), _m.uid >= bindparam("low"), _m.uid <= bindparam("high"))
ITS_WRAP = and_(wraps.c.body_id == _m.body_id, wraps.c.account_id == bindparam("account"), wraps.c.period == _m.period)
"""The wrap by which an account reads the message."""

_PUT = put(messages)
_PUT_BODY = put(bodies)
_PUT_RECORD = put(records)
_PUT_WRAP = put(wraps, ignore_existing=True)
_PUT_DUE = put(search_due, ignore_existing=True)
_PUT_PERIOD = put(periods, ignore_existing=True)
_PERIOD_OPEN = Statement(select(periods.c.state).where(periods.c.period == bindparam("period")))

_VIEW = Statement(
    select(_m.uid, _m.flags, _m.keywords, _m.modseq).where(_m.folder_id == bindparam("folder")).order_by(_m.uid)
)
# `+ 0`: to be spared a sort of the few that changed, SQLite would go through the whole folder.
_CHANGED = Statement(
    select(_m.uid, _m.flags, _m.keywords, _m.modseq)
    .where(_m.folder_id == bindparam("folder"), _m.modseq > bindparam("since"))
    .order_by(_m.uid + 0)
)
_FACT_COLUMNS = (_m.uid, _m.internal_date, _m.zone_minutes, _m.size_octets, _m.saved_at, _m.body_id, _m.period)
"""As `Facts` has them."""
_FACTS = Statement(select(*_FACT_COLUMNS).where(IN_RANGE).order_by(_m.uid))
_WITH_RECORD = Statement(
    select(
        *_FACT_COLUMNS,
        wraps.c.wrapped,
        records.c.sealed,
    )
    .join(
        wraps,
        ITS_WRAP,
    )
    .join(records, records.c.body_id == _m.body_id)
    .where(IN_RANGE)
    .order_by(_m.uid)
)
_WITH_BODY = Statement(
    select(
        *_FACT_COLUMNS,
        wraps.c.wrapped,
        bodies.c.place,
        bodies.c.lengths,
        bodies.c.data,
    )
    .join(
        wraps,
        ITS_WRAP,
    )
    .join(bodies, bodies.c.body_id == _m.body_id)
    .where(IN_RANGE)
    .order_by(_m.uid)
)
_BODY = Statement(
    select(bodies.c.size_octets, bodies.c.place, bodies.c.lengths).where(bodies.c.body_id == bindparam("body"))
)
_BODY_DATA = Statement(
    select(func.substr(bodies.c.data, bindparam("start"), bindparam("count"))).where(
        bodies.c.body_id == bindparam("body")
    )
)
_SUMS_OF: tuple[ColumnElement[Any], ...] = (
    func.count(),
    func.coalesce(func.sum(literal_column("(messages.flags & 1) = 0")), 0),
    func.coalesce(func.sum(_m.size_octets), 0),
    func.min(_m.uid),
    func.max(_m.uid),
)
_HAS_FLAG = _m.flags.bitwise_and(bindparam("bit")) != 0
_SUMS = Statement(select(*_SUMS_OF).select_from(messages).where(IN_RANGE))
_SUMS_WITH_FLAG = Statement(select(*_SUMS_OF).select_from(messages).where(IN_RANGE, _HAS_FLAG))
_UIDS = Statement(select(_m.uid).where(IN_RANGE).order_by(_m.uid))
_WITH_FLAG = Statement(select(_m.uid).where(IN_RANGE, _HAS_FLAG).order_by(_m.uid))
_OCTETS_WITH_FLAG = Statement(
    select(func.coalesce(func.sum(_m.size_octets), 0)).where(_m.folder_id == bindparam("folder"), _HAS_FLAG)
)


def _touches(new_flags: ColumnElement[int], new_keywords: ColumnElement[int]) -> ColumnElement[bool]:
    return or_(_m.flags != new_flags, _m.keywords != new_keywords)


def _store_statement(*, replace: bool) -> Statement:
    if replace:
        new_flags: ColumnElement[int] = bindparam("flags_on")
        new_keywords: ColumnElement[int] = bindparam("keywords_on")
    else:
        new_flags = _m.flags.bitwise_and(bindparam("flags_kept")).bitwise_or(bindparam("flags_on"))
        new_keywords = _m.keywords.bitwise_and(bindparam("keywords_kept")).bitwise_or(bindparam("keywords_on"))
    return Statement(
        update(messages)
        .where(IN_RANGE, _touches(new_flags, new_keywords))
        .values(flags=new_flags, keywords=new_keywords, modseq=bindparam("new_modseq"))
    )


_STORE = _store_statement(replace=False)
_STORE_REPLACE = _store_statement(replace=True)
_CHANGED_IN = Statement(
    select(_m.uid, _m.flags, _m.keywords).where(IN_RANGE, _m.modseq > bindparam("since")).order_by(_m.uid)
)

_COPY = Statement(
    insert(messages).from_select(
        [c.name for c in messages.columns],
        select(
            bindparam("target"),
            (bindparam("first") + func.row_number().over(order_by=_m.uid) - 1),
            _m.account_id,
            _m.body_id,
            _m.period,
            _m.arrived_at,
            bindparam("saved_at"),
            _m.internal_date,
            _m.zone_minutes,
            _m.size_octets,
            _m.flags,
            _m.keywords,
            bindparam("new_modseq"),
        ).where(IN_RANGE),
    )
)
_DELETE = Statement(delete(messages).where(IN_RANGE))


_other = messages.alias("other")
# `+ 0` keeps the index of periods out of it: SQLite would go through all of a day's messages for each body, and the
# index of bodies finds the few that share one.
_ELSEWHERE = exists().where(
    and_(
        _other.c.body_id == _m.body_id,
        _other.c.account_id == _m.account_id,
        _other.c.period + 0 == _m.period,
        not_(
            and_(
                _other.c.folder_id == bindparam("folder"),
                _other.c.uid >= bindparam("low"),
                _other.c.uid <= bindparam("high"),
            )
        ),
    )
)
"""Another message than those of the range needs the same wrap."""


def _outbox(dialect: str) -> Any:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(body_outbox).from_select(
        ["body_id", "due_at"], select(_m.body_id, bindparam("due")).where(IN_RANGE, not_(_ELSEWHERE)).distinct()
    )
    return clause.on_conflict_do_update(index_elements=["body_id"], set_={"due_at": clause.excluded.due_at})


_OUTBOX = Statement(_outbox)
_ORPHAN_WRAPS = Statement(
    delete(wraps).where(
        wraps.c.body_id.in_(select(body_outbox.c.body_id).where(body_outbox.c.due_at == bindparam("due"))),
        wraps.c.account_id == bindparam("account"),
        not_(
            exists().where(
                and_(
                    _m.body_id == wraps.c.body_id,
                    _m.account_id == wraps.c.account_id,
                    _m.period + 0 == wraps.c.period,
                )
            )
        ),
    )
)


# --- arriving ---


def period_is_open(tx: Transaction, period: Period) -> bool:
    """Whether wraps may still be made under the period; makes its row where it is new."""
    if period in tx.open_periods:
        return True
    row = tx.run(_PERIOD_OPEN, period=period).fetchone()
    if row is None:  # not remembered: a unit that fails takes this row back
        tx.run(_PUT_PERIOD, period=period, state="open", closed_at=None, gone_at=None, erased=0)
        return True
    if row[0] == "open":
        tx.open_periods.add(period)
        return True
    return False


def add_bodies(tx: Transaction, new: Sequence[NewBody]) -> None:
    """Sealed bodies with their sealed records and wraps, each to be made searchable for who has a wrap of it."""
    at = int(tx.now)
    tx.run_many(
        _PUT_BODY,
        [
            {
                "body_id": body.body_id,
                "size_octets": body.size_octets,
                "created_at": at,
                "place": int(body.data is None),
                "lengths": body.lengths,
                "data": body.data,
            }
            for body in new
        ],
    )
    tx.run_many(_PUT_RECORD, [{"body_id": body.body_id, "sealed": body.record} for body in new])
    add_wraps(
        tx,
        [
            {"body_id": body.body_id, "account_id": account, "period": period, "wrapped": wrapped}
            for body in new
            for account, period, wrapped in body.wraps
        ],
    )


def add_wraps(tx: Transaction, held: Sequence[Values]) -> None:
    """Rows of wraps: who holds one gets the message made searchable."""
    tx.run_many(_PUT_WRAP, held)
    tx.run_many(_PUT_DUE, held)


def add(tx: Transaction, new: Sequence[NewMessage]) -> None:
    """Put messages into folders."""
    tx.run_many(_PUT, [_row(message) for message in new])


def _row(message: NewMessage) -> Values:
    return {
        "folder_id": message.folder_id,
        "uid": message.uid,
        "account_id": message.account_id,
        "body_id": message.body_id,
        "period": message.period,
        "arrived_at": message.arrived_at,
        "saved_at": message.arrived_at,
        "internal_date": message.internal_date,
        "zone_minutes": message.zone_minutes,
        "size_octets": message.size_octets,
        "flags": message.flags,
        "keywords": message.keywords,
        "modseq": message.modseq,
    }


# --- reading ---


def view(tx: Transaction, folder: FolderId) -> Iterator[list[Row]]:
    """(uid, flags, keywords, modseq) of every message, by UID, some thousand at a time."""
    return _in_batches(tx.run(_VIEW, folder=folder))


def changed(tx: Transaction, folder: FolderId, since: int) -> Iterator[list[Row]]:
    """The same, of messages new or changed after a mod-sequence."""
    return _in_batches(tx.run(_CHANGED, folder=folder, since=since))


def _in_batches(cursor: Cursor) -> Iterator[list[Row]]:
    while rows := cursor.fetchmany(_BATCH_ROWS):
        yield rows


def uids(tx: Transaction, folder: FolderId) -> list[int]:
    """The UIDs of every message, ascending."""
    return _uids(tx, folder, [(1, _MAX_UID)])


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands in clear beside a message."""

    uid: Uid
    internal_date: int
    zone_minutes: int
    size_octets: int
    saved_at: int
    body_id: BodyId
    period: Period


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message's facts with its wrapped key and sealed record."""

    facts: Facts
    wrapped: bytes
    record: bytes


def facts(tx: Transaction, folder: FolderId, ranges: Ranges) -> list[Facts]:
    return [Facts(*row) for low, high in ranges for row in tx.run(_FACTS, folder=folder, low=low, high=high).fetchall()]


def sealed(tx: Transaction, folder: FolderId, account: AccountId, ranges: Ranges) -> list[SealedMessage]:
    """Messages with their records, by UID. A UID whose message is gone is left out."""
    return [
        SealedMessage(Facts(*row[:7]), row[7], row[8])
        for low, high in ranges
        for row in tx.run(_WITH_RECORD, folder=folder, account=account, low=low, high=high).fetchall()
    ]


@dataclass(frozen=True, slots=True)
class SealedBody:
    """A message's facts with its wrapped key and its whole sealed body, `data` None where the body store has it."""

    facts: Facts
    wrapped: bytes
    lengths: bytes
    data: bytes | None


def with_bodies(tx: Transaction, folder: FolderId, account: AccountId, ranges: Ranges) -> Iterator[SealedBody]:
    """Messages with their inline bodies, by UID, one at a time: who stops early has read no more than that."""
    for low, high in ranges:
        cursor = tx.run(_WITH_BODY, folder=folder, account=account, low=low, high=high)
        while (row := cursor.fetchone()) is not None:
            yield SealedBody(Facts(*row[:7]), row[7], row[9], row[10] if row[8] == 0 else None)


def body(tx: Transaction, body_id: BodyId) -> tuple[int, bool, bytes] | None:
    """A body's size, whether it is inline, and the lengths of its sealed chunks; None where it is gone."""
    row = tx.run(_BODY, body=body_id).fetchone()
    return None if row is None else (row[0], row[1] == 0, row[2])


def body_data(tx: Transaction, body_id: BodyId, start: int, count: int) -> bytes | None:
    """Octets of an inline body's sealed chunks."""
    row = tx.run(_BODY_DATA, body=body_id, start=start + 1, count=count).fetchone()
    return None if row is None else row[0]


# --- changing ---


@dataclass(frozen=True, slots=True)
class Chosen:
    """Messages as they stand in a transaction: how many, how many of them unseen, their octets.

    `ranges` hold exactly these: they may span UIDs that no message has any more.
    """

    ranges: Ranges
    count: int
    unseen: int
    octets: int


def choose(tx: Transaction, folder: FolderId, ranges: Ranges) -> Chosen:
    """What stands in those ranges."""
    return _chosen(tx, _SUMS, folder, ranges, {})


def _chosen(tx: Transaction, statement: Statement, folder: FolderId, ranges: Ranges, more: Values) -> Chosen:
    count = unseen = octets = 0
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        row = tx.run(statement, folder=folder, low=low, high=high, **more).fetchone()
        assert row is not None
        if row[0]:
            count, unseen, octets = count + row[0], unseen + row[1], octets + row[2]
            found.append((row[3], row[4]))
    return Chosen(found, count, unseen, octets)


@dataclass(frozen=True, slots=True)
class FlagChange:
    """What STORE does: bits to set and to clear, or with `replace` exactly those set."""

    flags_on: int = 0
    flags_off: int = 0
    keywords_on: int = 0
    keywords_off: int = 0
    replace: bool = False

    @property
    def may_touch_seen(self) -> bool:
        return self.replace or bool((self.flags_on | self.flags_off) & _SEEN)


def changed_in(tx: Transaction, folder: FolderId, ranges: Ranges, since: int) -> list[tuple[int, int, int]]:
    """UID, flags and keywords of the messages in those ranges that changed after a mod-sequence."""
    return [
        (row[0], row[1], row[2])
        for low, high in ranges
        for row in tx.run(_CHANGED_IN, folder=folder, low=low, high=high, since=since).fetchall()
    ]


def store_flags(tx: Transaction, folder: FolderId, ranges: Ranges, change: FlagChange, modseq: int) -> int:
    """Change flags; how many rows changed. One that has them already keeps its mod-sequence (RFC 7162 §3.1.11)."""
    before = choose(tx, folder, ranges).unseen if change.may_touch_seen else 0
    common: dict[str, int | bytes | str | None] = {
        "folder": folder,
        "flags_on": change.flags_on,
        "flags_kept": ~change.flags_off,
        "keywords_on": change.keywords_on,
        "keywords_kept": ~change.keywords_off,
        "new_modseq": modseq,
    }
    statement = _STORE_REPLACE if change.replace else _STORE
    changed_rows = tx.run_many(statement, [common | {"low": low, "high": high} for low, high in ranges]).rowcount
    after = choose(tx, folder, ranges).unseen if change.may_touch_seen else 0
    if changed_rows:
        folders.count(tx, folder, modseq, messages=0, unseen=after - before, octets=0)
    return changed_rows


@dataclass(frozen=True, slots=True)
class Copied:
    """What COPY and MOVE did: the source's messages, their UIDs in order, and the first of as many new UIDs."""

    source: Chosen
    uids: list[int]
    first: Uid


def copy(
    tx: Transaction, source: FolderId, ranges: Ranges, target: FolderId, modseq: int, saved_at: int
) -> Copied | None:
    """Copy messages inside an account, wraps as they are; None where the target is gone."""
    uids, found = _uids(tx, source, ranges), choose(tx, source, ranges)
    first = folders.count(
        tx, target, modseq, uids=found.count, messages=found.count, unseen=found.unseen, octets=found.octets
    )
    if first is None:
        return None
    at: int = first
    for low, high in ranges:
        at += tx.run(
            _COPY,
            target=target,
            first=at,
            saved_at=saved_at,
            new_modseq=modseq,
            folder=source,
            low=low,
            high=high,
        ).rowcount
    return Copied(found, uids, first)


def _uids(tx: Transaction, folder: FolderId, ranges: Ranges) -> list[int]:
    return [row[0] for low, high in ranges for row in tx.run(_UIDS, folder=folder, low=low, high=high).fetchall()]


def with_flag(tx: Transaction, folder: FolderId, ranges: Ranges, bit: int, most: int) -> Chosen:
    """Those in these ranges that carry a flag now, where no more than `most` messages can stand in them."""
    found = _chosen(tx, _SUMS_WITH_FLAG, folder, ranges, {"bit": bit})
    if found.count == most:
        return found
    uids = [
        row[0]
        for low, high in found.ranges
        for row in tx.run(_WITH_FLAG, folder=folder, low=low, high=high, bit=bit).fetchall()
    ]
    return Chosen(ranges_of(uids), found.count, found.unseen, found.octets)


def octets_with_flag(tx: Transaction, folder: FolderId, bit: int) -> int:
    """What the messages of a folder that carry a flag take."""
    row = tx.run(_OCTETS_WITH_FLAG, folder=folder, bit=bit).fetchone()
    return 0 if row is None else int(row[0])


def remove(
    tx: Transaction,
    folder: FolderId,
    account: AccountId,
    chosen: Chosen,
    modseq: int,
    *,
    keep_wraps: bool = False,
    grace_s: int = OUTBOX_GRACE_S,
) -> None:
    """Take messages out of a folder for good: rows, wraps that nothing else in the account needs; bodies after a grace.

    `chosen` in this transaction. `keep_wraps` for MOVE, where the copies made in the same transaction need them.
    """
    if not chosen.count:
        return
    due = int(tx.now) + grace_s
    for low, high in chosen.ranges:
        # A body that stays in the account under the same wrap is no business of the outbox: a range at a time, so that
        # two copies that go together are both seen to go.
        if not keep_wraps:
            tx.run(_OUTBOX, due=due, folder=folder, low=low, high=high)
        tx.run(_DELETE, folder=folder, low=low, high=high)
    if not keep_wraps:
        tx.run(_ORPHAN_WRAPS, due=due, account=account)
    vanished.add(tx, folder, modseq, chosen.ranges)
    folders.count(tx, folder, modseq, messages=-chosen.count, unseen=-chosen.unseen, octets=-chosen.octets)


def ranges_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as inclusive ranges."""
    out: list[tuple[int, int]] = []
    low = high = -2
    for number in numbers:
        if number == high + 1:
            high = number
            continue
        if low >= 0:
            out.append((low, high))
        low = high = number
    if low >= 0:
        out.append((low, high))
    return out
