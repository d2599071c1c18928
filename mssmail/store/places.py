"""Rows of places: the networks that each account's holder signed in from. What they hold is sealed by `identity`."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import places

DUE: Final = 0
"""Its holder is to be told of it by mail."""
NEEDLESS: Final = 1
MAILED: Final = 2


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A network that somebody signed in from."""

    account_id: AccountId
    client: bytes
    """Its digest, as in rows of grants."""
    area: bytes
    """Digest of the wider network it is in."""
    sealed: bytes
    first_at: int
    last_at: int
    told: int
    """DUE, NEEDLESS or MAILED."""


_COLUMNS = (
    places.c.account_id,
    places.c.client,
    places.c.area,
    places.c.sealed,
    places.c.first_at,
    places.c.last_at,
    places.c.told,
)
_HERE = (places.c.account_id == bindparam("account"), places.c.client == bindparam("which"))
_PUT = put(places)
_SEEN = Statement(update(places).where(*_HERE).values(last_at=bindparam("at")))
_KNOWN = Statement(select(places.c.last_at).where(*_HERE))
_AREA = Statement(
    select(places.c.last_at)
    .where(places.c.account_id == bindparam("account"), places.c.area == bindparam("within"))
    .limit(1)
)
_OF = Statement(select(*_COLUMNS).where(places.c.account_id == bindparam("account")).order_by(places.c.last_at.desc()))
_UNTOLD = Statement(select(*_COLUMNS).where(places.c.told == DUE).order_by(places.c.first_at).limit(bindparam("count")))
_TOLD = Statement(update(places).where(*_HERE, places.c.told == DUE).values(told=bindparam("now_told")))
_MAILED = Statement(
    select(func.count())
    .select_from(places)
    .where(
        places.c.account_id == bindparam("account"),
        places.c.told == MAILED,
        places.c.first_at >= bindparam("since"),
    )
)
_EXPIRE = Statement(
    delete(places).where(places.c.account_id == bindparam("account"), places.c.last_at < bindparam("before"))
)
_FORGET = Statement(delete(places).where(places.c.account_id == bindparam("account")))


def seen(tx: Transaction, account: AccountId, client: bytes) -> bool:
    """Note a sign-in from a place; False where it isn't known."""
    return tx.run(_SEEN, account=account, which=client, at=int(tx.now)).rowcount == 1


def add(tx: Transaction, account: AccountId, client: bytes, area: bytes, sealed: bytes, *, told: int) -> None:
    """A place that isn't known yet."""
    now = int(tx.now)
    tx.run(_PUT, account_id=account, client=client, area=area, sealed=sealed, first_at=now, last_at=now, told=told)


def last_at(tx: Transaction, account: AccountId, client: bytes) -> int:
    """When the account's holder last signed in from there; 0: never."""
    row = tx.run(_KNOWN, account=account, which=client).fetchone()
    return 0 if row is None else int(row[0])


def in_area(tx: Transaction, account: AccountId, area: bytes) -> bool:
    """Whether a place of that area is known."""
    return tx.run(_AREA, account=account, within=area).fetchone() is not None


def of(tx: Transaction, account: AccountId) -> list[PlaceRow]:
    """An account's, the latest first."""
    return [PlaceRow(*row) for row in tx.run(_OF, account=account).fetchall()]


def untold(tx: Transaction, count: int) -> list[PlaceRow]:
    """Those that their holders are to be told of, the oldest first."""
    return [PlaceRow(*row) for row in tx.run(_UNTOLD, count=count).fetchall()]


def told(tx: Transaction, account: AccountId, client: bytes, *, mailed: bool) -> bool:
    """Its holder has been told, or needn't be; False where that was settled already."""
    return tx.run(_TOLD, account=account, which=client, now_told=MAILED if mailed else NEEDLESS).rowcount == 1


def mailed_since(tx: Transaction, account: AccountId, since: int) -> int:
    """How many notices of places that came up since then the account was sent."""
    row = tx.run(_MAILED, account=account, since=since).fetchone()
    assert row is not None
    return int(row[0])


def expire(tx: Transaction, account: AccountId, before: int) -> None:
    """Forget the account's places that nobody came from since."""
    tx.run(_EXPIRE, account=account, before=before)


def forget(tx: Transaction, account: AccountId) -> int:
    """Forget all of the account's; how many those were."""
    return tx.run(_FORGET, account=account).rowcount
