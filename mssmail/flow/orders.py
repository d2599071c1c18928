"""Acts for which two persons are asked (`admin.two_persons`): ordered by one, carried out when another approves.

An order is a row with an end of its own, sealed with its number and end, so that none can be made up or prolonged in
the database. Consent is taken in the transaction of the act itself: the row goes, all facts are looked at again, and
the act's event names both persons. An order is carried out once or not at all.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Delegation, names_of, rights_of
from mssmail.base.role import Act, Role
from mssmail.flow.activation import Activations, Opened
from mssmail.flow.acts import account_of
from mssmail.flow.administer import Administration, Administrator, Caller, Consent, facts_of, known, words
from mssmail.flow.delegations import Administrator as DelegationGiver
from mssmail.flow.delegations import Delegations
from mssmail.flow.forwarding import Forwardings
from mssmail.flow.gate import Gate
from mssmail.flow.house import House
from mssmail.flow.people import People
from mssmail.flow.purge import Purge
from mssmail.flow.standing import Standing
from mssmail.identity.administrators import Order, Sealer
from mssmail.policy.administer import ACTS, AdministratorFacts, ConsentFacts, administer, consent
from mssmail.policy.verdict import Deny
from mssmail.store import accounts, delegations, forwards
from mssmail.store import administrators as rows
from mssmail.store.administrators import OrderRow
from mssmail.store.interface import Transaction

T = TypeVar("T")

MAX_WAITING: Final = 100
"""Far more than administrators can look at; keeps a slip in a script from filling the table."""
PURGE_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Deed:
    """An act with all that it needs, as texts."""

    act: Act
    subject: str = ""
    """An address, or an administrator's name."""
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits for a second person."""

    number: int
    deed: Deed
    by: str
    given_at: int
    until: int


def added(who: Administrator) -> Deed:
    """The act of making somebody an administrator."""
    arguments = {"os_user": who.os_user, "uid": str(who.uid), "roles": ",".join(words(who.roles))}
    return Deed(Act.ADMIN_ADD, who.name, arguments)


def given_roles(name: str, roles: frozenset[Role]) -> Deed:
    """The act of giving an administrator other roles."""
    return Deed(Act.ADMIN_ROLES, name, {"roles": ",".join(words(roles))})


def given_rights(box: Address, to: Address, wanted: Delegation) -> Deed:
    """The act of letting somebody into another's box."""
    until = "" if wanted.until_at is None else str(wanted.until_at)
    rights = ",".join(names_of(wanted.rights))
    arguments = {"to": str(to), "rights": rights, "from_at": str(wanted.from_at), "until_at": until}
    return Deed(Act.DELEGATION_GRANT, str(box), arguments)


def forwarded(box: Address, to: Address, *, keep: bool) -> Deed:
    """The act of having a box's mail go on to another one."""
    return Deed(Act.FORWARD_SET, str(box), {"to": str(to), "keep": "yes" if keep else "no"})


class Orders:
    """Orders as one caller gives, sees, approves and rejects them."""

    def __init__(self, house: House, standing: Standing, caller: Caller) -> None:
        self._house = house
        self._standing = standing
        self._caller = caller
        self._sealer = Sealer(house.keys)

    async def carry_out(self, deed: Deed, now: Callable[[], Awaitable[T]]) -> T | Waiting:
        """Do an act by `now`, or keep its order where two persons are asked for it.

        Raises Refusal: what the act would, as far as it can be told beforehand; ORDER where too many wait.
        """
        if deed.act.value not in self._house.settings.admin.two_persons:
            return await now()
        return await self._house.write.run(lambda tx: self._keep(tx, deed))

    def _keep(self, tx: Transaction, deed: Deed) -> Waiting:
        self._expire(tx)
        waiting = self._waiting(tx)
        for each in waiting:
            if each.deed == deed:
                raise Refusal(Reason.ORDER, f"it waits already, as order {each.number}")
        if len(waiting) >= MAX_WAITING:
            raise Refusal(Reason.ORDER, f"{MAX_WAITING} orders wait already")
        facts, at = self._facts(tx, deed), int(tx.now)
        number = accounts.next_number(tx, "order")
        until = at + self._house.settings.admin.order_lifetime
        caller = self._caller
        order = Order(deed.act, deed.subject, deed.arguments, caller.name, caller.uid, facts, at)
        rows.put_order(tx, number, until, self._sealer.seal_order(number, until, order))
        made = Waiting(number, deed, caller.name, at, until)
        self._trace(tx, Kind.ORDER_GIVEN, made, {"administrator": caller.name, "until": until})
        return made

    async def waiting(self) -> list[Waiting]:
        """Orders that wait, the oldest first."""

        def work(tx: Transaction) -> list[Waiting]:
            self._expire(tx)
            return self._waiting(tx)

        return await self._house.write.run(work)

    async def reject(self, number: int) -> Waiting:
        """Strike an order, one's own too. Raises Refusal(ORDER, NOT_PERMITTED)."""

        def work(tx: Transaction) -> Waiting:
            found, _ = self._find(tx, number)
            verdict = administer(ACTS[found.deed.act], AdministratorFacts(self._caller.roles))
            if isinstance(verdict, Deny):
                raise verdict.refusal()
            rows.take_order(tx, number)
            more: dict[str, Value] = {"administrator": self._caller.name, "ordered_by": found.by}
            self._trace(tx, Kind.ORDER_REJECTED, found, more)
            return found

        return await self._house.write.run(work)

    async def approve(self, number: int) -> tuple[Waiting, Opened | None]:
        """Consent to somebody else's order and carry it out; what it was, and the link that it made.

        Raises Refusal(ORDER, NOT_PERMITTED), and whatever the act itself raises; the order then waits on.
        """
        found, _ = await self._house.read.run(lambda tx: self._find(tx, number))
        return found, await self._perform(found.deed, lambda tx: self._consent(tx, number))

    def _consent(self, tx: Transaction, number: int) -> dict[str, Value]:
        """Take an order in the transaction of its act."""
        found, order = self._find(tx, number)
        verdict = consent(self._consent_facts(tx, found, order))
        if isinstance(verdict, Deny):
            raise verdict.refusal()
        if not rows.take_order(tx, number):
            raise _gone()
        named: dict[str, Value] = {"order": number, "ordered_by": order.by}
        self._trace(tx, Kind.ORDER_APPROVED, found, {"administrator": self._caller.name, "ordered_by": order.by})
        return named

    def _consent_facts(self, tx: Transaction, found: Waiting, order: Order) -> ConsentFacts:
        caller = self._caller
        first = AdministratorFacts(frozenset(Role))
        if order.by_uid is not None:
            first = facts_of(known(tx, self._sealer, order.by_uid))
        same = order.by == caller.name or order.by_uid == caller.uid  # all who have the folder count as one
        return ConsentFacts(
            act=order.act,
            second=AdministratorFacts(caller.roles),
            same_person=same,
            first=first,
            expired=found.until <= tx.now,
            same_facts=order.facts == self._facts(tx, found.deed),
        )

    # --- what each act is given upon, and how it is done ---

    def _facts(self, tx: Transaction, deed: Deed) -> str:
        """Raises Refusal where the act can't be done as things are."""
        administration = Administration(self._house, self._caller)
        match deed.act:
            case Act.ACCOUNT_CLOSE | Act.ACCOUNT_ENROL:
                return f"account {self._account(tx, _address(deed.subject))}"
            case Act.DELEGATION_GRANT:
                box = self._account(tx, _address(deed.subject))
                to = self._account(tx, _address(deed.arguments["to"]))
                held = delegations.find(tx, box, to)
                return f"account {box} to {to} {'' if held is None else ','.join(names_of(held.rights))}"
            case Act.FORWARD_SET:
                box = self._account(tx, _address(deed.subject))
                now = forwards.find(tx, box)
                return f"account {box} {'' if now is None else now.set_at}"
            case Act.RETENTION_SHRINK:
                return ""
            case Act.ADMIN_ADD:
                administration.check_new(tx, _new(deed))
                return ""
            case Act.ADMIN_ROLES | Act.ADMIN_REMOVE:
                row, who = administration.find(tx, deed.subject)
                return f"administrator {row.number} {','.join(words(who.roles))}"

    def _account(self, tx: Transaction, address: Address) -> AccountId:
        """Raises Refusal(ACCOUNT_MISSING)."""
        return account_of(tx, self._standing.credentials, address).account_id

    async def _perform(self, deed: Deed, given: Consent) -> Opened | None:
        """Do an act, with consent taken in its own transaction; the link, where it makes one."""
        administration = Administration(self._house, self._caller)
        match deed.act:
            case Act.ACCOUNT_CLOSE:
                await People(self._house, self._standing, self._caller.name).close(_address(deed.subject), given)
            case Act.ACCOUNT_ENROL:
                activations = Activations(self._house, self._standing)
                return await activations.open(_address(deed.subject), self._caller.name, given)
            case Act.DELEGATION_GRANT:
                box, to = _address(deed.subject), _address(deed.arguments["to"])
                giver = DelegationGiver(self._caller.name)
                await Delegations(self._house, self._standing).grant(giver, box, to, _delegation(deed), given)
            case Act.FORWARD_SET:
                gate, keep = Gate(self._house, self._standing), deed.arguments["keep"] == "yes"
                box, to = _address(deed.subject), _address(deed.arguments["to"])
                forwardings = Forwardings(self._house, self._standing.credentials, gate)
                await forwardings.set(DelegationGiver(self._caller.name), box, to, keep=keep, consent=given)
            case Act.RETENTION_SHRINK:
                await self._house.write.run(given)
                done = await Purge(self._house, announce=True).run(wait_s=PURGE_WAIT_S, allow_shrink=True)
                if done is None:
                    raise Refusal(Reason.UNAVAILABLE, "another purge holds the lease; order it anew")
            case Act.ADMIN_ADD:
                await administration.add(_new(deed), given)
            case Act.ADMIN_ROLES:
                await administration.set_roles(deed.subject, _roles(deed), given)
            case Act.ADMIN_REMOVE:
                await administration.remove(deed.subject, given)
        return None

    # --- rows ---

    def _find(self, tx: Transaction, number: int) -> tuple[Waiting, Order]:
        row = rows.order(tx, number)
        opened = None if row is None else self._opened(row)
        if opened is None:
            raise _gone()
        return opened

    def _opened(self, row: OrderRow) -> tuple[Waiting, Order] | None:
        order = self._sealer.order(row.number, row.until, row.sealed)
        if order is None:
            return None
        deed = Deed(order.act, order.subject, order.arguments)
        return Waiting(row.number, deed, order.by, order.given_at, row.until), order

    def _waiting(self, tx: Transaction) -> list[Waiting]:
        return [opened[0] for row in rows.orders_waiting(tx) if (opened := self._opened(row)) is not None]

    def _expire(self, tx: Transaction) -> None:
        for waiting in self._waiting(tx):
            if waiting.until <= tx.now and rows.take_order(tx, waiting.number):
                self._trace(tx, Kind.ORDER_EXPIRED, waiting, {"ordered_by": waiting.by})

    def _trace(self, tx: Transaction, kind: Kind, order: Waiting, more: dict[str, Value]) -> None:
        details: dict[str, Value] = {"order": order.number, "act": order.deed.act.value, **more}
        tx.trail(Event(kind, 0, order.deed.subject or None, details=details))


def _address(text: str) -> Address:
    address = Address.parse(text)
    if address is None:
        raise Refusal(Reason.ACCOUNT_MISSING, "not a mail address")
    return address


def _roles(deed: Deed) -> frozenset[Role]:
    return frozenset(Role(role) for role in deed.arguments["roles"].split(","))


def _delegation(deed: Deed) -> Delegation:
    until = deed.arguments["until_at"]
    rights = rights_of(deed.arguments["rights"].split(","))
    return Delegation(rights, int(deed.arguments["from_at"]), int(until) if until else None)


def _new(deed: Deed) -> Administrator:
    return Administrator(deed.subject, deed.arguments["os_user"], int(deed.arguments["uid"]), _roles(deed))


def _gone() -> Refusal:
    return Refusal(Reason.ORDER, "no order of that number waits")
