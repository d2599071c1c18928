"""Administration of accounts: showing, suspending, closing, passwords and codes, quotas.

Each act is in the trail with who did it, and tells the workers in its own transaction, so that sessions whose right has
ended are over within a second. An administrator never sees a password, a message or a folder's name.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from mssmail.audit.events import Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.limits import Limits
from mssmail.base.principal import PERSONS, BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.saslprep import saslprep
from mssmail.base.secret import Secret
from mssmail.flow.acts import Acts, account_of
from mssmail.flow.administer import Consent, at_once
from mssmail.flow.enrol import Created, Enrolment, NewAccount, OnProgress, check_password
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.identity import otp, passwords
from mssmail.identity.credentials import Dossier, Secrets
from mssmail.identity.passwords import Passwords
from mssmail.store import accounts, delegations, grants
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

__all__ = ["AccountView", "Created", "NewAccount", "NewCode", "People", "generate_password"]

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as an administrator sees it."""

    account: AccountId
    address: Address
    kind: BoxKind
    state: str
    """`open`, `suspended` or `closed`."""
    struck_off: bool | None
    """Whether the newest extract lacks the holder; None while no directory can be read."""
    holder: str
    name: str
    profession: str
    common_name: str
    has_password: bool
    has_code: bool
    recovery_codes: int
    """How many are left."""
    used_octets: int
    quota_octets: int
    created_at: int
    signed_in_at: int | None
    term_s: int | None
    """Its own retention term in seconds, None for the default."""
    limits: Limits
    touched: bool
    """Whether state, password or code were changed since it was made."""
    delegates: tuple[Address, ...] = ()
    """Who may act in it beside its holder, now or later; only `show` looks."""
    delegated: tuple[Address, ...] = ()
    """In which others its holder may; only `show` looks."""


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code's new secret, to be shown once."""

    totp_secret: Secret
    provisioning_uri: Secret


def generate_password() -> Secret:
    """A random password that passes the rule on strength."""
    return Secret(passwords.generate())


class People:
    """The use-cases of administration. Each raises Refusal(ACCOUNT_MISSING) for an address without an account."""

    def __init__(self, house: House, standing: Standing, administrator: str) -> None:
        """`administrator`: the operating system's name of whoever does it, for the trail."""
        self._house = house
        self._standing = standing
        self._acts = Acts(house, standing.credentials, administrator)
        self._enrolment = Enrolment(house, standing, administrator)
        self._passwords = Passwords(house.settings.auth)

    async def create(self, new: NewAccount) -> Created:
        """See `Enrolment.create`."""
        return await self._enrolment.create(new)

    async def create_many(
        self, new: list[NewAccount], on_progress: OnProgress = lambda made, total: None
    ) -> list[Created]:
        """See `Enrolment.create_many`."""
        return await self._enrolment.create_many(new, on_progress)

    # --- looking ---

    async def all(self) -> AsyncIterator[AccountView]:
        """Every account, closed ones too, oldest first, in pages of one snapshot each."""
        after = 0
        while True:
            rows = await self._house.read.run(lambda tx, after=after: accounts.page(tx, after, _PAGE))  # type: ignore[misc]
            for row in rows:
                yield self._view(row)
            if len(rows) < _PAGE:
                return
            after = rows[-1].account_id

    async def show(self, address: Address) -> AccountView:
        """One account with its delegations."""

        def read(tx: Transaction) -> AccountView:
            row = account_of(tx, self._standing.credentials, address)
            given, held = delegations.of_box(tx, row.account_id), delegations.of_person(tx, row.account_id)
            delegates = [accounts.by_id(tx, each.delegate_id) for each in given if not each.delegation.ended(tx.now)]
            delegated = [accounts.by_id(tx, each.account_id) for each in held if not each.delegation.ended(tx.now)]
            return replace(
                self._view(row),
                delegates=tuple(self._dossier(other).address for other in delegates),
                delegated=tuple(self._dossier(other).address for other in delegated),
            )

        return await self._house.read.run(read)

    def _view(self, row: AccountRow) -> AccountView:
        dossier = self._dossier(row)
        secrets = None
        if row.secrets is not None:
            secrets = self._standing.credentials.secrets(row.account_id, row.secrets)
        try:
            struck_off: bool | None = self._standing.struck_off(dossier)
        except Refusal:
            struck_off = None
        return AccountView(
            row.account_id,
            dossier.address,
            dossier.kind,
            row.state.value,
            struck_off,
            dossier.holder,
            dossier.name,
            dossier.profession,
            dossier.common_name,
            secrets is not None and bool(secrets.password_hash),
            secrets is not None and bool(secrets.totp_secret),
            0 if secrets is None else len(secrets.recovery),
            row.used_octets,
            row.quota_octets,
            row.created_at,
            row.signed_in_at,
            row.term_s,
            dossier.limits,
            row.epoch > 0,
        )

    # --- state ---

    async def suspend(self, address: Address) -> None:
        """Stop sign-in and reception; sessions and grants end, mail and password stay."""

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            accounts.set_state(tx, row.account_id, State.SUSPENDED)
            return {"grants": grants.end_all(tx, row.account_id)}

        await self._acts.do(address, Kind.ACCOUNT_SUSPENDED, act)

    async def resume(self, address: Address) -> None:
        """Undo a suspension. Who was struck off meanwhile stays out."""

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            accounts.set_state(tx, row.account_id, State.OPEN)
            return {}

        await self._acts.do(address, Kind.ACCOUNT_RESUMED, act)

    async def close(self, address: Address, consent: Consent = at_once) -> None:
        """Close for good: sessions and grants end, password and code are forgotten, the address is never given again.

        The mail stays sealed until its term. `consent`: of a second person, see `flow.orders`.
        """

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            given = consent(tx)
            accounts.set_state(tx, row.account_id, State.CLOSED)
            accounts.set_secrets(tx, row.account_id, None, end_sessions=True)
            return {"grants": grants.end_all(tx, row.account_id), **given}

        await self._acts.do(address, Kind.ACCOUNT_CLOSED, act)

    # --- secrets ---

    async def set_password(self, address: Address, password: Secret) -> None:
        """Set a password; sessions and grants end. Raises Refusal(WEAK_PASSWORD, MECHANISM).

        An account that has no code yet can't use it before `new_code`.
        """
        row = await self._house.read.run(lambda tx: account_of(tx, self._standing.credentials, address))
        check_password(BoxKind(row.kind), self._dossier(row).address, password)
        prepared = saslprep(password.reveal())
        assert prepared is not None
        loop = asyncio.get_running_loop()
        hashed = await loop.run_in_executor(self._house.password_work, self._passwords.hash, prepared)
        await self._acts.do(
            address,
            Kind.PASSWORD_SET,
            lambda tx, row: self._put_secrets(tx, row, lambda s: replace(s, password_hash=hashed)),
        )

    async def new_code(self, address: Address) -> NewCode:
        """Give a new secret for codes; the old one, sessions and grants end. Raises Refusal(MECHANISM)."""
        secret = otp.new_secret()

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            if BoxKind(row.kind) not in PERSONS:
                raise Refusal(Reason.MECHANISM, f"a box of kind {row.kind} has no code")
            return self._put_secrets(tx, row, lambda s: replace(s, totp_secret=secret, recovery=()))

        await self._acts.do(address, Kind.CODE_SET, act)
        return NewCode(Secret(secret), Secret(otp.provisioning_uri(secret, str(address))))

    async def fitting(self, address: Address, password: Secret, totp_secret: Secret) -> tuple[bool, bool]:
        """Whether the account has this password, and this secret for codes. Takes the time of one Argon2id hash."""
        row = await self._house.read.run(lambda tx: account_of(tx, self._standing.credentials, address))
        prepared = saslprep(password.reveal())
        if row.secrets is None or prepared is None:
            return False, False
        held = self._standing.credentials.secrets(row.account_id, row.secrets)
        verify = self._passwords.verify
        loop = asyncio.get_running_loop()
        fits = await loop.run_in_executor(self._house.password_work, verify, held.password_hash, prepared)
        return fits, held.totp_secret == totp_secret.reveal()

    def _put_secrets(self, tx: Transaction, row: AccountRow, change: Callable[[Secrets], Secrets]) -> dict[str, Value]:
        """Change what the row holds now, not what was read earlier."""
        credentials = self._standing.credentials
        old = Secrets("", "") if row.secrets is None else credentials.secrets(row.account_id, row.secrets)
        sealed = credentials.seal_secrets(row.account_id, change(old))
        accounts.set_secrets(tx, row.account_id, sealed, end_sessions=True)
        return {"grants": grants.end_all(tx, row.account_id)}

    async def end_grants(self, address: Address) -> None:
        """Ask for a new code everywhere at the next sign-in; open sessions stay."""
        await self._acts.do(address, Kind.GRANTS_ENDED, lambda tx, row: {"grants": grants.end_all(tx, row.account_id)})

    # --- quota ---

    async def set_quota(self, address: Address, octets: int) -> None:
        """What is there already stays, and counts. Raises Refusal(MECHANISM) for an employee, who has no box."""

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            if row.kind == BoxKind.EMP.value:
                raise Refusal(Reason.MECHANISM, "an employee has no box")
            accounts.set_quota(tx, row.account_id, octets)
            return {"octets": octets, "before": row.quota_octets}

        await self._acts.do(address, Kind.QUOTA_SET, act)

    async def set_limits(self, address: Address, change: Callable[[Limits], Limits]) -> Limits:
        """Change what an account may send and where it may sign in from; open sessions end. The limits from now on."""
        made: list[Limits] = []

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            dossier = self._dossier(row)
            made[:] = [change(dossier.limits)]
            sealed = self._standing.credentials.seal_dossier(row.account_id, replace(dossier, limits=made[0]))
            accounts.set_dossier(tx, row.account_id, sealed)
            return {"limits": [f"{name}={value}" for name, value in made[0].stored().items()]}

        await self._acts.do(address, Kind.LIMITS_SET, act)
        return made[0]

    def _dossier(self, row: AccountRow) -> Dossier:
        return self._standing.credentials.dossier(row.account_id, row.sealed)
