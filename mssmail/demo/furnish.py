"""Furnishing the demo's house by the use-cases that an administrator has: directory, accounts, delegation, suspension.

Starts from what is there, so that a start that was killed half-way is taken up by the next. Passwords and secrets are
remembered in a file before the accounts that they open are made.
"""

import base64
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, Delegation, Right
from mssmail.base.secret import Secret
from mssmail.demo.extract import write_extracts
from mssmail.demo.people import CAST, STRUCK_OFF, WITHOUT_BOX, Account, Cast, Population, bulk_accounts, populate
from mssmail.files import write_whole
from mssmail.flow.clients import PRESETS, Clients
from mssmail.flow.consult import entries
from mssmail.flow.delegations import Administrator, Delegations
from mssmail.flow.house import House
from mssmail.flow.people import AccountView, NewAccount, People, generate_password
from mssmail.flow.refresh import Refresh
from mssmail.flow.standing import Standing

ADMINISTRATOR: Final = "demo"
DAY_S: Final = 86_400
_TOTP_OCTETS: Final = 20
"""RFC 4226 §4, R6: 160 bits."""

OnProgress = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Opener:
    """What a box of the demo is opened with, beside its certificate."""

    password: str | None
    totp_secret: str | None
    """None where an administrator has given another since."""

    def __repr__(self) -> str:
        return "Opener(…)"


_LOST: Final = Opener(None, None)


class Openers:
    """The demo's passwords and code secrets, in a file of mode 0600. A real server keeps none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, Opener] = {}
        if file.exists():
            read = json.loads(file.read_text(encoding="utf-8"))
            self._known = {address: Opener(**fields) for address, fields in read.items()}

    def make(self, addresses: Iterable[str]) -> None:
        """Make up what isn't known yet, durable on return."""
        missing = [address for address in addresses if self._known.get(address, _LOST) == _LOST]
        for address in missing:
            code = base64.b32encode(secrets.token_bytes(_TOTP_OCTETS)).decode()
            self._known[address] = Opener(generate_password().reveal(), code)
        if missing:
            self._write()

    def change(self, address: str, opener: Opener) -> None:
        """Remember what still opens a box, durable on return."""
        self._known[address] = opener
        self._write()

    def _write(self) -> None:
        plain = {a: {"password": o.password, "totp_secret": o.totp_secret} for a, o in self._known.items()}
        write_whole(self._file, json.dumps(plain, indent=1).encode())

    def of(self, address: str) -> Opener | None:
        return self._known.get(address)

    def bulk_count(self, cast: Cast = CAST) -> int:
        """How many `--accounts` boxes an earlier start was asked for."""
        named = sum(1 for a in _named(cast) if a.kind is BoxKind.PER)
        return max(0, len(self._known) - named)


def _named(cast: Cast) -> list[Account]:
    """The accounts that every demo has, those of refused addresses too."""
    return [*cast.accounts, *(r.account for r in cast.refused if r.account is not None)]


@dataclass(frozen=True, slots=True)
class Company:
    """Whom a demo knows: its own people first, then those of operators that are as real as itself."""

    casts: tuple[Cast, ...] = (CAST,)
    accounts: int = 0
    """`--accounts`, of each."""

    @property
    def own(self) -> Cast:
        return self.casts[0]

    def own_accounts(self) -> list[Account]:
        """What is shown of its own: not those of refused addresses."""
        return [*self.own.accounts, *bulk_accounts(self.accounts, self.own.domain)]

    def populate(self) -> Population:
        """Everybody. Where several operators load it at once, the crowd is a small one."""
        if len(self.casts) == 1:
            return populate(self.accounts)
        return populate(self.accounts, people=2_000, boxes=500, casts=self.casts)


class Furnishing:
    """One demo's furniture."""

    def __init__(self, house: House, standing: Standing, openers: Openers, company: Company, extracts: Path) -> None:
        self._house = house
        self._standing = standing
        self._people = People(house, standing, ADMINISTRATOR)
        self._refresh = Refresh(house, standing, ADMINISTRATOR)
        self._openers = openers
        self._company = company
        self._cast = company.own
        self._extracts = extracts
        self._population: Population | None = None

    async def furnish(self, on_progress: OnProgress) -> None:
        """Bring the house to what the demo promises. Raises Refusal."""
        wanted = [*_named(self._cast), *bulk_accounts(self._company.accounts, self._cast.domain)]
        there = {str(a.address): a async for a in self._people.all()}
        missing = [a for a in wanted if a.address not in there]
        await self._register(missing)
        on_progress(0.4)
        await self._open(missing, lambda share: on_progress(0.4 + 0.5 * share))
        await self._strike_off()
        await self._suspend(there)
        await self._delegate()
        await self._admit_programs()
        await self._forget_changed(there)
        on_progress(1.0)

    async def _register(self, missing: Sequence[Account]) -> None:
        """See to it that everybody who is to have a box, and everybody promised, is in the directory in service."""
        holders = {a.holder.national_id for a in self._company.own_accounts() if a.holder is not None}
        holders.add(WITHOUT_BOX.national_id)
        population = self._populate()
        striking = any(a.holder == STRUCK_OFF for a in missing)
        if striking:
            await self._load(population, 1)
        elif not all(map(self._registered, holders)) or self._standing.directory_stale():
            # a demo started again after weeks would else take no mail
            await self._load(population.without(STRUCK_OFF.national_id), 0)

    async def _strike_off(self) -> None:
        """Load the newer extract, which the struck-off person is gone from."""
        if self._registered(STRUCK_OFF.national_id):
            await self._load(self._populate().without(STRUCK_OFF.national_id), 0)

    def _populate(self) -> Population:
        if self._population is None:
            self._population = self._company.populate()
        return self._population

    def _registered(self, national_id: str) -> bool:
        try:
            return bool(entries(self._house, national_id))
        except Refusal as refusal:
            if refusal.reason is Reason.UNAVAILABLE:
                return False
            raise

    async def _load(self, population: Population, days_ago: int) -> None:
        """Write both extracts as they are published, and import them as an operator does."""
        written = write_extracts(self._extracts, population, self._house.clock.now() - days_ago * DAY_S)
        # a demo's directory may have been replaced by hand: its own is put back whatever its size
        await self._refresh.load([written.activity, written.boxes], allow_shrink=True)

    async def _open(self, missing: Sequence[Account], on_progress: OnProgress) -> None:
        """Make the accounts that aren't there."""
        self._openers.make(a.address for a in missing if a.kind is BoxKind.PER)
        if missing:
            new = [self._new(a) for a in missing]
            await self._people.create_many(new, lambda made, total: on_progress(made / total))

    def _new(self, account: Account) -> NewAccount:
        opener = self._openers.of(account.address)
        holder = account.holder.national_id if account.holder is not None else ""
        if account.structure is not None:
            holder = account.structure.structure_id
        return NewAccount(
            _address(account.address),
            account.kind,
            holder,
            account.name,
            account.common_name,
            None if opener is None or opener.password is None else Secret(opener.password),
            None if opener is None or opener.totp_secret is None else Secret(opener.totp_secret),
        )

    async def _forget_changed(self, there: dict[str, AccountView]) -> None:
        """Promise no password and no code that an administrator has changed since."""
        for address, view in there.items():
            known = self._openers.of(address)
            if known is None or not view.touched or view.state == "closed":
                continue
            fits = await self._people.fitting(
                view.address, Secret(known.password or ""), Secret(known.totp_secret or "")
            )
            left = Opener(known.password if fits[0] else None, known.totp_secret if fits[1] else None)
            if left != known:
                self._openers.change(address, left)

    async def _suspend(self, there: dict[str, AccountView]) -> None:
        for refused in self._cast.refused:
            known = there.get(refused.address)
            if refused.reason is Reason.SUSPENDED and (known is None or known.state == "open"):
                await self._people.suspend(_address(refused.address))

    async def _admit_programs(self) -> None:
        """Register the mail programs that an operator would, by their presets."""
        clients = Clients(self._house, ADMINISTRATOR)
        known = {client.client_id for client in await clients.list()}
        for preset in PRESETS:
            if preset.client_id not in known:
                await clients.add(preset)

    async def _delegate(self) -> None:
        delegations, now = Delegations(self._house, self._standing), int(self._house.clock.now())
        longest = self._house.settings.delegation.max_term
        until_at = None if longest is None else int(now + longest)
        for account in self._cast.accounts:
            if account.delegates:
                box = await self._people.show(_address(account.address))
                for delegate in account.delegates:
                    if delegate not in map(str, box.delegates):
                        # who comes first answers for the box, and may name others
                        rights = FULL if delegate == account.delegates[0] else FULL & ~Right.MANAGE
                        given = Delegation(rights, now, until_at)
                        await delegations.grant(Administrator(ADMINISTRATOR), box.address, _address(delegate), given)


def _address(text: str) -> Address:
    address = Address.parse(text)
    assert address is not None, "the demo's own addresses are sound"
    return address
