"""Rows that searches read: sealed texts of bodies, sealed columns of header fields, and what is still due.

A text is its body's and goes with it. An entry says which columns hold a message's fields; it is written only while
the message's wrap stands, in one transaction, and goes once no such wrap is left: then its columns go as a whole, and
what else they held is due again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, unique

from sqlalchemy import and_, bindparam, delete, exists, not_, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement, ColumnElement

from mssmail.base.ids import AccountId, BodyId, FolderId, Period
from mssmail.store.interface import Ranges, Row, Statement, Transaction, Values, put
from mssmail.store.schema import (
    messages,
    records,
    search_columns,
    search_due,
    search_entries,
    search_texts,
    wraps,
)

_m, _d, _e = messages.c, search_due.c, search_entries.c


def _in_range() -> ColumnElement[bool]:
    return and_(_m.folder_id == bindparam("folder"), _m.uid >= bindparam("low"), _m.uid <= bindparam("high"))


_CLEAR = (_m.uid, _m.body_id, _m.internal_date, _m.zone_minutes, _m.size_octets, _m.period)
_FACTS = Statement(select(*_CLEAR).where(_in_range()).order_by(_m.uid))
_WITH_COLUMNS = Statement(
    select(*_CLEAR, _e.columns_id)
    .outerjoin(
        search_entries,
        and_(_e.body_id == _m.body_id, _e.account_id == _m.account_id, _e.period == _m.period),
    )
    .where(_in_range())
    .order_by(_m.uid)
)
_TEXTS = Statement(
    select(_m.uid, _m.body_id, _m.period, wraps.c.wrapped, search_texts.c.sealed)
    .join(
        wraps,
        and_(wraps.c.body_id == _m.body_id, wraps.c.account_id == bindparam("account"), wraps.c.period == _m.period),
    )
    .join(search_texts, search_texts.c.body_id == _m.body_id)
    .where(_in_range())
    .order_by(_m.uid)
)
_c = search_columns.c
_COLUMNS = Statement(select(_c.period, _c.wrapped, _c.sealed).where(_c.columns_id == bindparam("number")))
_COLUMNS_OF = Statement(
    select(_c.columns_id, _c["count"])
    .where(_c.period == bindparam("which"), _c.account_id == bindparam("account"))
    .order_by(_c["count"])
)

_DUE = Statement(
    select(_d.account_id, _d.period, _d.body_id, wraps.c.wrapped, search_texts.c.body_id, _e.columns_id)
    .select_from(
        search_due.outerjoin(
            wraps,
            and_(wraps.c.body_id == _d.body_id, wraps.c.account_id == _d.account_id, wraps.c.period == _d.period),
        )
        .outerjoin(search_texts, search_texts.c.body_id == _d.body_id)
        .outerjoin(
            search_entries,
            and_(_e.body_id == _d.body_id, _e.account_id == _d.account_id, _e.period == _d.period),
        )
    )
    .where(_d.account_id >= bindparam("first"))
    .order_by(_d.account_id, _d.period, _d.body_id)
    .limit(bindparam("count"))
)
_RECORD = Statement(select(records.c.sealed).where(records.c.body_id == bindparam("body")))
_DROP_DUE = Statement(
    delete(search_due).where(
        _d.account_id == bindparam("account"), _d.period == bindparam("which"), _d.body_id == bindparam("body")
    )
)
_STATE = Statement(
    select(_e.columns_id)
    .select_from(
        wraps.outerjoin(
            search_entries,
            and_(_e.body_id == wraps.c.body_id, _e.account_id == wraps.c.account_id, _e.period == wraps.c.period),
        )
    )
    .where(
        wraps.c.body_id == bindparam("body"),
        wraps.c.account_id == bindparam("account"),
        wraps.c.period == bindparam("which"),
    )
)
"""A row where the message's wrap stands: which columns hold its entry, NULL for none."""
_STANDS = Statement(select(_c["count"]).where(_c.columns_id == bindparam("number")))
_PUT_TEXT = put(search_texts, ignore_existing=True)
_PUT_COLUMNS = put(search_columns)
_PUT_ENTRY = put(search_entries)
_MOVE_ENTRIES = Statement(
    update(search_entries).where(_e.columns_id == bindparam("number")).values(columns_id=bindparam("into"))
)
_DROP_COLUMNS = Statement(delete(search_columns).where(_c.columns_id == bindparam("number")))
_DROP_ENTRIES = Statement(delete(search_entries).where(_e.columns_id == bindparam("number")))
_DROP_TEXT = Statement(delete(search_texts).where(search_texts.c.body_id == bindparam("body")))
_LOST = Statement(
    select(_e.columns_id).where(
        _e.body_id == bindparam("body"),
        not_(
            exists().where(
                and_(wraps.c.body_id == _e.body_id, wraps.c.account_id == _e.account_id, wraps.c.period == _e.period)
            )
        ),
    )
)
_OF_PERIOD = Statement(select(_c.columns_id).where(_c.period == bindparam("which")).limit(bindparam("count")))


def _due_again(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    rows = select(_e.account_id, _e.period, _e.body_id).where(_e.columns_id == bindparam("number"))
    return make(search_due).from_select(["account_id", "period", "body_id"], rows).on_conflict_do_nothing()


_DUE_AGAIN = Statement(_due_again)


# --- searching ---


def facts(tx: Transaction, folder: FolderId, ranges: Ranges) -> list[Row]:
    """(uid, body, internal date, zone's minutes, octets, period) of messages, by UID."""
    return _rows(tx, _FACTS, folder, ranges)


def facts_with_columns(tx: Transaction, folder: FolderId, ranges: Ranges) -> list[Row]:
    """The same, with the number of the columns that hold a message's fields last, None where none do."""
    return _rows(tx, _WITH_COLUMNS, folder, ranges)


def _rows(tx: Transaction, statement: Statement, folder: FolderId, ranges: Ranges) -> list[Row]:
    out: list[Row] = []
    for low, high in ranges:
        out += tx.run(statement, folder=folder, low=low, high=high).fetchall()
    return out


def texts(tx: Transaction, folder: FolderId, account: AccountId, ranges: Ranges) -> list[Row]:
    """(uid, body, period, wrapped key, sealed text) of the messages that have a search text, by UID."""
    out: list[Row] = []
    for low, high in ranges:
        out += tx.run(_TEXTS, folder=folder, account=account, low=low, high=high).fetchall()
    return out


def columns(tx: Transaction, number: BodyId) -> tuple[Period, bytes, bytes] | None:
    """Period, wrapped key and sealed octets of columns."""
    row = tx.run(_COLUMNS, number=number).fetchone()
    return None if row is None else (Period(row[0]), row[1], row[2])


# --- making ---


@dataclass(frozen=True, slots=True)
class Due:
    """A message to be made searchable. No `wrapped`: it is gone."""

    account: AccountId
    period: Period
    body: BodyId
    wrapped: bytes | None
    has_text: bool
    has_entry: bool


@dataclass(frozen=True, slots=True)
class NewColumns:
    """Columns about to be written: with new entries, in place of others whose entries they take over."""

    number: BodyId
    account: AccountId
    period: Period
    count: int
    wrapped: bytes
    sealed: bytes
    bodies: Sequence[BodyId]
    """Of the new entries."""
    replaced: Sequence[tuple[BodyId, int]]
    """The others and how many entries they had."""


def due(tx: Transaction, first: int, count: int) -> list[Due]:
    """Some messages due, of accounts from `first` on, by account and period."""
    return [
        Due(AccountId(row[0]), Period(row[1]), BodyId(row[2]), row[3], row[4] is not None, row[5] is not None)
        for row in tx.run(_DUE, first=first, count=count).fetchall()
    ]


def record(tx: Transaction, body: BodyId) -> bytes | None:
    row = tx.run(_RECORD, body=body).fetchone()
    return None if row is None else row[0]


def columns_of(tx: Transaction, account: AccountId, period: Period) -> list[tuple[BodyId, int]]:
    """Columns of an account and period with their number of entries, smallest first."""
    return [(BodyId(row[0]), row[1]) for row in tx.run(_COLUMNS_OF, account=account, which=period).fetchall()]


def write(tx: Transaction, done: Sequence[Due], made: dict[BodyId, bytes], columns: Sequence[NewColumns]) -> int:
    """Write texts and columns, and forget that `done` were due; how many of the columns had to wait.

    What a purge, an expunge or a search overtook isn't written: a message whose wrap is gone gets no text here; columns
    that hold such a one or one that others hold already, or replace some that are gone, wait for the next turn.
    """
    states = {(d.account, d.body, d.period): _state(tx, d.account, d.body, d.period) for d in done if d.wrapped}
    bodies = {body for (_, body, _), state in states.items() if state is not _State.GONE}
    texts: list[Values] = [{"body_id": body, "sealed": sealed} for body, sealed in made.items() if body in bodies]
    if texts:
        tx.run_many(_PUT_TEXT, texts)
    waiting: set[tuple[AccountId, Period]] = set()
    for new in columns:
        if not _write_columns(tx, new, [states.get((new.account, body, new.period)) for body in new.bodies]):
            waiting.add((new.account, new.period))
    finished = [d for d in done if (d.account, d.period) not in waiting]
    if finished:
        tx.run_many(_DROP_DUE, [{"account": d.account, "which": d.period, "body": d.body} for d in finished])
    return len(waiting)


def keep(tx: Transaction, account: AccountId, texts: Sequence[Row], columns: Sequence[NewColumns]) -> None:
    """Write (body, period, sealed text) and columns that a search made on its way, where the messages still stand."""
    for body, period, sealed in texts:
        if _state(tx, account, body, period) is not _State.GONE:
            tx.run(_PUT_TEXT, body_id=body, sealed=sealed)
    for new in columns:
        _write_columns(tx, new, [_state(tx, account, body, new.period) for body in new.bodies])


@unique
class _State(Enum):
    """Of a message that is about to be made searchable."""

    GONE = "gone"
    BARE = "bare"
    """Without an entry in columns."""
    HELD = "held"
    """Columns hold its entry."""


def _state(tx: Transaction, account: AccountId, body: BodyId, period: Period) -> _State:
    row = tx.run(_STATE, body=body, account=account, which=period).fetchone()
    return _State.GONE if row is None else _State.BARE if row[0] is None else _State.HELD


def _write_columns(tx: Transaction, new: NewColumns, states: Sequence[_State | None]) -> bool:
    """All of it, or nothing where it was overtaken. `states`: of the new entries' messages."""
    if any(state is not _State.BARE for state in states):
        return False
    for old, count in new.replaced:
        row = tx.run(_STANDS, number=old).fetchone()
        if row is None or row[0] != count:
            return False
    tx.run(
        _PUT_COLUMNS,
        columns_id=new.number,
        account_id=new.account,
        period=new.period,
        count=new.count,
        wrapped=new.wrapped,
        sealed=new.sealed,
    )
    for old, _ in new.replaced:
        tx.run(_MOVE_ENTRIES, number=old, into=new.number)
        tx.run(_DROP_COLUMNS, number=old)
    account, period, number = new.account, new.period, new.number
    tx.run_many(
        _PUT_ENTRY,
        [{"body_id": body, "account_id": account, "period": period, "columns_id": number} for body in new.bodies],
    )
    return True


# --- going ---


def drop_text(tx: Transaction, body: BodyId) -> None:
    """A body goes: so does its search text."""
    tx.run(_DROP_TEXT, body=body)


def drop_lost(tx: Transaction, body: BodyId) -> None:
    """Drop the columns in which this body stands for a message that is gone; what else they held is due again."""
    for number in {row[0] for row in tx.run(_LOST, body=body).fetchall()}:
        tx.run(_DUE_AGAIN, number=number)
        tx.run(_DROP_ENTRIES, number=number)
        tx.run(_DROP_COLUMNS, number=number)


def drop_of_period(tx: Transaction, period: Period, count: int) -> int:
    """Drop columns of a period that is being erased; how many."""
    found = [row[0] for row in tx.run(_OF_PERIOD, which=period, count=count).fetchall()]
    for number in found:
        tx.run(_DROP_ENTRIES, number=number)
        tx.run(_DROP_COLUMNS, number=number)
    return len(found)
