"""Forwardings' rows: which box's mail goes on to which other. Where it goes is sealed before it comes here."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import forwards

_f = forwards.c


@dataclass(frozen=True, slots=True)
class ForwardRow:
    """A forwarding as stored."""

    account_id: AccountId
    sealed: bytes
    keep: bool
    """Whether the box gets its mail too."""
    set_at: int


_COLUMNS = (_f.account_id, _f.sealed, _f.keep, _f.set_at)
_PUT = put(forwards)
_FIND = Statement(select(*_COLUMNS).where(_f.account_id == bindparam("account")))
_DROP = Statement(delete(forwards).where(_f.account_id == bindparam("account")))
_UNTOLD = Statement(select(*_COLUMNS).where(_f.told == 0).order_by(_f.account_id).limit(bindparam("count")))
_TOLD = Statement(
    update(forwards).where(_f.account_id == bindparam("account"), _f.sealed == bindparam("which")).values(told=1)
)


def put_in(tx: Transaction, account: AccountId, sealed: bytes, *, keep: bool) -> None:
    """Set a forwarding, in place of any that there was; the box is to be told."""
    drop(tx, account)
    tx.run(_PUT, account_id=account, sealed=sealed, keep=int(keep), set_at=int(tx.now), told=0)


def find(tx: Transaction, account: AccountId) -> ForwardRow | None:
    row = tx.run(_FIND, account=account).fetchone()
    return None if row is None else ForwardRow(row[0], row[1], bool(row[2]), row[3])


def drop(tx: Transaction, account: AccountId) -> bool:
    """Take a forwarding back; whether there was one."""
    return tx.run(_DROP, account=account).rowcount == 1


def untold(tx: Transaction, count: int) -> list[ForwardRow]:
    """Some of those that their boxes are to be told of."""
    return [ForwardRow(row[0], row[1], bool(row[2]), row[3]) for row in tx.run(_UNTOLD, count=count).fetchall()]


def told(tx: Transaction, row: ForwardRow) -> None:
    """The box was told, or needn't be; not of what was set anew since."""
    tx.run(_TOLD, account=row.account_id, which=row.sealed)
