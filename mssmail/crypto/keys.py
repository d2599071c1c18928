"""Keys at work: the ring that caches them, wraps body keys, seals names and makes keyed digests.

A period's key is never cached once the period has ended, so that a key destroyed by one worker is gone for all.
Safe for threads: a lost race costs a second look in the key store.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mssmail.base.clock import Clock
from mssmail.base.ids import POST, AccountId, BodyId, Period
from mssmail.crypto.body import subkey
from mssmail.crypto.envelope import Unsealable, seal, unseal
from mssmail.crypto.format import (
    KEY_OCTETS,
    LABEL_DIGEST,
    LABEL_NAMES,
    LABEL_SYSTEM,
    LABEL_WRAP,
    NONCE_OCTETS,
    wrap_aad,
)
from mssmail.crypto.keystore import KeyDestroyed, KeyKind, KeyStore

_CACHE_ENTRIES = 20_000
"""Some 200 octets each; past that the cache starts anew."""
DIGEST_OCTETS = 16


class KeyRing:
    """The keys of one process."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._accounts: dict[int, bytes] = {}
        self._names: dict[int, bytes] = {}
        self._periods: dict[int, bytes] = {}
        self._keks: dict[tuple[int, int], AESGCM] = {}
        system = store.obtain(KeyKind.SYSTEM, 0)
        self._system = subkey(system, LABEL_SYSTEM)
        # Copied for each digest: to start from the key costs three times that, and hmac.digest() gives up the
        # interpreter each time, which on the loop costs a change of threads.
        self._digest = hmac.new(subkey(system, LABEL_DIGEST), digestmod="sha256")

    # --- accounts and periods ---

    def account(self, account: AccountId) -> bytes:
        """An account's key. Raises KeyDestroyed where it was destroyed or never made."""
        key = self._accounts.get(account)
        if key is None:
            find = self.store.obtain if account == POST else self.store.find
            key = find(KeyKind.ACCOUNT, account)
            if key is None:
                raise KeyDestroyed(KeyKind.ACCOUNT.value, account)
            if len(self._accounts) >= _CACHE_ENTRIES:
                self._accounts.clear()
            self._accounts[account] = key
        return key

    def prepare(self, period: Period) -> None:
        """Make sure that the period's key is on disk, before any row wrapped under it commits. Raises KeyDestroyed."""
        self._period(period)

    def _period(self, period: Period) -> bytes:
        ended = self._ended(period)
        key = None if ended else self._periods.get(period)
        if key is None:
            key = self.store.obtain(KeyKind.PERIOD, period)
            if not ended:
                if len(self._periods) > 512:
                    self.forget_ended()
                self._periods[period] = key
        return key

    def _ended(self, period: Period) -> bool:
        return period <= self._clock.now()

    def _kek(self, account: AccountId, period: Period) -> AESGCM:
        """What wraps body keys for an account in a period: HKDF-SHA256, salted by the period's key (RFC 5869)."""
        kek = self._keks.get((account, period))
        if kek is not None and not self._ended(period):
            return kek
        derive = HKDF(hashes.SHA256(), KEY_OCTETS, salt=self._period(period), info=LABEL_WRAP)
        kek = AESGCM(derive.derive(self.account(account)))
        if not self._ended(period):
            if len(self._keks) >= _CACHE_ENTRIES:
                self._keks.clear()
            self._keks[account, period] = kek
        return kek

    def ready(self, account: AccountId, period: Period) -> bool:
        """Whether wrapping would touch no disk: then it may be done on the loop."""
        return (account, period) in self._keks and not self._ended(period)

    def wrap(self, account: AccountId, body: BodyId, period: Period, key: bytes) -> bytes:
        """A body's key for an account, 60 octets. Raises KeyDestroyed where account or period are gone."""
        nonce = os.urandom(NONCE_OCTETS)
        return nonce + self._kek(account, period).encrypt(nonce, key, wrap_aad(account, body, period))

    def unwrap(self, account: AccountId, body: BodyId, period: Period, wrapped: bytes) -> bytes:
        """A body's key. Raises KeyDestroyed, or Unsealable where the wrap was altered or moved."""
        try:
            return self._kek(account, period).decrypt(
                wrapped[:NONCE_OCTETS], wrapped[NONCE_OCTETS:], wrap_aad(account, body, period)
            )
        except (InvalidTag, ValueError) as error:
            raise Unsealable from error

    def forget_ended(self) -> None:
        """Drop what belongs to ended periods."""
        for period in [p for p in self._periods if self._ended(Period(p))]:
            self._periods.pop(period, None)
        for pair in [pair for pair in self._keks if self._ended(Period(pair[1]))]:
            self._keks.pop(pair, None)

    def forget_account(self, account: AccountId) -> None:
        self._accounts.pop(account, None)
        self._names.pop(account, None)
        for pair in [pair for pair in self._keks if pair[0] == account]:
            self._keks.pop(pair, None)

    # --- names ---

    def _names_key(self, account: AccountId) -> bytes:
        key = self._names.get(account)
        if key is None:
            key = subkey(self.account(account), LABEL_NAMES)
            if len(self._names) >= _CACHE_ENTRIES:
                self._names.clear()
            self._names[account] = key
        return key

    def seal_name(self, account: AccountId, name: str, aad: bytes) -> bytes:
        """A folder's or keyword's name, sealed under its account's key."""
        return seal(self._names_key(account), name.encode(), aad)

    def open_name(self, account: AccountId, sealed: bytes, aad: bytes) -> str:
        return unseal(self._names_key(account), sealed, aad).decode()

    def name_digest(self, account: AccountId, kind: str, name: str) -> bytes:
        """16 octets by which a name is found without being known."""
        text = f"{kind}\0{name}".encode()
        return hmac.digest(subkey(self._names_key(account), LABEL_DIGEST), text, "sha256")[:DIGEST_OCTETS]

    # --- what belongs to no account ---

    def seal_system(self, plain: bytes, aad: bytes) -> bytes:
        return seal(self._system, plain, aad)

    def open_system(self, sealed: bytes, aad: bytes) -> bytes:
        return unseal(self._system, sealed, aad)

    def digest(self, purpose: str, value: bytes) -> bytes:
        """16 octets by which an address or id is found without being known (HMAC-SHA-256, cut)."""
        begun = self._digest.copy()
        begun.update(purpose.encode() + b"\0" + value)
        return begun.digest()[:DIGEST_OCTETS]
