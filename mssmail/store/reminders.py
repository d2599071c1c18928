"""Reminders' rows: senders whose programs leave out what they ought to say, and when they were last told."""

from typing import Final

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction
from mssmail.store.schema import reminders

EVERY_S: Final = 86_400
_r = reminders.c


def _note(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(reminders).values(account_id=bindparam("account"), missing=bindparam("what"), told_at=0, due=1)
    again = _r.told_at <= bindparam("before")
    return clause.on_conflict_do_update(
        index_elements=["account_id"],
        set_={
            "missing": case((_r.due == 1, _r.missing.bitwise_or(bindparam("what"))), else_=bindparam("what")),
            "due": 1,
        },
        where=again,
    )


_NOTE = Statement(_note)
_DUE = Statement(select(_r.account_id, _r.missing).where(_r.due == 1).order_by(_r.account_id).limit(bindparam("count")))
_TOLD = Statement(
    update(reminders).where(_r.account_id == bindparam("account"), _r.due == 1).values(due=0, told_at=bindparam("at"))
)


def note(tx: Transaction, account: AccountId, missing: int) -> None:
    """Something was missing, as bits; nothing is noted within a day of the last reminder."""
    tx.run(_NOTE, account=account, what=missing, before=int(tx.now) - EVERY_S)


def due(tx: Transaction, count: int) -> list[tuple[AccountId, int]]:
    """Some of those to be told, and of what."""
    return [(AccountId(row[0]), row[1]) for row in tx.run(_DUE, count=count).fetchall()]


def told(tx: Transaction, account: AccountId) -> bool:
    """They were told; False where that was settled already."""
    return tx.run(_TOLD, account=account, at=int(tx.now)).rowcount == 1
