"""A holder sets password and code themselves, in a browser, by a one-time link that an administrator gave them.

The link holds 256 random bits, kept as a digest, serves once within `web.enrolment_lifetime`, and dies with the
account's epoch. Until it has served, what opened the box before goes on opening it. The secret for one-time codes is
made with the link and shown by it until a first code confirms that an authenticator has it.
"""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import PERSONS, BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.saslprep import saslprep
from mssmail.base.secret import Secret
from mssmail.crypto.format import name_aad
from mssmail.flow.acts import account_of
from mssmail.flow.administer import Consent, at_once
from mssmail.flow.enrol import check_password
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.identity import otp, recovery
from mssmail.identity.credentials import Secrets
from mssmail.identity.passwords import LEAST_BITS, Passwords
from mssmail.store import accounts, enrolments, grants, replays
from mssmail.store.accounts import State
from mssmail.store.enrolments import EnrolmentRow
from mssmail.store.interface import Transaction

__all__ = ["LEAST_BITS", "RECOVERY_MARK", "Activations", "Opened", "Pending"]

RECOVERY_MARK: Final = recovery.MARK
"""Stands between password and recovery code in what `Login.by_password` is given."""

PREFIX: Final = "mssen_"
_MAX_PRESENTED: Final = 100


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that was made, shown once."""

    code: Secret
    expires_at: int


@dataclass(frozen=True, slots=True)
class Pending:
    """What a link shows its holder."""

    account: AccountId
    address: Address
    totp_secret: Secret
    provisioning_uri: Secret
    """`otpauth://…`; it holds the code's secret."""
    expires_at: int


class Activations:
    """The use-cases of enrolment by link."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing
        self._passwords = Passwords(house.settings.auth)

    def _digest(self, code: Secret) -> bytes:
        return self._house.keys.digest("enrolment", code.reveal()[:_MAX_PRESENTED].encode("utf-8", "surrogatepass"))

    async def open(self, address: Address, administrator: str, consent: Consent = at_once) -> Opened:
        """Make a link, in place of one that there may be. `consent`: see `flow.orders`.

        Raises Refusal(ACCOUNT_MISSING, MECHANISM, SUSPENDED).
        """
        code, totp_secret = Secret(PREFIX + secrets.token_urlsafe(32)), otp.new_secret()
        digest, lifetime_s = self._digest(code), self._house.settings.web.enrolment_lifetime

        def write(tx: Transaction) -> int:
            row = account_of(tx, self._standing.credentials, address)
            if BoxKind(row.kind) not in PERSONS:
                raise Refusal(Reason.MECHANISM, f"a box of kind {row.kind} is opened by certificates and by delegates")
            if row.state is not State.OPEN:
                raise Refusal(Reason.SUSPENDED, str(address))
            given = consent(tx)
            expires_at = int(tx.now) + lifetime_s
            sealed = self._house.keys.seal_system(totp_secret.encode(), _aad(row.account_id))
            enrolments.begin(tx, EnrolmentRow(row.account_id, digest, sealed, row.epoch, expires_at))
            details: dict[str, Value] = {"administrator": administrator, "until": expires_at, **given}
            tx.trail(Event(Kind.ENROLMENT_OPENED, row.account_id, str(address), details=details))
            return expires_at

        return Opened(code, await self._house.write.run(write))

    async def find(self, code: Secret) -> Pending:
        """What a link is for. Raises Refusal(TOKEN, STRUCK_OFF). Looking uses nothing up."""
        digest = self._digest(code)

        def read(tx: Transaction) -> tuple[EnrolmentRow, bytes]:
            row = self._live(tx, digest)
            return row, accounts.by_id(tx, row.account_id).sealed

        row, sealed = await self._house.read.run(read)
        dossier = self._standing.credentials.dossier(row.account_id, sealed)
        if self._standing.struck_off(dossier):
            raise Refusal(Reason.STRUCK_OFF)
        secret = self._house.keys.open_system(row.sealed, _aad(row.account_id)).decode()
        uri = otp.provisioning_uri(secret, str(dossier.address))
        return Pending(row.account_id, dossier.address, Secret(secret), Secret(uri), row.expires_at)

    def _live(self, tx: Transaction, digest: bytes) -> EnrolmentRow:
        """Raises Refusal(TOKEN)."""
        row = enrolments.find(tx, digest)
        found = None if row is None else accounts.epoch(tx, row.account_id)
        if row is None or found is None or row.expires_at <= tx.now:
            raise Refusal(Reason.TOKEN, "no such link, or it is over")
        if found[0] != row.epoch or found[1] is not State.OPEN:
            raise Refusal(Reason.TOKEN, "the account changed since")
        return row

    async def complete(self, code: Secret, password: Secret, first_code: str, client: str) -> tuple[str, ...]:
        """Set password and code, confirmed by the authenticator's `first_code`; new recovery codes, shown once.

        Sessions, grants and programs' access end. `client`: where it is done from, for the trail.
        Raises Refusal(TOKEN, STRUCK_OFF, WEAK_PASSWORD, CREDENTIALS); the last for a wrong first code.
        """
        pending = await self.find(code)
        check_password(BoxKind.PER, pending.address, password)
        step = otp.step_of(
            first_code,
            pending.totp_secret.reveal(),
            self._house.clock.now(),
            self._house.settings.auth.totp_drift_steps,
        )
        if step is None:
            raise Refusal(Reason.CREDENTIALS, "the first code doesn't fit")
        prepared = saslprep(password.reveal())
        assert prepared is not None
        loop = asyncio.get_running_loop()
        hashed = await loop.run_in_executor(self._house.password_work, self._passwords.hash, prepared)
        codes, keys, digest = recovery.generate(), self._house.keys, self._digest(code)

        def write(tx: Transaction) -> None:
            row = self._live(tx, digest)
            account = row.account_id
            kept = tuple(recovery.digest(keys, account, each) for each in codes)
            secret = Secrets(hashed, pending.totp_secret.reveal(), kept)
            sealed = self._standing.credentials.seal_secrets(account, secret)
            accounts.set_secrets(tx, account, sealed, end_sessions=True)
            accounts.use_step(tx, account, step)
            enrolments.drop(tx, account)
            details: dict[str, Value] = {"grants": grants.end_all(tx, account), "from": client}
            replays.notify(tx, account, "session")
            tx.trail(Event(Kind.ENROLMENT_DONE, account, str(pending.address), details=details))

        await self._house.write.run(write)
        return codes


def _aad(account: AccountId) -> bytes:
    return name_aad(b"enrol", account, 0)
