"""Rows of administrators, and of orders that wait for a second one. What they say is sealed by `identity`."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import administrators, orders


@dataclass(frozen=True, slots=True)
class AdministratorRow:
    """An administrator as stored."""

    number: int
    uid: int
    sealed: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as stored."""

    number: int
    until: int
    sealed: bytes


_COLUMNS = (
    administrators.c.administrator_id,
    administrators.c.uid,
    administrators.c.sealed,
    administrators.c.created_at,
)
_ADD = put(administrators)
_ALL = Statement(select(*_COLUMNS).order_by(administrators.c.administrator_id))
_BY_UID = Statement(select(*_COLUMNS).where(administrators.c.uid == bindparam("which")))
_BY_NAME = Statement(select(*_COLUMNS).where(administrators.c.name_digest == bindparam("digest")))
_CHANGE = Statement(
    update(administrators)
    .where(administrators.c.administrator_id == bindparam("number"))
    .values(sealed=bindparam("content"))
)
_DROP = Statement(delete(administrators).where(administrators.c.administrator_id == bindparam("number")))

_ORDER_COLUMNS = (orders.c.order_id, orders.c.until, orders.c.sealed)
_PUT_ORDER = put(orders)
_ORDER = Statement(select(*_ORDER_COLUMNS).where(orders.c.order_id == bindparam("number")))
_ORDERS = Statement(select(*_ORDER_COLUMNS).order_by(orders.c.order_id))
_TAKE_ORDER = Statement(delete(orders).where(orders.c.order_id == bindparam("number")))


def add(tx: Transaction, number: int, uid: int, digest: bytes, sealed: bytes) -> None:
    """Write a new administrator's row; the user and the name must be nobody's yet."""
    tx.run(_ADD, administrator_id=number, uid=uid, name_digest=digest, sealed=sealed, created_at=int(tx.now))


def every(tx: Transaction) -> list[AdministratorRow]:
    """All of them, the oldest first."""
    return [AdministratorRow(*row) for row in tx.run(_ALL).fetchall()]


def by_uid(tx: Transaction, uid: int) -> AdministratorRow | None:
    row = tx.run(_BY_UID, which=uid).fetchone()
    return None if row is None else AdministratorRow(*row)


def by_name(tx: Transaction, digest: bytes) -> AdministratorRow | None:
    row = tx.run(_BY_NAME, digest=digest).fetchone()
    return None if row is None else AdministratorRow(*row)


def change(tx: Transaction, number: int, sealed: bytes) -> None:
    tx.run(_CHANGE, number=number, content=sealed)


def drop(tx: Transaction, number: int) -> None:
    tx.run(_DROP, number=number)


def put_order(tx: Transaction, number: int, until: int, sealed: bytes) -> None:
    tx.run(_PUT_ORDER, order_id=number, until=until, sealed=sealed)


def order(tx: Transaction, number: int) -> OrderRow | None:
    row = tx.run(_ORDER, number=number).fetchone()
    return None if row is None else OrderRow(*row)


def orders_waiting(tx: Transaction) -> list[OrderRow]:
    """All orders, those whose time is over too, the oldest first."""
    return [OrderRow(*row) for row in tx.run(_ORDERS).fetchall()]


def take_order(tx: Transaction, number: int) -> bool:
    """Remove an order; False where it is gone already: somebody else took it."""
    return tx.run(_TAKE_ORDER, number=number).rowcount == 1
