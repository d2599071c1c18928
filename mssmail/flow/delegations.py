"""Delegations: a box's owner, a delegate who manages it, or an administrator lets persons act in it, for a term.

What may be given is `policy.delegation`'s to say. Each change is in the trail with who made it, and tells the workers
in its own transaction, so that sessions that lose a right are over within a second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, NONE, Delegation, Right, names_of
from mssmail.flow.acts import account_of
from mssmail.flow.administer import Consent, at_once
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.policy import delegation as policy
from mssmail.policy.facts import DelegationFacts
from mssmail.policy.verdict import Deny
from mssmail.store import accounts, delegations, replays
from mssmail.store.accounts import AccountRow, State
from mssmail.store.delegations import DelegationRow
from mssmail.store.interface import Transaction

DAY_S: Final = 86_400
"""A box so young is being set up: nobody is told of what belongs to that."""
MAX_DELEGATES: Final = 500
"""Of one box: a hospital's large team. Each is told of in one line of GETACL."""


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who administers this server, by the operating system's name."""

    name: str


Giver = Administrator | Principal
"""Who gives or withdraws; a Principal acts in the box that it has open."""


@dataclass(frozen=True, slots=True)
class DelegationView:
    """A delegation as it is shown."""

    box: Address
    delegate: Address
    given: Delegation
    giver: Address | None
    """None for an administrator."""
    state: str
    """`in force`, `to come` or `ended`."""


@dataclass(frozen=True, slots=True)
class _Giving:
    """What the giver is to the box."""

    rights: Right
    owner: bool
    until_at: int | None
    account: AccountId


class Delegations:
    """The use-cases. Each raises Refusal(ACCOUNT_MISSING) for an address without an account."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing

    # --- giving and taking back ---

    async def grant(
        self, giver: Giver, box: Address, to: Address, wanted: Delegation, consent: Consent = at_once
    ) -> None:
        """Give rights in a box, in place of those that `to` has there. `consent`: see `flow.orders`.

        Raises Refusal(DELEGATION, NO_RIGHT, SUSPENDED, STRUCK_OFF, UNAVAILABLE).
        """

        def write(tx: Transaction) -> None:
            row, other = self._find(tx, box), self._find(tx, to)
            self._give(tx, giver, row, other, wanted, consent(tx))

        await self._house.write.run(write)

    async def revise(self, giver: Principal, to: Address, revise: Callable[[Right], Right]) -> bool:
        """Change the rights of `to` in the box that is acted on by what they are now; whether that changed anything.

        A new delegation begins now and lasts as long as the giver may give; no rights: it is withdrawn. Raises as
        `grant`.
        """

        def write(tx: Transaction) -> bool:
            row, other = accounts.by_id(tx, giver.account), self._find(tx, to)
            held = delegations.find(tx, row.account_id, other.account_id)
            if held is None or not held.at(tx.now):
                held = Delegation(NONE, int(tx.now), self._longest(tx, giver))
            rights = revise(held.rights)
            if rights == held.rights:
                self._judge(tx, giver, row, other, held, policy.withdraw)  # nobody learns by it what they may not
                return False
            if rights:
                self._give(tx, giver, row, other, Delegation(rights, held.from_at, held.until_at))
            else:
                self._withdraw(tx, giver, row, other)
            return True

        return await self._house.write.run(write)

    async def withdraw(self, giver: Giver, box: Address, to: Address) -> None:
        """Take a delegation back. Raises Refusal(NOT_DELEGATED) where there was none, and NO_RIGHT."""
        await self._house.write.run(
            lambda tx: self._withdraw(tx, giver, self._find(tx, box, closed=True), self._find(tx, to, closed=True))
        )

    def _give(
        self,
        tx: Transaction,
        giver: Giver,
        row: AccountRow,
        other: AccountRow,
        wanted: Delegation,
        more: dict[str, Value] | None = None,
    ) -> None:
        giving = self._judge(tx, giver, row, other, wanted, policy.give)
        for each in (row, other):
            if each.state is State.SUSPENDED:
                raise Refusal(Reason.SUSPENDED, str(self._address(each)))
            if self._standing.struck_off(self._standing.credentials.dossier(each.account_id, each.sealed)):
                raise Refusal(Reason.STRUCK_OFF, str(self._address(each)))
        new = delegations.find(tx, row.account_id, other.account_id) is None
        if new and delegations.count_of(tx, row.account_id) >= MAX_DELEGATES:
            raise Refusal(Reason.DELEGATION, f"{MAX_DELEGATES} delegates already")
        tell = self._house.settings.delegation.notices and tx.now - row.created_at > DAY_S
        delegations.put_in(tx, row.account_id, other.account_id, wanted, giving.account, tell=tell)
        told: dict[str, Value] = {
            "rights": names_of(wanted.rights),
            "from_at": wanted.from_at,
            "until_at": wanted.until_at,
            **(more or {}),
        }
        self._trace(tx, Kind.DELEGATED, giver, row, other, told)

    def _withdraw(self, tx: Transaction, giver: Giver, row: AccountRow, other: AccountRow) -> None:
        held = delegations.find(tx, row.account_id, other.account_id)
        self._judge(tx, giver, row, other, held or Delegation(NONE, 0, None), policy.withdraw)
        if held is None:
            raise Refusal(Reason.NOT_DELEGATED, "there was no such delegation")
        delegations.drop(tx, row.account_id, other.account_id)
        self._trace(tx, Kind.UNDELEGATED, giver, row, other, {"rights": names_of(held.rights)})

    def _judge(
        self,
        tx: Transaction,
        giver: Giver,
        row: AccountRow,
        other: AccountRow,
        wanted: Delegation,
        judge: Callable[[DelegationFacts], object],
    ) -> _Giving:
        """Raises Refusal(DELEGATION, NO_RIGHT)."""
        giving = self._giving(tx, giver, row.account_id)
        held = delegations.find(tx, row.account_id, other.account_id)
        verdict = judge(
            DelegationFacts(
                giver=giving.rights,
                owner=giving.owner,
                giver_until_at=giving.until_at,
                box=BoxKind(row.kind),
                delegate=BoxKind(other.kind),
                same_box=row.account_id == other.account_id,
                held=NONE if held is None or held.ended(tx.now) else held.rights,
                wanted=wanted,
                now=tx.now,
                max_term_s=self._house.settings.delegation.max_term,
            )
        )
        if isinstance(verdict, Deny):
            raise verdict.refusal()
        return giving

    def _giving(self, tx: Transaction, giver: Giver, box: AccountId) -> _Giving:
        if isinstance(giver, Administrator):
            return _Giving(FULL, True, None, AccountId(0))
        if giver.account != box:
            return _Giving(NONE, False, None, giver.person)
        if giver.person == giver.account:
            return _Giving(FULL, True, None, giver.person)
        held = delegations.find(tx, giver.account, giver.person) or Delegation(NONE, 0, None)
        return _Giving(giver.rights & held.at(tx.now), False, held.until_at, giver.person)

    def _longest(self, tx: Transaction, giver: Principal) -> int | None:
        """When a delegation ends that is given now for as long as may be."""
        longest = self._house.settings.delegation.max_term
        ends = [self._giving(tx, giver, giver.account).until_at, None if longest is None else int(tx.now + longest)]
        return min((end for end in ends if end is not None), default=None)

    def _trace(
        self, tx: Transaction, kind: Kind, giver: Giver, row: AccountRow, other: AccountRow, more: dict[str, Value]
    ) -> None:
        by: dict[str, Value] = (
            {"administrator": giver.name} if isinstance(giver, Administrator) else {"person": int(giver.person)}
        )
        replays.notify(tx, row.account_id, "session")
        details = {**by, "delegate": int(other.account_id), **more}
        tx.trail(Event(kind, row.account_id, str(self._address(row)), details=details))

    # --- looking ---

    async def all(self, address: Address | None = None) -> list[DelegationView]:
        """All delegations, or those of a box and those to its holder, ended ones too."""

        def read(tx: Transaction) -> list[DelegationView]:
            if address is None:
                rows: Sequence[DelegationRow] = delegations.every(tx)
            else:
                account = self._find(tx, address, closed=True).account_id
                rows = [*delegations.of_box(tx, account), *delegations.of_person(tx, account)]
            return [self._view(tx, row) for row in rows]

        return await self._house.read.run(read)

    async def of_box(self, principal: Principal) -> list[tuple[Address, Right]]:
        """Who may do what in the box that is acted on, now. Raises Refusal(NO_RIGHT) without the right to manage."""

        def read(tx: Transaction) -> list[tuple[Address, Right]]:
            if Right.MANAGE not in self._giving(tx, principal, principal.account).rights:
                raise Refusal(Reason.NO_RIGHT, "without the right to manage")
            found = ((row, row.delegation.at(tx.now)) for row in delegations.of_box(tx, principal.account))
            return [(self._address(accounts.by_id(tx, row.delegate_id)), rights) for row, rights in found if rights]

        return await self._house.read.run(read)

    async def givable(self, principal: Principal, to: Address) -> Right:
        """What `principal` may give to `to` in the box that is acted on. Raises Refusal(NO_RIGHT, DELEGATION)."""

        def read(tx: Transaction) -> Right:
            giving, row, other = (
                self._giving(tx, principal, principal.account),
                accounts.by_id(tx, principal.account),
                self._find(tx, to),
            )
            rights = FULL if giving.owner else policy.passed_on(giving.rights)
            if not rights:
                raise Refusal(Reason.NO_RIGHT, "without the right to manage")
            kinds = BoxKind(row.kind) in policy.BOXES and BoxKind(other.kind) in policy.DELEGATES
            if not kinds or row.account_id == other.account_id:
                return NONE
            return rights

        return await self._house.read.run(read)

    def _view(self, tx: Transaction, row: DelegationRow) -> DelegationView:
        given = row.delegation
        state = "ended" if given.ended(tx.now) else "in force" if given.at(tx.now) else "to come"
        box, delegate = (self._address(accounts.by_id(tx, n)) for n in (row.account_id, row.delegate_id))
        giver = self._address(accounts.by_id(tx, row.giver_id)) if row.giver_id else None
        return DelegationView(box, delegate, given, giver, state)

    def _find(self, tx: Transaction, address: Address, *, closed: bool = False) -> AccountRow:
        return account_of(tx, self._standing.credentials, address, closed=closed)

    def _address(self, row: AccountRow) -> Address:
        return self._standing.credentials.dossier(row.account_id, row.sealed).address
