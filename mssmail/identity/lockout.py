"""Failed sign-ins: counted by source address and by login, over all protocols and workers, and what follows.

A failure counts for `auth.failure_window`. The one that makes `auth.max_failures` locks its address, and its login,
for `auth.lock_time`; attempts while locked are neither judged nor counted; after the lock the count begins anew.

- Both counters are moved in one write transaction with the outcome, and the lock is asked there again: whoever tries
  many passwords at once still learns no more than `max_failures` outcomes.
- An unknown login is counted like a known one, so that a lock doesn't tell them apart. Its text isn't kept: people
  type passwords into the wrong field.
- A good sign-in with a fresh code takes back this login's failures, from the login's counter and from its share in
  the address's. It takes back nothing else: who has one account of their own can't wash their address clean of what
  they try on others, and a hospital behind one address isn't locked out by a day's slips that were made good.
- A sign-in within a grant or by certificate takes nothing back: the owner's mail client, reconnecting all day, would
  give an attacker endless tries.
- A code that an ended grant took is no failure: see `grants`.
- A certificate shown while its account is locked lifts the lock, at most once in `LIFTED_EVERY_S`: oftener, a mail
  program that reconnects all day would give an attacker endless tries. What passes by a lock is told in `authenticate`.
- 127.0.0.x are addresses like others, each by itself. IPv6 counts by /64, which is what one site has. Addresses of
  `auth.never_banned` aren't counted at all: many people stand behind each.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network
from typing import Final

from mssmail.base.ids import AccountId
from mssmail.base.network import client_address, within
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing
from mssmail.settings.model import Auth
from mssmail.store import failures
from mssmail.store.failures import FailureRow
from mssmail.store.interface import Transaction

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0
LIFTED_EVERY_S: Final = 86_400
_REMEMBERED: Final = 4096
_TAG_DIGITS: Final = 16
"""Hex digits of a login's digest beside each failure of an address: enough to tell its logins apart."""


@lru_cache(maxsize=4096)
def client_network(client: str) -> str:
    """The part of a client's address that counts as one source: all of IPv4, the /64 of IPv6.

    An IPv4 address mapped into IPv6 is that IPv4 address. What isn't an address counts as it is written.
    """
    try:
        address = client_address(client)
    except ValueError:
        return client
    return str(address if isinstance(address, IPv4Address) else IPv6Network((address, 64), strict=False))


def delay_s(failures_before: int) -> float:
    """How long the answer to a failure is held back: 0.1 s, doubled for each one before it, 5 s at most."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures_before, 10)))


@dataclass(frozen=True, slots=True)
class Subject:
    """Who failures are counted for."""

    digest: bytes
    shown: str | None
    """What an administrator sees: the address, the known account's address; None for an unknown login."""
    counts: bool = True
    """Whether its failures are counted, and can lock it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What a failure led to."""

    before: int
    """Failures that counted before it: the larger of both counters."""
    newly_locked: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A subject's failures, for an administrator."""

    digest: bytes
    shown: str | None
    count: int
    last_at: int
    locked_until: int
    """0 where it isn't locked."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What a row holds sealed."""

    shown: str | None
    entries: list[tuple[int, str]]
    """When each failure was, and the tag of its login."""
    lifted_at: int
    """When a certificate last lifted the lock; 0: never."""


class Lockout:
    """The rules over the rows. All methods but `client` and `login` run inside a transaction. Safe for threads."""

    __slots__ = ("_auth", "_clients", "_keys")

    def __init__(self, keys: KeyRing, auth: Auth) -> None:
        self._keys = keys
        self._auth = auth
        self._clients: dict[str, Subject] = {}

    def client(self, client: str) -> Subject:
        found = self._clients.get(client)
        if found is None:
            network = client_network(client)
            digest = self._keys.digest("failure", b"client\0" + network.encode())
            found = Subject(digest, network, counts=not within(client, self._auth.never_banned))
            if len(self._clients) >= _REMEMBERED:
                self._clients.clear()
            self._clients[client] = found
        return found

    def login(self, login: str, *, known: bool) -> Subject:
        """`login`: an address's key, or what was typed where it is none; kept only where it is known."""
        digest = self._keys.digest("failure", b"login\0" + login.encode("utf-8", "surrogatepass"))
        return Subject(digest, login if known else None)

    def is_locked(self, tx: Transaction, subject: Subject) -> bool:
        if not subject.counts:
            return False
        row = failures.get(tx, subject.digest)
        return row is not None and row.until > tx.now

    def fail(self, tx: Transaction, client: Subject, login: Subject) -> Failed:
        """Count a failure for both."""
        tag = login.digest.hex()[:_TAG_DIGITS]
        before = [self._count(tx, subject, tag) if subject.counts else 0 for subject in (client, login)]
        most = self._auth.max_failures
        locked = tuple(s for s, count in zip((client, login), before, strict=True) if s.counts and count + 1 == most)
        return Failed(max(before), locked)

    def fail_client(self, tx: Transaction, client: Subject) -> Failed:
        """Count a failure that names no login, as a token's: nobody's sign-in takes it back."""
        if not client.counts:
            return Failed(0, ())
        before = self._count(tx, client, "")
        return Failed(before, (client,) if before + 1 == self._auth.max_failures else ())

    def ban(self, tx: Transaction, client: Subject, until: int) -> None:
        """Lock a client's address by an administrator's hand; its failures so far stay told."""
        row = failures.get(tx, client.digest)
        entries = [] if row is None else self._live_entries(row, int(tx.now))
        self._write(tx, client.digest, client.shown, entries, until)

    def lift(self, tx: Transaction, login: Subject) -> bool:
        """Lift the login's lock for who has shown its certificate; whether there was one, and it could be."""
        row = failures.get(tx, login.digest)
        if row is None or row.until <= tx.now:
            return False
        now = int(tx.now)
        if now - self._content(row).lifted_at < LIFTED_EVERY_S:
            return False
        self._write(tx, login.digest, login.shown, [], 0, lifted_at=now)
        return True

    def _count(self, tx: Transaction, subject: Subject, tag: str) -> int:
        """Add a failure; how many counted before it."""
        now = int(tx.now)
        row = failures.get(tx, subject.digest)
        if row is not None and row.until > now:
            return row.count
        entries = [] if row is None or row.until else self._live_entries(row, now)
        before = len(entries)
        entries.append((now, tag))
        until = now + self._auth.lock_time if len(entries) >= self._auth.max_failures else 0
        lifted_at = 0 if row is None else self._content(row).lifted_at
        self._write(tx, subject.digest, subject.shown, entries, until, lifted_at)
        return before

    def take_back(self, tx: Transaction, client: Subject, login: Subject) -> None:
        """Forget the login's failures, its share in the client's too, after a sign-in with a fresh code."""
        failures.drop(tx, login.digest)
        row = failures.get(tx, client.digest)
        if row is None or row.until > tx.now:
            return
        tag = login.digest.hex()[:_TAG_DIGITS]
        entries = [] if row.until else [e for e in self._live_entries(row, int(tx.now)) if e[1] != tag]
        if entries:
            self._write(tx, client.digest, client.shown, entries, 0)
        else:
            failures.drop(tx, client.digest)

    def expire(self, tx: Transaction) -> None:
        """Drop rows that count no more."""
        failures.expire(tx, int(tx.now) - self._auth.failure_window)

    def all(self, tx: Transaction) -> list[Counted]:
        """Everybody who has failures that count or is locked, the latest first."""
        now, found = int(tx.now), []
        for row in failures.every(tx):
            locked = row.until > now
            content = self._content(row)
            count = len(content.entries if locked else [] if row.until else self._live_entries(row, now))
            if count or locked:
                found.append(Counted(row.subject, content.shown, count, row.last_at, row.until if locked else 0))
        return found

    def clear(self, tx: Transaction, digest: bytes) -> bool:
        """Forget a subject's failures and lift its lock; whether there was anything."""
        return failures.drop(tx, digest)

    def _live_entries(self, row: FailureRow, now: int) -> list[tuple[int, str]]:
        return [entry for entry in self._content(row).entries if entry[0] > now - self._auth.failure_window]

    def _content(self, row: FailureRow) -> _Content:
        if row.sealed is None:
            return _Content(None, [], 0)
        read = json.loads(self._keys.open_system(row.sealed, _aad(row.subject)))
        return _Content(read["w"], [(int(at), str(tag)) for at, tag in read["t"]], int(read.get("l", 0)))

    def _write(
        self,
        tx: Transaction,
        digest: bytes,
        shown: str | None,
        entries: list[tuple[int, str]],
        until: int,
        lifted_at: int = 0,
    ) -> None:
        content = {"w": shown, "t": entries, **({"l": lifted_at} if lifted_at else {})}
        encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        sealed = self._keys.seal_system(encoded, _aad(digest))
        failures.put_row(tx, FailureRow(digest, sealed, len(entries), int(tx.now), until))


def _aad(digest: bytes) -> bytes:
    """A digest is 16 octets: the two numbers that the associated data has room for."""
    return name_aad(b"failure", AccountId(int.from_bytes(digest[:8], "big")), int.from_bytes(digest[8:], "big"))
