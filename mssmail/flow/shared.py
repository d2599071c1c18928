"""Others' boxes that somebody may open beside their own: found by name, and listed with one's own folders.

They stand under one name that nobody's own folder may begin with, each under its address. Who has no delegation pays
one look at an index, and only where folders are listed under that name.
"""

from collections.abc import Iterator
from dataclasses import replace

from mssmail.base.address import Address
from mssmail.base.principal import BoxKind, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Delegation, Right
from mssmail.flow.boxes import Folder, folders_in, subscriptions_in
from mssmail.flow.house import House
from mssmail.flow.names import DELIMITER, INBOX, OTHERS, Names, superiors
from mssmail.flow.standing import Standing
from mssmail.store import accounts, delegations
from mssmail.store.accounts import State
from mssmail.store.interface import Transaction

PREFIX = OTHERS + DELIMITER
_SEEN = Right.READ | Right.MANAGE
"""One of these lets a box be known to be there (RFC 4314 §4, MYRIGHTS)."""


class Shared:
    """The use-cases of others' boxes, for a principal in their own."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing

    async def find(self, principal: Principal, name: str) -> tuple[Principal, str]:
        """Whose box a name under `OTHERS` lies in, as a principal acting there, and its name there: empty for the box.

        Raises Refusal(FOLDER_MISSING) where there is no such box, or none that is open to them; and UNAVAILABLE.
        """
        text, inside = _split(name)
        address = Address.parse(text)
        if address is None or principal.person != principal.account:
            raise Refusal(Reason.FOLDER_MISSING)
        digest = self._standing.credentials.address_digest(address)

        def read(tx: Transaction) -> Principal | None:
            row = accounts.by_address(tx, digest)
            given = None if row is None else delegations.find(tx, row.account_id, principal.person)
            if row is None or given is None or not given.at(tx.now) & _SEEN:
                return None
            return self._acting(principal, row, given)

        acting = await self._house.read.run(read)
        if acting is None:
            raise Refusal(Reason.FOLDER_MISSING)
        return acting, inside

    async def any(self, principal: Principal) -> bool:
        """Whether any other's box is open to them now."""
        return await self._house.read.run(lambda tx: any(True for _ in self._open_to(tx, principal, _SEEN)))

    async def everything(self, principal: Principal) -> list[Folder]:
        """Their own folders and those of others' boxes that they may read, INBOX first, then by name.

        Others' folders have no special use here: nobody's program shall take another's Trash for its own.
        """
        names = Names(self._house.keys, principal.account)

        def read(tx: Transaction) -> list[Folder]:
            own = folders_in(tx, names, principal)
            others = list(self._open_to(tx, principal, Right.READ))
            if not others:
                return own
            subscribed = subscriptions_in(tx, names, principal)
            found: dict[str, Folder] = {}
            for acting in others:
                stem = f"{PREFIX}{acting.address}"
                for folder in folders_in(tx, Names(self._house.keys, acting.account), acting):
                    name = stem + DELIMITER + folder.name
                    found[name] = replace(folder, name=name, role=None, subscribed=name in subscribed)
                for level in superiors(stem + DELIMITER):
                    found.setdefault(level, Folder(level, None, level in subscribed, True, exists=False, row=None))
            return sorted([*own, *found.values()], key=lambda f: (f.name != INBOX, f.name))

        return await self._house.read.run(read)

    def _open_to(self, tx: Transaction, principal: Principal, either: Right) -> Iterator[Principal]:
        """The boxes in which they have one of these rights now. While no directory can be read nobody is struck off."""
        if principal.person != principal.account:
            return
        for held in delegations.of_person(tx, principal.person):
            if held.delegation.at(tx.now) & either:
                row = accounts.by_id(tx, held.account_id)
                try:
                    acting = self._acting(principal, row, held.delegation)
                except Refusal:
                    acting = self._principal(principal, row, held.delegation)
                if acting is not None:
                    yield acting

    def _acting(self, principal: Principal, row: accounts.AccountRow, given: Delegation) -> Principal | None:
        """Them, acting in a box; None where it isn't open. Raises Refusal(UNAVAILABLE) while there is no directory."""
        if row.state is not State.OPEN:
            return None
        if self._standing.struck_off(self._standing.credentials.dossier(row.account_id, row.sealed)):
            return None
        return self._principal(principal, row, given)

    def _principal(self, principal: Principal, row: accounts.AccountRow, given: Delegation) -> Principal:
        return replace(
            principal,
            account=row.account_id,
            address=self._standing.credentials.dossier(row.account_id, row.sealed).address,
            kind=BoxKind(row.kind),
            # a principal in their own box has their own epoch twice
            epoch=principal.epoch // 2 + row.epoch,
            rights=given.rights,
            delegated_until=given.until_at,
        )


def _split(name: str) -> tuple[str, str]:
    """The address of `Other Users/address/inside`, and what is inside. A local part may hold the delimiter."""
    text = name.removeprefix(PREFIX)
    end = text.find(DELIMITER, max(text.find("@"), 0))
    return (text, "") if end < 0 else (text[:end], text[end + 1 :])
