"""Who administers: let in at the admin socket verb by verb, added, given roles, suspended, removed; each traced.

An administrator is a user of the operating system's with a name and roles of their own, never a mailbox account, and
opens no box. Who has the data folder in their hands (root, the server's own user) needs no role: nothing could be
kept from them, so they are the way in for the first administrator and in an emergency, and are traced as `local …`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.role import Role
from mssmail.flow.house import House
from mssmail.identity.administrators import Administrator, Sealer
from mssmail.policy.administer import AdministratorFacts, administer
from mssmail.policy.verdict import Deny
from mssmail.store import accounts
from mssmail.store import administrators as rows
from mssmail.store.administrators import AdministratorRow
from mssmail.store.interface import Transaction

__all__ = ["Administration", "Administrator", "Caller", "Consent", "admit", "at_once", "local"]

_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,31}")

Consent = Callable[[Transaction], dict[str, Value]]
"""Called in an act's own transaction before it changes anything: takes a second person's consent, or raises Refusal.

Returns what the act's event should hold of it."""


def at_once(_: Transaction) -> dict[str, Value]:
    """The consent of an act that one person is enough for."""
    return {}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives an order."""

    name: str
    """As the trail has it."""
    roles: frozenset[Role]
    uid: int | None = None
    """The operating system's number of an administrator; None for who has the data folder in their hands."""


def local(os_user: str) -> Caller:
    """Who can open the data folder by themselves. The space in the name is in no administrator's."""
    return Caller(f"local {os_user}", frozenset(Role))


async def admit(house: House, uid: int, os_user: str, verb: str) -> Caller:
    """Let a user of the operating system's give a verb, and trace that. Raises Refusal(NOT_PERMITTED), traced too."""
    sealer = Sealer(house.keys)

    def work(tx: Transaction) -> Caller | Refusal:
        who = known(tx, sealer, uid, os_user)
        verdict = administer(verb, facts_of(who))
        details: dict[str, Value] = {"verb": verb, "uid": uid, "administrator": os_user if who is None else who.name}
        if isinstance(verdict, Deny):
            told = {**details, "detail": verdict.detail}
            tx.trail(Event(Kind.ADMINISTRATION_REFUSED, outcome=verdict.reason.value, details=told))
            return verdict.refusal()
        assert who is not None
        tx.trail(Event(Kind.ADMINISTERED, details=details))
        return Caller(who.name, who.roles, who.uid)

    said = await house.write.run(work)
    if isinstance(said, Refusal):
        raise said
    return said


def known(tx: Transaction, sealer: Sealer, uid: int, os_user: str | None = None) -> Administrator | None:
    """The administrator of that number, if the operating system still calls them so."""
    row = rows.by_uid(tx, uid)
    if row is None:
        return None
    who = sealer.administrator(row.number, row.sealed)
    return who if who.uid == uid and os_user in (None, who.os_user) else None


def facts_of(who: Administrator | None) -> AdministratorFacts:
    """What the policy asks about an administrator."""
    return AdministratorFacts(frozenset()) if who is None else AdministratorFacts(who.roles, who.suspended)


class Administration:
    """The use-cases behind `mssmail admin`. Nobody changes themselves."""

    def __init__(self, house: House, caller: Caller) -> None:
        self._house = house
        self._caller = caller
        self._sealer = Sealer(house.keys)

    async def all(self) -> list[Administrator]:
        """All of them, the oldest first."""

        def read(tx: Transaction) -> list[Administrator]:
            return [self._sealer.administrator(row.number, row.sealed) for row in rows.every(tx)]

        return await self._house.read.run(read)

    async def add(self, who: Administrator, consent: Consent = at_once) -> None:
        """Make somebody an administrator. Raises Refusal(ADMINISTRATOR)."""

        def write(tx: Transaction) -> None:
            self.check_new(tx, who)
            given = consent(tx)
            number = accounts.next_number(tx, "administrator")
            digest = self._sealer.name_digest(who.name)
            rows.add(tx, number, who.uid, digest, self._sealer.seal(number, who))
            more: dict[str, Value] = {"os_user": who.os_user, "uid": who.uid, "roles": words(who.roles), **given}
            self._trace(tx, Kind.ADMINISTRATOR_ADDED, who.name, more)

        await self._house.write.run(write)

    def check_new(self, tx: Transaction, who: Administrator) -> None:
        """Raises Refusal(ADMINISTRATOR) where nobody can be made an administrator so."""
        if _NAME.fullmatch(who.name) is None:
            raise _unfit("a name is of small letters, digits, dots and hyphens, 32 at most")
        if not who.roles:
            raise _unfit("at least one role must be given")
        if who.uid in (0, self._house.settings.server.data.stat().st_uid):
            raise _unfit(f"{who.os_user} can open the data folder, and needs no role; give a user of their own")
        if rows.by_name(tx, self._sealer.name_digest(who.name)) is not None:
            raise _unfit(f"{who.name} is one already")
        if rows.by_uid(tx, who.uid) is not None:
            raise _unfit(f"the user {who.os_user} (number {who.uid}) is one already")

    async def set_roles(self, name: str, roles: frozenset[Role], consent: Consent = at_once) -> None:
        """Give somebody these roles in place of what they had. Raises Refusal(ADMINISTRATOR)."""
        if not roles:
            raise _unfit("at least one role must be given; `mssmail admin remove` takes all")

        def write(tx: Transaction) -> None:
            row, who = self.find(tx, name)
            given = consent(tx)
            rows.change(tx, row.number, self._sealer.seal(row.number, replace(who, roles=roles)))
            more: dict[str, Value] = {"roles": words(roles), "before": words(who.roles), **given}
            self._trace(tx, Kind.ADMINISTRATOR_CHANGED, name, more)

        await self._house.write.run(write)

    async def suspend(self, name: str) -> None:
        """Let somebody give no verb for now. Raises Refusal(ADMINISTRATOR)."""
        await self._set_suspended(name, Kind.ADMINISTRATOR_SUSPENDED)

    async def resume(self, name: str) -> None:
        """Undo a suspension. Raises Refusal(ADMINISTRATOR)."""
        await self._set_suspended(name, Kind.ADMINISTRATOR_RESUMED)

    async def _set_suspended(self, name: str, kind: Kind) -> None:
        def write(tx: Transaction) -> None:
            row, who = self.find(tx, name)
            changed = replace(who, suspended=kind is Kind.ADMINISTRATOR_SUSPENDED)
            rows.change(tx, row.number, self._sealer.seal(row.number, changed))
            self._trace(tx, kind, name, {})

        await self._house.write.run(write)

    async def remove(self, name: str, consent: Consent = at_once) -> None:
        """Make somebody an administrator no more. Raises Refusal(ADMINISTRATOR)."""

        def write(tx: Transaction) -> None:
            row, who = self.find(tx, name)
            given = consent(tx)
            rows.drop(tx, row.number)
            more: dict[str, Value] = {"os_user": who.os_user, "uid": who.uid, "roles": words(who.roles), **given}
            self._trace(tx, Kind.ADMINISTRATOR_REMOVED, name, more)

        await self._house.write.run(write)

    def find(self, tx: Transaction, name: str) -> tuple[AdministratorRow, Administrator]:
        """Somebody else than the caller. Raises Refusal(ADMINISTRATOR)."""
        row = rows.by_name(tx, self._sealer.name_digest(name))
        if row is None:
            raise _unfit("there is none of that name")
        if row.uid == self._caller.uid:
            raise _unfit("nobody changes themselves")
        return row, self._sealer.administrator(row.number, row.sealed)

    def _trace(self, tx: Transaction, kind: Kind, name: str, more: dict[str, Value]) -> None:
        tx.trail(Event(kind, 0, name, details={"administrator": self._caller.name, **more}))


def words(roles: frozenset[Role]) -> list[str]:
    """Roles as the trail and orders have them."""
    return sorted(role.value for role in roles)


def _unfit(detail: str) -> Refusal:
    return Refusal(Reason.ADMINISTRATOR, detail)
