"""Making accounts, one or a thousand: who may have one, its key, its folders, its row.

An account's key is on disk in the key store before its row commits: a row without its key could seal nothing. Numbers
are given out first, so that a crash in between costs a number and leaves a key that seals nothing. Knows no
certificate files: a certificate opens the box by what it names.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mssmail.audit.events import Event, Kind
from mssmail.base.address import Address
from mssmail.base.folder import SpecialUse
from mssmail.base.ids import AccountId, FolderId
from mssmail.base.principal import PERSONS, BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.saslprep import saslprep
from mssmail.base.secret import Secret
from mssmail.crypto.keystore import KeyKind
from mssmail.flow.house import House
from mssmail.flow.names import INBOX, Names
from mssmail.flow.standing import Standing
from mssmail.identity import otp
from mssmail.identity.credentials import Dossier, Secrets
from mssmail.identity.passwords import Passwords, too_weak
from mssmail.store import accounts, folders, replays
from mssmail.store.interface import Transaction

FOLDERS: Final[tuple[tuple[str, SpecialUse | None], ...]] = (
    (INBOX, None),
    ("Drafts", SpecialUse.DRAFTS),
    ("Sent", SpecialUse.SENT),
    ("Junk", SpecialUse.JUNK),
    ("Trash", SpecialUse.TRASH),
    ("Archive", SpecialUse.ARCHIVE),
)
"""What a new box has, each subscribed: the names that mail programs make themselves otherwise (RFC 6154 §2)."""
BATCH: Final = 200
"""Accounts of one transaction; some 13 statements each."""
HOLDER_KINDS: Final = (BoxKind.PER, BoxKind.ORG, BoxKind.APP, BoxKind.EMP)

OnProgress = Callable[[int, int], None]
"""Called on the loop with accounts made, and accounts to make."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made."""

    address: Address
    kind: BoxKind
    holder: str
    """National id (PER) or structure id (ORG, APP, and EMP, whose employer it is)."""
    name: str = ""
    """Empty: as the directory has it."""
    common_name: str = ""
    """CN of an ORG or APP box's certificate, or of an employee's card."""
    password: Secret | None = None
    """None: certificates only. Persons alone have one: a shared password is nobody's (CNIL 2013-096)."""
    totp_secret: Secret | None = None
    """Base32; None: made here, where there is a password."""
    quota_octets: int | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """An account that was made, and what its holder must be given once."""

    account: AccountId
    address: Address
    totp_secret: Secret | None = None
    provisioning_uri: Secret | None = None
    """`otpauth://…`; it holds the code's secret."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """An account whose checks are passed and whose numbers are given out."""

    account: AccountId
    first_folder: int
    new: NewAccount
    dossier: Dossier
    totp_secret: str


@dataclass(frozen=True, slots=True)
class _Sealed:
    """An account's rows, sealed."""

    plan: _Plan
    dossier: bytes
    secrets: bytes | None
    names: tuple[tuple[bytes, bytes, bytes], ...] = field(repr=False)
    """For each of its folders: digest, sealed name, sealed subscription."""


class Enrolment:
    """The use-case of making accounts."""

    def __init__(self, house: House, standing: Standing, administrator: str) -> None:
        """`administrator`: who does it, for the trail."""
        self._house = house
        self._standing = standing
        self._administrator = administrator
        self._passwords = Passwords(house.settings.auth)

    async def create(self, new: NewAccount) -> Created:
        """Make one account.

        Raises Refusal(NOT_ELIGIBLE, DIRECTORY_STALE, ACCOUNT_EXISTS, WEAK_PASSWORD, MECHANISM, UNAVAILABLE).
        """
        (created,) = await self.create_many((new,))
        return created

    async def create_many(
        self, new: Sequence[NewAccount], on_progress: OnProgress = lambda made, total: None
    ) -> list[Created]:
        """Make accounts in bulk, in the given order; all are checked before the first is made.

        Raises as `create`; of a bulk that fails for want of disk, whole batches may have been made.
        """
        if self._standing.directory_stale():
            raise Refusal(Reason.DIRECTORY_STALE, "no registration can be vouched for")
        dossiers = [self._check(each) for each in new]
        self._check_distinct(new)
        count = len(new)
        numbers = await self._house.write.run(lambda tx: self._reserve(tx, new))
        plans = [
            _Plan(AccountId(numbers[0] + k), numbers[1] + k * len(FOLDERS), each, dossier, self._code_for(each))
            for k, (each, dossier) in enumerate(zip(new, dossiers, strict=True))
        ]
        loop = asyncio.get_running_loop()
        ids = tuple(int(plan.account) for plan in plans)
        await loop.run_in_executor(self._house.crypto_work, self._house.keys.store.create, KeyKind.ACCOUNT, ids)
        made = 0
        batches = [plans[start : start + BATCH] for start in range(0, count, BATCH)]
        # Argon2 is nearly all of the work: the next batch's runs while this one is sealed and written
        hashing = [self._hash_all(batch) for batch in batches[:2]]
        for number, batch in enumerate(batches):
            hashes = await hashing[number]
            if number + 2 < len(batches):
                hashing.append(self._hash_all(batches[number + 2]))
            sealed = await loop.run_in_executor(self._house.crypto_work, self._seal_all, batch, hashes)
            await self._house.write.run(lambda tx, rows=sealed: self._insert_all(tx, rows))  # type: ignore[misc]
            made += len(batch)
            on_progress(made, count)
        return [_created(plan) for plan in plans]

    def _check(self, new: NewAccount) -> Dossier:
        """The dossier of an account that may be made. Raises Refusal."""
        settings, directory = self._house.settings, self._house.directory
        if new.kind not in HOLDER_KINDS:
            raise Refusal(Reason.NOT_ELIGIBLE, f"no account of kind {new.kind.value} is made")
        if new.address.domain not in settings.server.domains:
            raise Refusal(Reason.NOT_ELIGIBLE, f"{new.address.domain} is no domain of this server")
        if new.kind is BoxKind.PER:
            person = directory.person(new.holder)
            allowed = settings.directory.allowed_professions
            if person is None or not person.practises(allowed):
                raise Refusal(Reason.NOT_ELIGIBLE, "no active registration in an allowed profession")
            profession = next(p.code for p in person.professions if p.code in allowed)
            dossier = Dossier(
                new.address, new.kind, new.holder, new.name or f"{person.given_name} {person.name}", profession
            )
        else:
            structure = directory.structure(new.holder)
            if structure is None:
                raise Refusal(Reason.NOT_ELIGIBLE, "no structure of that id in the directory")
            if new.kind is BoxKind.EMP:
                if not settings.delegation.local_list:
                    raise Refusal(Reason.NOT_ELIGIBLE, "no list of employees is kept: delegation.local_list")
                if not new.name:
                    raise Refusal(Reason.NOT_ELIGIBLE, "an employee needs a name: the directory has none")
            elif not new.common_name:
                raise Refusal(Reason.NOT_ELIGIBLE, f"a box of kind {new.kind.value} needs its certificate's CN")
            dossier = Dossier(
                new.address, new.kind, new.holder, new.name or structure.name, common_name=new.common_name
            )
        check_password(new.kind, new.address, new.password)
        return dossier

    def _check_distinct(self, new: Sequence[NewAccount]) -> None:
        seen: set[str] = set()
        for each in new:
            if each.address.key in seen:
                raise Refusal(Reason.ACCOUNT_EXISTS, f"{each.address} twice")
            seen.add(each.address.key)

    def _reserve(self, tx: Transaction, new: Sequence[NewAccount]) -> tuple[int, int]:
        """The first account's and the first folder's number. Raises Refusal(ACCOUNT_EXISTS)."""
        for each in new:
            self._check_free(tx, each.address)
        count = len(new)
        return accounts.next_number(tx, "account", count), accounts.next_number(tx, "folder", count * len(FOLDERS))

    def _check_free(self, tx: Transaction, address: Address) -> None:
        if accounts.by_address(tx, self._standing.credentials.address_digest(address)) is not None:
            raise Refusal(Reason.ACCOUNT_EXISTS, str(address))

    def _code_for(self, new: NewAccount) -> str:
        if new.totp_secret is not None:
            return new.totp_secret.reveal()
        return "" if new.password is None else otp.new_secret()

    def _hash_all(self, plans: Sequence[_Plan]) -> "asyncio.Future[list[str]]":
        """Have the passwords hashed, in the order of the plans; begins at once."""
        return asyncio.gather(*(self._hash(plan.new.password) for plan in plans))

    async def _hash(self, password: Secret | None) -> str:
        if password is None:
            return ""
        prepared = saslprep(password.reveal())
        assert prepared is not None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._house.password_work, self._passwords.hash, prepared)

    def _seal_all(self, plans: Sequence[_Plan], hashes: Sequence[str]) -> list[_Sealed]:
        return [self._seal(plan, hashed) for plan, hashed in zip(plans, hashes, strict=True)]

    def _seal(self, plan: _Plan, hashed: str) -> _Sealed:
        credentials, names = self._standing.credentials, Names(self._house.keys, plan.account)
        secrets = None
        if hashed or plan.totp_secret:
            secrets = credentials.seal_secrets(plan.account, Secrets(hashed, plan.totp_secret))
        return _Sealed(
            plan,
            credentials.seal_dossier(plan.account, plan.dossier),
            secrets,
            tuple(
                (names.digest(name), names.seal(FolderId(plan.first_folder + k), name), names.seal_subscription(name))
                for k, (name, _) in enumerate(_folders_of(plan.new.kind))
            ),
        )

    def _insert_all(self, tx: Transaction, rows: Sequence[_Sealed]) -> None:
        for row in rows:
            self._check_free(tx, row.plan.new.address)
            self._insert(tx, row)

    def _insert(self, tx: Transaction, row: _Sealed) -> None:
        plan, credentials, now = row.plan, self._standing.credentials, int(tx.now)
        quota = 0 if plan.new.kind is BoxKind.EMP else plan.new.quota_octets
        accounts.add(
            tx,
            account_id=plan.account,
            kind=plan.new.kind.value,
            address_digest=credentials.address_digest(plan.new.address),
            holder_digest=credentials.holder_digest(plan.new.holder),
            subject_digest=credentials.subject_digest(plan.dossier.subject),
            sealed=row.dossier,
            secrets=row.secrets,
            quota_octets=self._house.settings.store.quota if quota is None else quota,
            inbox_id=plan.first_folder,
            created_at=now,
        )
        for k, ((_, role), (digest, sealed, subscription)) in enumerate(
            zip(_folders_of(plan.new.kind), row.names, strict=True)
        ):
            folder = FolderId(plan.first_folder + k)
            folders.add(
                tx,
                folder=folder,
                account=plan.account,
                digest=digest,
                sealed_name=sealed,
                role=None if role is None else role.value.removeprefix("\\").lower(),
                uid_validity=folder,
                modseq=1,
                at=now,
            )
            folders.subscribe(tx, plan.account, digest, subscription)
        replays.notify(tx, plan.account, "session")
        details = {"administrator": self._administrator, "kind": plan.new.kind.value}
        if plan.new.kind is BoxKind.EMP:
            details |= {"structure": plan.new.holder}
        tx.trail(Event(Kind.ACCOUNT_CREATED, plan.account, str(plan.new.address), details=details))


def _folders_of(kind: BoxKind) -> tuple[tuple[str, SpecialUse | None], ...]:
    """An employee's account has an INBOX, since every account has one, and nothing comes to it."""
    return FOLDERS[:1] if kind is BoxKind.EMP else FOLDERS


def check_password(kind: BoxKind, address: Address, password: Secret | None) -> None:
    """Raises Refusal(MECHANISM) where this kind of box has none, WEAK_PASSWORD where it is easily guessed."""
    if password is None:
        return
    if kind not in PERSONS:
        raise Refusal(Reason.MECHANISM, f"a box of kind {kind.value} is opened by certificates and by delegates")
    prepared = saslprep(password.reveal())
    if prepared is None:
        raise Refusal(Reason.WEAK_PASSWORD, "empty, too long, or with signs that can't be compared (RFC 4013)")
    weakness = too_weak(prepared, str(address))
    if weakness is not None:
        raise Refusal(Reason.WEAK_PASSWORD, weakness)


def _created(plan: _Plan) -> Created:
    if not plan.totp_secret:
        return Created(plan.account, plan.new.address)
    uri = otp.provisioning_uri(plan.totp_secret, str(plan.new.address))
    return Created(plan.account, plan.new.address, Secret(plan.totp_secret), Secret(uri))
