"""Absences' rows: who is away from when to when, and who is to be told so, each once for an absence.

What is to be said, and to whom, is sealed before it comes here. Times are seconds of the epoch.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import absence_answers, absences

_a, _w = absences.c, absence_answers.c


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """An absence as stored."""

    account_id: AccountId
    from_at: int
    until_at: int
    sealed: bytes
    set_at: int


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Somebody who is to be told, or was."""

    account_id: AccountId
    digest: bytes
    """Of their address, for this account."""
    sealed: bytes
    noted_at: int


_COLUMNS = (_a.account_id, _a.from_at, _a.until_at, _a.sealed, _a.set_at)
_PUT = put(absences)
_FIND = Statement(select(*_COLUMNS).where(_a.account_id == bindparam("account")))
_DROP = Statement(delete(absences).where(_a.account_id == bindparam("account")))
_DROP_ANSWERS = Statement(delete(absence_answers).where(_w.account_id == bindparam("account")))
_NOTE = put(absence_answers, ignore_existing=True)
_DUE = Statement(
    select(_w.account_id, _w.digest, _w.sealed, _w.noted_at)
    .where(_w.told == 0)
    .order_by(_w.noted_at)
    .limit(bindparam("count"))
)
_TOLD = Statement(
    update(absence_answers)
    .where(_w.account_id == bindparam("account"), _w.digest == bindparam("which"), _w.told == 0)
    .values(told=1, sealed=b"")
)
_ANSWERED = Statement(
    select(func.count()).select_from(absence_answers).where(_w.account_id == bindparam("account"), _w.told == 1)
)


def put_in(tx: Transaction, account: AccountId, from_at: int, until_at: int, sealed: bytes) -> None:
    """Set an absence, in place of any that there was: everybody may be told anew."""
    drop(tx, account)
    tx.run(_PUT, account_id=account, from_at=from_at, until_at=until_at, sealed=sealed, set_at=int(tx.now))


def find(tx: Transaction, account: AccountId) -> AbsenceRow | None:
    """The absence that was set, be it over or to come."""
    row = tx.run(_FIND, account=account).fetchone()
    return None if row is None else AbsenceRow(*row)


def drop(tx: Transaction, account: AccountId) -> bool:
    """Take an absence back; whether there was one."""
    tx.run(_DROP_ANSWERS, account=account)
    return tx.run(_DROP, account=account).rowcount == 1


def note(tx: Transaction, account: AccountId, digest: bytes, sealed: bytes) -> None:
    """Somebody wrote who is to be told, unless they were already."""
    tx.run(_NOTE, account_id=account, digest=digest, sealed=sealed, noted_at=int(tx.now), told=0)


def due(tx: Transaction, count: int) -> list[AnswerRow]:
    """Some of those who are to be told, the oldest first."""
    return [AnswerRow(*row) for row in tx.run(_DUE, count=count).fetchall()]


def told(tx: Transaction, account: AccountId, digest: bytes) -> bool:
    """They were told, or aren't to be; False where that was settled already, or the absence is another by now."""
    return tx.run(_TOLD, account=account, which=digest).rowcount == 1


def answered(tx: Transaction, account: AccountId) -> int:
    """How many are settled."""
    row = tx.run(_ANSWERED, account=account).fetchone()
    assert row is not None
    return int(row[0])
