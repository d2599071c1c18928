"""Rows of devices that wait for their user to let them in from a browser (RFC 8628). Both codes are digests."""

from dataclasses import dataclass
from enum import IntEnum, unique

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.store.interface import Row, Statement, Transaction, put
from mssmail.store.schema import device_requests


@unique
class DeviceState(IntEnum):
    """What the user said; the number is what lies in the row."""

    WAITING = 0
    GRANTED = 1
    DENIED = 2


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device's request."""

    digest: bytes
    user_digest: bytes
    client_id: str
    scope: str
    state: DeviceState
    authorization_id: int
    interval_s: int
    polled_at: int
    expires_at: int


_COLUMNS = (
    device_requests.c.digest,
    device_requests.c.user_digest,
    device_requests.c.client_id,
    device_requests.c.scope,
    device_requests.c.state,
    device_requests.c.authorization_id,
    device_requests.c.interval_s,
    device_requests.c.polled_at,
    device_requests.c.expires_at,
)
_PUT = put(device_requests, ignore_existing=True)
_BY_DEVICE = Statement(select(*_COLUMNS).where(device_requests.c.digest == bindparam("which")))
_BY_USER = Statement(select(*_COLUMNS).where(device_requests.c.user_digest == bindparam("which")))
_COUNT = Statement(select(func.count()).select_from(device_requests))
_POLLED = Statement(
    update(device_requests)
    .where(device_requests.c.digest == bindparam("which"))
    .values(polled_at=bindparam("at"), interval_s=bindparam("interval"))
)
_DECIDE = Statement(
    update(device_requests)
    .where(
        device_requests.c.digest == bindparam("which"),
        device_requests.c.state == DeviceState.WAITING.value,
    )
    .values(state=bindparam("decided"), authorization_id=bindparam("authorization"))
)
_DROP = Statement(delete(device_requests).where(device_requests.c.digest == bindparam("which")))
_DROP_CLIENT = Statement(delete(device_requests).where(device_requests.c.client_id == bindparam("client")))
_EXPIRE = Statement(delete(device_requests).where(device_requests.c.expires_at <= bindparam("before")))


def _row(row: Row) -> DeviceRow:
    return DeviceRow(row[0], row[1], row[2], row[3], DeviceState(row[4]), row[5], row[6], row[7], row[8])


def add(tx: Transaction, row: DeviceRow) -> bool:
    """False where either code is taken."""
    values: dict[str, int | bytes | str] = {name: getattr(row, name) for name in DeviceRow.__dataclass_fields__}
    return tx.run(_PUT, **values).rowcount == 1


def by_device(tx: Transaction, digest: bytes) -> DeviceRow | None:
    row = tx.run(_BY_DEVICE, which=digest).fetchone()
    return None if row is None else _row(row)


def by_user(tx: Transaction, digest: bytes) -> DeviceRow | None:
    row = tx.run(_BY_USER, which=digest).fetchone()
    return None if row is None else _row(row)


def count(tx: Transaction) -> int:
    row = tx.run(_COUNT).fetchone()
    assert row is not None
    return int(row[0])


def polled(tx: Transaction, digest: bytes, interval_s: int) -> None:
    """Note that a device asked, and how long it must wait from now on."""
    tx.run(_POLLED, which=digest, at=int(tx.now), interval=interval_s)


def decide(tx: Transaction, digest: bytes, state: DeviceState, authorization: int = 0) -> bool:
    """Note what the user said; False where they said something before."""
    return tx.run(_DECIDE, which=digest, decided=state.value, authorization=authorization).rowcount == 1


def drop(tx: Transaction, digest: bytes) -> bool:
    return tx.run(_DROP, which=digest).rowcount == 1


def drop_client(tx: Transaction, client: str) -> None:
    tx.run(_DROP_CLIENT, client=client)


def expire(tx: Transaction, before: int) -> None:
    """Forget those that ended before then: for a while an ended one is told so."""
    tx.run(_EXPIRE, before=before)
