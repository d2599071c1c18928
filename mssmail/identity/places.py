"""Places: the networks that each account's holder has signed in from, by code, certificate or token.

Two rules rest on them. From a place that its holder knows, an account's lock keeps nobody out: a stranger who fails on
it from elsewhere can't lock its holder out of where they work; who fails there is stopped by the address's own lock.
And who signs in from a new area (an IPv4 /24, an IPv6 /64) is told of it by mail.

A place is forgotten when nobody came from it for `KEPT_S`. Its address is kept sealed, for its holder's eyes.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mssmail.base.ids import AccountId
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing
from mssmail.identity.lockout import client_network
from mssmail.store import places
from mssmail.store.interface import Transaction
from mssmail.store.places import DUE, NEEDLESS, PlaceRow

KEPT_S: Final = 90 * 86_400
TRUSTED_S: Final = 30 * 86_400
"""How long after a sign-in from it a place is known well enough to pass by the account's lock."""
AREA_BITS: Final = 24


@lru_cache(maxsize=4096)
def client_area(client: str) -> str:
    """The wider network that a client's address is in, where those of one provider's line lie as it changes."""
    network = client_network(client)
    try:
        address = ipaddress.IPv4Address(network)
    except ValueError:
        return network
    return str(ipaddress.IPv4Network((address, AREA_BITS), strict=False))


@dataclass(frozen=True, slots=True)
class Place:
    """A place as its holder and an administrator see it."""

    client: bytes
    shown: str
    """The IPv4 address, or the IPv6 /64."""
    first_at: int
    last_at: int


class Places:
    """The rules over the rows, inside a transaction. Safe for threads."""

    __slots__ = ("_keys",)

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def client(self, client: str) -> bytes:
        """The digest by which a client's network stands in rows of places and of grants."""
        return self._keys.digest("grant", client_network(client).encode())

    def note(self, tx: Transaction, account: AccountId, client: str, *, tell: bool) -> None:
        """Note a sign-in. `tell`: whether a new area is to be told of."""
        digest = self.client(client)
        if places.seen(tx, account, digest):
            return
        area = self._keys.digest("area", client_area(client).encode())
        new = tell and not places.in_area(tx, account, area)
        sealed = self._keys.seal_system(client_network(client).encode(), _aad(account, digest))
        places.expire(tx, account, int(tx.now) - KEPT_S)
        places.add(tx, account, digest, area, sealed, told=DUE if new else NEEDLESS)

    def is_trusted(self, tx: Transaction, account: AccountId, client: bytes) -> bool:
        """Whether the account's holder came from there lately."""
        return bool(client) and places.last_at(tx, account, client) > tx.now - TRUSTED_S

    def of(self, tx: Transaction, account: AccountId) -> list[Place]:
        """An account's, the latest first."""
        return [Place(row.client, self.shown(row), row.first_at, row.last_at) for row in places.of(tx, account)]

    def shown(self, row: PlaceRow) -> str:
        """Raises Unsealable where the row was altered."""
        return self._keys.open_system(row.sealed, _aad(row.account_id, row.client)).decode()


def _aad(account: AccountId, client: bytes) -> bytes:
    return name_aad(b"place", account, int.from_bytes(client[:8], "big"))
