"""Grants: how long a sign-in by password and code serves the same client address, and by what it is known again.

A grant belongs to an account and a client network (IPv4 address, IPv6 /64), over SMTP and IMAP, workers and restarts.
It is opened by a valid code that no one used before, and lasts `auth.grant_lifetime` from then; nothing prolongs it.
Within it the password is taken with any code that it accepted, or with another valid unused code, which joins it. With
`0s` none is ever opened. Step and grant are taken in one transaction: when several connections bring the same code at
once (Thunderbird opens five), one takes the step and the others find the grant that it opened.

What an ended grant took from the same address is known for that: the code is no longer good, but nobody is guessing,
so it is told and counts as no failure. A mail program that goes on with its saved password locks nobody out.

Argon2 runs when a password is first seen; after that an HMAC of what was presented, under a random key of this
process, is looked up. It covers the grant and the sealed secrets, so that it outlives neither.
"""

import hmac
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, unique
from threading import Lock
from typing import Final

from mssmail.base.ids import AccountId
from mssmail.settings.model import Auth
from mssmail.store import accounts, grants
from mssmail.store.grants import GrantRow
from mssmail.store.interface import Transaction

REMEMBERED: Final = 50_000
"""Some 150 octets each; past that the least recently used is forgotten, which costs one Argon2."""
NO_GRANTS: Final = b""
"""Stands for a client's digest where the protocol knows no grants (HTTPS): none is found under it, none is opened."""
_MAC_OCTETS: Final = 16


@unique
class Taken(Enum):
    """What became of a code."""

    FRESH = "fresh"
    """It was valid and unused; it is used now, and opened or joined the grant."""
    GRANTED = "granted"
    """The grant had accepted it before."""
    USED = "used"
    """It was used elsewhere, or a later one was."""


class Memory:
    """What this process saw verified, by keyed digest. Safe for threads."""

    __slots__ = ("_key", "_lock", "_once", "_seen")

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._once: OrderedDict[bytes, int] = OrderedDict()
        self._lock = Lock()

    def knows(self, grant: int, sealed_secrets: bytes, presented: str) -> bool:
        """Whether exactly this was accepted in this grant, with the account's present secrets."""
        mac = self._mac(grant, sealed_secrets, presented)
        with self._lock:
            if mac not in self._seen:
                return False
            self._seen.move_to_end(mac)
            return True

    def keep(self, grant: int, sealed_secrets: bytes, presented: str) -> None:
        mac = self._mac(grant, sealed_secrets, presented)
        with self._lock:
            self._seen[mac] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def served(self, account: AccountId, client: bytes, presented: str) -> int | None:
        """The number of the last grant in which exactly this was accepted from there, ended or not."""
        mac = self._mac(0, account.to_bytes(8, "big") + client, presented)
        with self._lock:
            return self._once.get(mac)

    def keep_served(self, account: AccountId, client: bytes, presented: str, grant: int) -> None:
        mac = self._mac(0, account.to_bytes(8, "big") + client, presented)
        with self._lock:
            self._once[mac] = grant
            self._once.move_to_end(mac)
            if len(self._once) > REMEMBERED:
                self._once.popitem(last=False)

    def _mac(self, grant: int, sealed_secrets: bytes, presented: str) -> bytes:
        """A look-up by it leaks nothing by its time: who doesn't know the key can't aim at a neighbouring value."""
        content = grant.to_bytes(8, "big") + len(sealed_secrets).to_bytes(4, "big") + sealed_secrets
        return hmac.digest(self._key, content + presented.encode("utf-8", "surrogatepass"), "sha256")[:_MAC_OCTETS]


@dataclass(frozen=True, slots=True)
class Grant:
    """A live grant: its number (its first row's) and the steps of the codes that it accepted."""

    number: int
    opened_at: int
    ends_at: int
    steps: tuple[int, ...]

    @classmethod
    def of(cls, rows: Sequence[GrantRow]) -> "Grant | None":
        if not rows:
            return None
        first = rows[0]
        return cls(first.grant_id, first.opened_at, first.ends_at, tuple(row.step for row in rows))


class Grants:
    """The rules over the rows, inside a transaction. `client`: a network's digest, see `Places.client`."""

    __slots__ = ("_auth",)

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    def live(self, tx: Transaction, account: AccountId, client: bytes) -> Grant | None:
        return Grant.of(grants.live(tx, account, client, int(tx.now)))

    def take(self, tx: Transaction, account: AccountId, client: bytes, step: int) -> tuple[Taken, Grant | None]:
        """Use a code that was found valid now; the grant it is in, None where the settings allow none."""
        grant = self.live(tx, account, client)
        if grant is not None and step in grant.steps:
            return Taken.GRANTED, grant
        if not accounts.use_step(tx, account, step):
            return Taken.USED, grant
        now = int(tx.now)
        if grant is None and (client == NO_GRANTS or self._auth.grant_lifetime == 0):
            return Taken.FRESH, None
        opened_at, ends_at = (
            (now, now + self._auth.grant_lifetime) if grant is None else (grant.opened_at, grant.ends_at)
        )
        row = grants.add(tx, account, client, opened_at=opened_at, ends_at=ends_at, step=step)
        if grant is None:
            return Taken.FRESH, Grant(row.grant_id, opened_at, ends_at, (step,))
        return Taken.FRESH, Grant(grant.number, opened_at, ends_at, (*grant.steps, step))
