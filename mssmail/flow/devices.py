"""Letting a device without a browser in: it shows a short code, which its user enters in a browser (RFC 8628).

A user code has 20 signs to the eighth, 34 bits, lasts `oauth.device_lifetime`, and only somebody signed in may try
one: failures count against their account and address as wrong passwords do (§5.1).
"""

import secrets
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Final

from mssmail.audit.events import Kind
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.clients import Client
from mssmail.flow.house import House
from mssmail.flow.oauth import Authorizations, Issued, issued
from mssmail.identity.lockout import Lockout
from mssmail.identity.tokens import Tokens
from mssmail.store import devices, tokens
from mssmail.store.devices import DeviceRow, DeviceState
from mssmail.store.interface import Transaction

Decision = DeviceState

INTERVAL_S: Final = 5
SLOWER_BY_S: Final = 5
"""RFC 8628 §3.5."""
LONGEST_INTERVAL_S: Final = 60
MAX_WAITING: Final = 2_000
"""Requests that wait for a user: anybody may make one, and each is a row."""
USER_SIGNS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, hence no words, and nothing taken for a digit (RFC 8628 §6.1)."""
USER_CHARACTERS: Final = 8
DEVICE_PREFIX: Final = "mssdc_"
_MAX_PRESENTED: Final = 200


@dataclass(frozen=True, slots=True)
class Begun:
    """What a device is given."""

    device_code: Secret
    user_code: str
    """`WDJB-MJHT`."""
    lifetime_s: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class Asking:
    """A device's request, for the user to judge."""

    client: str
    """Client id."""
    scope: str


@unique
class Wait(Enum):
    """Why a device has no tokens yet, or never will have (RFC 8628 §3.5)."""

    PENDING = "pending"
    SLOWER = "slower"
    DENIED = "denied"
    EXPIRED = "expired"


class Devices:
    """The use-cases of the device flow."""

    def __init__(self, house: House, authorizations: Authorizations) -> None:
        self._house = house
        self._authorizations = authorizations
        self._tokens = Tokens(house.keys)

    async def begin(self, client: Client, scope: str) -> Begun:
        """Raises Refusal(UNAVAILABLE) where too many wait."""
        lifetime_s = self._house.settings.oauth.device_lifetime
        device = Secret(DEVICE_PREFIX + secrets.token_urlsafe(32))
        letters = "".join(secrets.choice(USER_SIGNS) for _ in range(USER_CHARACTERS))
        row = DeviceRow(
            self._digest(device.reveal()),
            self._user_digest(letters),
            client.client_id,
            scope,
            DeviceState.WAITING,
            0,
            INTERVAL_S,
            0,
            0,
        )

        def write(tx: Transaction) -> None:
            now = int(tx.now)
            devices.expire(tx, now - lifetime_s)
            if devices.count(tx) >= MAX_WAITING or not devices.add(tx, replace(row, expires_at=now + lifetime_s)):
                raise Refusal(Reason.UNAVAILABLE, "too many devices wait")

        await self._house.write.run(write)
        return Begun(device, f"{letters[:4]}-{letters[4:]}", lifetime_s, INTERVAL_S)

    def _digest(self, device_code: str) -> bytes:
        return self._house.keys.digest("device", device_code.encode("utf-8", "surrogatepass"))

    def _user_digest(self, letters: str) -> bytes:
        return self._house.keys.digest("device user", letters.encode())

    # --- the user ---

    async def find(self, principal: Principal, user_code: str) -> Asking:
        """What waits under a code that a user entered, however they wrote it. Raises Refusal(TOKEN, LOCKED)."""
        digest = self._entered(user_code)

        def write(tx: Transaction) -> Asking | None:
            row = self._waiting(tx, principal, digest)
            return None if row is None else Asking(row.client_id, row.scope)

        found = await self._house.write.run(write)
        if found is None:
            raise Refusal(Reason.TOKEN, "no such code waits")
        return found

    async def decide(self, principal: Principal, user_code: str, client: Client, state: DeviceState) -> None:
        """Let the device in or not. Raises Refusal(TOKEN, LOCKED, CLIENT, CREDENTIALS)."""
        digest = self._entered(user_code)

        def write(tx: Transaction) -> bool:
            row = self._waiting(tx, principal, digest)
            if row is None or row.client_id != client.client_id:
                return False
            if state is DeviceState.DENIED:
                self._authorizations.trace(tx, Kind.AUTHORIZATION_DENIED, principal, row.client_id, {"device": True})
                return devices.decide(tx, row.digest, state)
            epoch = self._authorizations.still_in(tx, principal, row.client_id)
            family = tokens.authorize(
                tx, principal.person, row.client_id, row.scope, epoch=epoch, ends_at=row.expires_at
            )
            self._authorizations.trace(
                tx, Kind.AUTHORIZED, principal, row.client_id, {"scope": row.scope, "device": True}
            )
            return devices.decide(tx, row.digest, state, family.authorization_id)

        if not await self._house.write.run(write):
            raise Refusal(Reason.TOKEN, "no such code waits")

    def _entered(self, user_code: str) -> bytes:
        letters = "".join(c for c in user_code[:_MAX_PRESENTED].upper() if c in USER_SIGNS)
        return self._user_digest(letters)

    def _waiting(self, tx: Transaction, principal: Principal, digest: bytes) -> DeviceRow | None:
        """The request that waits; a code that is none is counted as a failure. Raises Refusal(LOCKED)."""
        lockout = Lockout(self._house.keys, self._house.settings.auth)
        client = lockout.client(principal.client)
        tries = lockout.login(f"device code\0{principal.address.key}", known=False)
        if lockout.is_locked(tx, client) or lockout.is_locked(tx, tries):
            raise Refusal(Reason.LOCKED)
        row = devices.by_user(tx, digest)
        if row is None or row.state is not DeviceState.WAITING or row.expires_at <= tx.now:
            lockout.fail(tx, client, tries)
            return None
        return row

    # --- the device ---

    async def poll(self, client: Client, device_code: Secret) -> Issued | Wait:
        """Tokens, once the user has let the device in; the code serves once. Raises Refusal(TOKEN)."""
        digest, rules = self._digest(device_code.reveal()[:_MAX_PRESENTED]), self._house.settings.oauth
        if await self._house.read.run(lambda tx: devices.by_device(tx, digest)) is None:
            raise Refusal(Reason.TOKEN, "no such device code")  # a stranger's try costs no write

        def write(tx: Transaction) -> Issued | Wait | None:
            row = devices.by_device(tx, digest)
            if row is None or row.client_id != client.client_id:
                return None
            if row.expires_at <= tx.now:
                return Wait.EXPIRED
            if row.state is DeviceState.DENIED:
                return Wait.DENIED
            if row.state is DeviceState.WAITING:
                soon = row.polled_at and int(tx.now) < row.polled_at + row.interval_s
                interval = min(LONGEST_INTERVAL_S, row.interval_s + SLOWER_BY_S) if soon else row.interval_s
                devices.polled(tx, digest, interval)
                return Wait.SLOWER if soon else Wait.PENDING
            devices.drop(tx, digest)
            family = tokens.get(tx, row.authorization_id)
            if family is None or not tokens.alive(tx, family.authorization_id):
                return None
            self._authorizations.trace_issued(tx, family, "device")
            return self._tokens.issue(tx, family, rules)

        outcome = await self._house.write.run(write)
        if outcome is None:
            raise Refusal(Reason.TOKEN, "no such device code")
        if isinstance(outcome, Issued):
            issued.labels(kind="device").inc()
        return outcome
