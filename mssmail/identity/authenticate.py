"""The one door for login and password: what is looked up, proved and settled, in three steps.

1. `look` (a read): account, lock, grant.
2. `prove` (no database; Argon2, in the password executor): which of password and code are right.
3. `settle` (a write): locks asked again, the code used, the grant opened, failures counted: one transaction.

Within a grant, what was presented before is known by its HMAC and step 2 costs no Argon2. An unknown login, one
without a password, a wrong password and a wrong code take the same steps and end in the same refusal.
"""

from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Final

from mssmail.base.address import Address
from mssmail.base.clock import Clock
from mssmail.base.ids import AccountId
from mssmail.base.refusal import Reason
from mssmail.base.saslprep import saslprep
from mssmail.base.secret import Secret
from mssmail.crypto.keys import KeyRing
from mssmail.identity import recovery
from mssmail.identity.credentials import Credentials, Secrets
from mssmail.identity.grants import NO_GRANTS, Grant, Grants, Memory, Taken
from mssmail.identity.lockout import Failed, Lockout, Subject
from mssmail.identity.otp import DIGITS, new_secret, step_among, step_of
from mssmail.identity.passwords import Passwords
from mssmail.identity.places import Places
from mssmail.settings.model import Auth
from mssmail.store import accounts, grants
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

MAX_PRESENTED: Final = 1024
"""Characters of a login, or of a password with its code; what is longer is no password of ours."""


@unique
class Proof(Enum):
    """What was shown to be right."""

    NOTHING = "nothing"
    REMEMBERED = "remembered"
    """The same was accepted in this grant before."""
    ACCEPTED_CODE = "accepted-code"
    """The password, with a code that the grant accepted."""
    VALID_CODE = "valid-code"
    """The password, with a code that is valid now."""
    RECOVERY = "recovery"
    """The password, with a recovery code that nobody used."""
    BARE = "bare"
    """The password alone, within a grant, where the settings take that."""
    ENDED = "ended"
    """What a grant took that has ended since: the password, with a code from back then."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login and what was presented with it, as text that compares (SASLprep)."""

    key: str
    """The login's address key, or what was typed where it is no address."""
    digest: bytes
    """For `accounts.address_digest`."""
    password: str | None
    """Before the code; None where there can be none."""
    code: str
    """Six digits, or empty."""
    whole: str | None
    """All of it as a password."""
    client: Subject
    place: bytes
    """The client's digest in rows of places."""
    grant_client: bytes
    """The same in rows of grants, or NO_GRANTS."""
    recovery: str = ""
    """A recovery code that stands in place of a code, where the protocol takes one."""

    @property
    def presented(self) -> str | None:
        """What is remembered of it within a grant; None where it can't be right."""
        return self.whole if self.password is None else f"{self.password}\0{self.code}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the read found."""

    row: AccountRow | None
    """None for an unknown login and a closed account."""
    grant: Grant | None
    locked: Subject | None
    """Who is locked, if the attempt isn't to be judged at all."""
    past: tuple[int, ...] = ()
    """Steps of codes that ended grants took from this client."""
    known_place: bool = False
    """Whether the account's holder came from there lately."""


@dataclass(frozen=True, slots=True)
class Proved:
    """What the second step found."""

    proof: Proof
    step: int = 0
    new_hash: str | None = None
    """The password hashed with the settings' present parameters, where its hash has others."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome, once committed. `reason` None: let in."""

    reason: Reason | None
    proof: Proof = Proof.NOTHING
    grant: Grant | None = None
    secrets: bytes = b""
    """The sealed secrets now in the row, for `remember`."""
    failed: Failed | None = None


class Door:
    """Judges logins and passwords. One for a process. Safe for threads."""

    def __init__(self, keys: KeyRing, credentials: Credentials, auth: Auth, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._credentials = credentials
        self._memory = Memory()
        self._take(auth, Passwords(auth))
        self.places = Places(keys)
        self._nobody = Secrets("", new_secret())
        """Whose code is computed for a login that has none."""

    def _take(self, auth: Auth, passwords: Passwords) -> None:
        passwords.prepare()
        self._auth = auth
        self.passwords = passwords
        self.lockout = Lockout(self._keys, auth)
        self.grants = Grants(auth)

    def renew(self, auth: Auth) -> None:
        """Judge by other settings from now on. Grants, failures and what is remembered within grants stay."""
        if auth != self._auth:
            self._take(auth, Passwords(auth))

    def attempt(self, client: str, login: str, secret: Secret, *, grants: bool) -> Attempt:
        """Take apart what was presented; anything is taken, and what can't be right fails later like all else.

        `grants`: whether the protocol knows them; if not, only a code that nobody used is any good, and none is opened,
        but a recovery code may stand in its place, behind `recovery.MARK`.
        """
        key = saslprep(login) if len(login) <= MAX_PRESENTED else None
        address = None if key is None else Address.parse(key)
        name = (key or login[:MAX_PRESENTED]) if address is None else address.key
        text = secret.reveal() if len(secret) <= MAX_PRESENTED else ""
        password, code, spare = self._behind(text, recovers=not grants)
        place = self.places.client(client)
        return Attempt(
            name,
            b"" if address is None else self._credentials.address_digest(address),
            password,
            code,
            saslprep(text),
            self.lockout.client(client),
            place,
            place if grants else NO_GRANTS,
            spare,
        )

    def _behind(self, text: str, *, recovers: bool) -> tuple[str | None, str, str]:
        """Password, code and recovery code out of what was presented as one."""
        before, mark, typed = text.partition(recovery.MARK)
        if mark and recovers:
            return saslprep(before), "", recovery.read(typed) or ""
        code = text[-DIGITS:] if len(text) > DIGITS and _is_code(text[-DIGITS:]) else ""
        return saslprep(text[:-DIGITS]) if code else None, code, ""

    def look(self, tx: Transaction, attempt: Attempt) -> Seen:
        """Find the account, and whether its or the client's lock keeps the attempt from being judged."""
        row = accounts.by_address(tx, attempt.digest) if attempt.digest else None
        if row is not None and row.state is State.CLOSED:
            row = None
        if row is None:
            return Seen(None, None, self._locked(tx, attempt, None, None))
        grant = self.grants.live(tx, row.account_id, attempt.grant_client)
        return Seen(
            row,
            grant,
            self._locked(tx, attempt, grant, row),
            grants.past(tx, row.account_id, attempt.grant_client),
            self.places.is_trusted(tx, row.account_id, attempt.place),
        )

    def _locked(self, tx: Transaction, attempt: Attempt, grant: Grant | None, row: AccountRow | None) -> Subject | None:
        """A live grant, and a place that the owner came from, pass by the login's lock: a stranger can't lock the
        owner out. Never by the address's."""
        if self.lockout.is_locked(tx, attempt.client):
            return attempt.client
        login = self.lockout.login(attempt.key, known=row is not None)
        if grant is not None or not self.lockout.is_locked(tx, login):
            return None
        return None if row is not None and self.places.is_trusted(tx, row.account_id, attempt.place) else login

    def recall(self, attempt: Attempt, seen: Seen) -> Proved | None:
        """The proof without Argon2, where this process accepted the same before, in the grant or in an ended one."""
        presented = attempt.presented
        if seen.row is None or seen.row.secrets is None or presented is None:
            return None
        if seen.grant is not None and self._memory.knows(seen.grant.number, seen.row.secrets, presented):
            return Proved(Proof.REMEMBERED)
        served = self._memory.served(seen.row.account_id, attempt.grant_client, presented)
        live = None if seen.grant is None else seen.grant.number
        return None if served is None or served == live else Proved(Proof.ENDED)

    def prove(self, attempt: Attempt, seen: Seen) -> Proved:
        """Verify password and code; blocks for an Argon2 hash. Never raises for what was presented."""
        secrets = self._nobody
        if seen.row is not None and seen.row.secrets is not None:
            secrets = self._credentials.secrets(seen.row.account_id, seen.row.secrets)
        totp = secrets.totp_secret or self._nobody.totp_secret
        accepted = None if seen.grant is None else step_among(attempt.code, totp, seen.grant.steps)
        valid = step_of(attempt.code, totp, self._clock.now(), self._auth.totp_drift_steps)
        password_holds = self._verify(secrets, attempt.password or attempt.whole or "")
        if password_holds and attempt.password is not None and secrets.totp_secret:
            if accepted is not None:
                return Proved(Proof.ACCEPTED_CODE, accepted, self._rehashed(secrets, attempt.password))
            if valid is not None:
                return Proved(Proof.VALID_CODE, valid, self._rehashed(secrets, attempt.password))
            if step_among(attempt.code, totp, seen.past) is not None:
                return Proved(Proof.ENDED)
            if seen.row is not None and self._recovers(seen.row, secrets, attempt.recovery):
                return Proved(Proof.RECOVERY)
        if seen.grant is not None and self._auth.grant_bare_password and attempt.whole is not None:
            if attempt.password is not None:
                # the password may end in six digits itself
                password_holds = self._verify(secrets, attempt.whole)
            if password_holds:
                return Proved(Proof.BARE)
        return Proved(Proof.NOTHING)

    def _recovers(self, row: AccountRow, secrets: Secrets, code: str) -> bool:
        return bool(code) and recovery.digest(self._keys, row.account_id, code) in secrets.recovery

    def _verify(self, secrets: Secrets, password: str) -> bool:
        if not secrets.password_hash:
            self.passwords.verify_nothing(password)
            return False
        return self.passwords.verify(secrets.password_hash, password)

    def _rehashed(self, secrets: Secrets, password: str) -> str | None:
        return self.passwords.hash(password) if self.passwords.needs_rehash(secrets.password_hash) else None

    def still_holds(self, tx: Transaction, attempt: Attempt, seen: Seen) -> bool:
        """Whether the grant that `seen` found is live, and nothing keeps the client out: what `settle` asks of an
        attempt that is recalled, but for the account's epoch."""
        if seen.row is None or seen.grant is None:
            return False
        grant, until = grants.still(tx, seen.row.account_id, attempt.grant_client, attempt.client.digest)
        return grant == seen.grant.number and (until <= tx.now or not attempt.client.counts)

    def settle(self, tx: Transaction, attempt: Attempt, seen: Seen, proved: Proved, refused: Reason | None) -> Settled:
        """Decide, in the transaction that uses the code and counts the failure.

        `refused`: why this person may not come in though they proved who they are; nothing is used or counted then.
        """
        row, grant = self._again(tx, attempt, seen)
        if self._locked(tx, attempt, grant, seen.row) is not None:
            return Settled(Reason.LOCKED)
        if row is None or not self._still_holds(seen, grant, proved):
            return self._failed(tx, attempt, seen, Reason.CREDENTIALS)
        if refused is not None:
            return Settled(refused, proved.proof)
        if proved.proof is Proof.ENDED:
            return Settled(Reason.GRANT_ENDED)
        if proved.proof is Proof.VALID_CODE:
            taken, grant = self.grants.take(tx, row.account_id, attempt.grant_client, proved.step)
            if taken is Taken.USED:
                return self._failed(tx, attempt, seen, Reason.CODE_USED)
            if taken is Taken.FRESH:
                self.lockout.take_back(tx, attempt.client, self.lockout.login(attempt.key, known=True))
        if proved.proof is Proof.RECOVERY and not self._use_up(tx, row, attempt):
            return self._failed(tx, attempt, seen, Reason.CODE_USED)
        return Settled(None, proved.proof, grant, self._rehash(tx, row, seen, proved))

    def _use_up(self, tx: Transaction, row: AccountRow, attempt: Attempt) -> bool:
        """Take a recovery code out of the account's; False where it is gone already."""
        assert row.secrets is not None
        held = self._credentials.secrets(row.account_id, row.secrets)
        used = recovery.digest(self._keys, row.account_id, attempt.recovery)
        if used not in held.recovery:
            return False
        left = replace(held, recovery=tuple(each for each in held.recovery if each != used))
        accounts.set_secrets(
            tx, row.account_id, self._credentials.seal_secrets(row.account_id, left), end_sessions=False
        )
        self.lockout.take_back(tx, attempt.client, self.lockout.login(attempt.key, known=True))
        return True

    def _again(self, tx: Transaction, attempt: Attempt, seen: Seen) -> tuple[AccountRow | None, Grant | None]:
        """The account's row and grant as they are now; no row where password, code or state were changed meanwhile."""
        if seen.row is None:
            return None, None
        row = accounts.by_id(tx, seen.row.account_id)
        grant = self.grants.live(tx, row.account_id, attempt.grant_client)
        return (row if row.epoch == seen.row.epoch and row.state is not State.CLOSED else None), grant

    def _still_holds(self, seen: Seen, grant: Grant | None, proved: Proved) -> bool:
        """Whether what was proved is worth something with the grant that is live now."""
        match proved.proof:
            case Proof.NOTHING:
                return False
            case Proof.VALID_CODE | Proof.ENDED | Proof.RECOVERY:
                return True
            case Proof.ACCEPTED_CODE:
                return grant is not None and proved.step in grant.steps
            case Proof.REMEMBERED | Proof.BARE:
                return grant is not None and seen.grant is not None and grant.number == seen.grant.number

    def _failed(self, tx: Transaction, attempt: Attempt, seen: Seen, reason: Reason) -> Settled:
        login = self.lockout.login(attempt.key, known=seen.row is not None)
        return Settled(reason, failed=self.lockout.fail(tx, attempt.client, login))

    def _rehash(self, tx: Transaction, row: AccountRow, seen: Seen, proved: Proved) -> bytes:
        """Keep the hash with the present parameters; the sealed secrets that count from now on."""
        assert row.secrets is not None and seen.row is not None
        if proved.new_hash is None or row.secrets != seen.row.secrets:
            return row.secrets
        old = self._credentials.secrets(row.account_id, row.secrets)
        sealed = self._credentials.seal_secrets(row.account_id, Secrets(proved.new_hash, old.totp_secret, old.recovery))
        accounts.set_secrets(tx, row.account_id, sealed, end_sessions=False)
        return sealed

    def remember(self, account: AccountId, attempt: Attempt, settled: Settled) -> None:
        """After the commit: know what was presented again within its grant."""
        presented = attempt.presented
        if settled.grant is not None and presented is not None and settled.secrets:
            self._memory.keep(settled.grant.number, settled.secrets, presented)
            self._memory.keep_served(account, attempt.grant_client, presented, settled.grant.number)


def _is_code(text: str) -> bool:
    return text.isascii() and text.isdigit()
