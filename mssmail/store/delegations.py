"""Delegations' rows: which account may do what in which other's box, and until when. Rights end by `tx.now`."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.base.ids import AccountId
from mssmail.base.rights import NONE, Delegation, Right
from mssmail.store.interface import Row, Statement, Transaction, put
from mssmail.store.schema import delegations

_d = delegations.c


@dataclass(frozen=True, slots=True)
class DelegationRow:
    """A delegation as stored."""

    account_id: AccountId
    """The box."""
    delegate_id: AccountId
    delegation: Delegation
    giver_id: AccountId
    """The account that gave it; 0 for an administrator."""
    created_at: int


_COLUMNS = (_d.account_id, _d.delegate_id, _d.rights, _d.from_at, _d.until_at, _d.giver_id, _d.created_at)
_ITS = (_d.account_id == bindparam("account"), _d.delegate_id == bindparam("delegate"))
_PUT = put(delegations)
_DROP = Statement(delete(delegations).where(*_ITS))
_FIND = Statement(select(_d.rights, _d.from_at, _d.until_at).where(*_ITS))
_OF_BOX = Statement(select(*_COLUMNS).where(_d.account_id == bindparam("account")).order_by(_d.delegate_id))
_OF_PERSON = Statement(select(*_COLUMNS).where(_d.delegate_id == bindparam("delegate")).order_by(_d.account_id))
_ALL = Statement(select(*_COLUMNS).order_by(_d.account_id, _d.delegate_id))
_UNTOLD = Statement(
    select(*_COLUMNS).where(_d.told == 0).order_by(_d.account_id, _d.delegate_id).limit(bindparam("count"))
)
_TOLD = Statement(
    update(delegations)
    .where(*_ITS, _d.created_at == bindparam("created"), _d.rights == bindparam("held"))
    .values(told=1)
)
_COUNT = Statement(select(func.count()).select_from(delegations).where(_d.account_id == bindparam("account")))


def _row(row: Row) -> DelegationRow:
    return DelegationRow(row[0], row[1], Delegation(Right(row[2]), row[3], row[4]), row[5], row[6])


def put_in(
    tx: Transaction, account: AccountId, delegate: AccountId, given: Delegation, giver: AccountId, *, tell: bool
) -> None:
    """Give a delegation, in place of any that there was; with `tell` the box is to be told of it by mail."""
    drop(tx, account, delegate)
    tx.run(
        _PUT,
        account_id=account,
        delegate_id=delegate,
        rights=given.rights.value,
        from_at=given.from_at,
        until_at=given.until_at,
        giver_id=giver,
        created_at=int(tx.now),
        told=int(not tell),
    )


def drop(tx: Transaction, account: AccountId, delegate: AccountId) -> bool:
    """Take a delegation back; whether there was one."""
    return tx.run(_DROP, account=account, delegate=delegate).rowcount == 1


def find(tx: Transaction, account: AccountId, delegate: AccountId) -> Delegation | None:
    """The delegation of a box to somebody, in force or not."""
    row = tx.run(_FIND, account=account, delegate=delegate).fetchone()
    return None if row is None else Delegation(Right(row[0]), row[1], row[2])


def rights(tx: Transaction, account: AccountId, delegate: AccountId) -> Right:
    """What somebody may do in another's box now."""
    found = find(tx, account, delegate)
    return NONE if found is None else found.at(tx.now)


def of_box(tx: Transaction, account: AccountId) -> list[DelegationRow]:
    """Who was given what in a box, in force or not."""
    return [_row(row) for row in tx.run(_OF_BOX, account=account).fetchall()]


def of_person(tx: Transaction, delegate: AccountId) -> list[DelegationRow]:
    """The boxes in which somebody was given rights, in force or not."""
    return [_row(row) for row in tx.run(_OF_PERSON, delegate=delegate).fetchall()]


def every(tx: Transaction) -> list[DelegationRow]:
    return [_row(row) for row in tx.run(_ALL).fetchall()]


def count_of(tx: Transaction, account: AccountId) -> int:
    """How many delegations of a box there are."""
    row = tx.run(_COUNT, account=account).fetchone()
    assert row is not None
    return int(row[0])


def untold(tx: Transaction, count: int) -> list[DelegationRow]:
    """Some of those that their boxes are to be told of."""
    return [_row(row) for row in tx.run(_UNTOLD, count=count).fetchall()]


def told(tx: Transaction, given: DelegationRow) -> None:
    """The box was told, or needn't be; not of what was given anew since."""
    tx.run(
        _TOLD,
        account=given.account_id,
        delegate=given.delegate_id,
        created=given.created_at,
        held=given.delegation.rights.value,
    )
