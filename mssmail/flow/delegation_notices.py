"""Notices by mail, into a box, that it was opened to somebody: to whom, for what, until when, by whom.

Who owns a box shall know who acts in it, whoever let them in: a manager, an administrator, or somebody at the owner's
own open screen. A delegation that was given anew or changed is told of again. A notice that was written as the server
died may come twice; none is lost.
"""

from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Kind
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.ids import AccountId
from mssmail.base.rights import Right
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.announce import announce
from mssmail.flow.house import House
from mssmail.flow.schedule import Alone
from mssmail.identity.credentials import Credentials
from mssmail.metrics.registry import counter
from mssmail.store import accounts, delegations
from mssmail.store.accounts import AccountRow, State
from mssmail.store.delegations import DelegationRow
from mssmail.store.interface import Transaction

LOOK_S: Final = 5.0
LEASE: Final = "delegation-notices"
_BATCH: Final = 50

_told = counter("mssmail_delegation_notices_total", "Notices to boxes that they were opened to somebody.")

_SUBJECT: Final = "Votre boîte est ouverte à une autre personne / Your mailbox is open to somebody else"
_FRENCH: Final = {
    Right.READ: "lire",
    Right.WRITE: "classer, déplacer et supprimer",
    Right.SEND: "écrire au nom de la boîte",
    Right.MANAGE: "désigner d'autres personnes",
}
_ENGLISH: Final = {
    Right.READ: "read",
    Right.WRITE: "file, move and delete",
    Right.SEND: "write in the mailbox's name",
    Right.MANAGE: "name other persons",
}
_TEXT: Final = """Bonjour,

La boîte {box} est ouverte à {person}, qui y agit sous son propre nom :

    droits : {french}
    du {from_at} {until_fr} (heure UTC)
    accordés par {giver_fr}

Si cela vous surprend, retirez ces droits ou prévenez votre administrateur. Ce message ne contient aucun lien, et ne
vous demande aucun mot de passe.

----

Hello,

The mailbox {box} is open to {person}, who acts there under their own name:

    rights: {english}
    from {from_at} {until_en} (UTC)
    given by {giver_en}

If that surprises you, withdraw these rights or tell your administrator. This message holds no link, and asks for no
password.
"""


@dataclass(frozen=True, slots=True)
class _Due:
    """A delegation to be told of, with whose box it is."""

    row: AccountRow
    box: Address
    text: str


class DelegationNotices:
    """The standing task of one worker. Call `look` every `LOOK_S`."""

    def __init__(self, house: House, credentials: Credentials) -> None:
        self._house = house
        self._credentials = credentials
        self._alone = Alone(house, LEASE)

    async def look(self) -> None:
        """Write the notices that are due. Raises Refusal."""
        await self._alone.each(delegations.untold, _BATCH, self._tell)

    async def _tell(self, given: DelegationRow) -> None:
        try:
            due = await self._house.read.run(lambda tx: self._look_at(tx, given))
        except Unsealable:
            due = None  # a row was altered: what it says is nobody's word
        if due is not None:
            details = {"delegate": int(given.delegate_id)}
            if await announce(self._house, due.row, due.box, _SUBJECT, due.text, Kind.DELEGATION_TOLD, details):
                _told.inc()
        await self._house.write.run(lambda tx: delegations.told(tx, given))

    def _look_at(self, tx: Transaction, given: DelegationRow) -> _Due | None:
        """None where nobody is to be told: the box isn't open, or what was given is over."""
        row = accounts.by_id(tx, given.account_id)
        if row.state is not State.OPEN or given.delegation.ended(tx.now):
            return None
        return _Due(row, self._address(tx, given.account_id), self._text(tx, given))

    def _text(self, tx: Transaction, given: DelegationRow) -> str:
        box, person = self._address(tx, given.account_id), self._address(tx, given.delegate_id)
        giver = self._address(tx, given.giver_id) if given.giver_id else None
        held, until = given.delegation, given.delegation.until_at
        return _TEXT.format(
            box=box,
            person=person,
            french=", ".join(word for right, word in _FRENCH.items() if right in held.rights),
            english=", ".join(word for right, word in _ENGLISH.items() if right in held.rights),
            from_at=_moment(held.from_at),
            until_fr="jusqu'à leur retrait" if until is None else f"au {_moment(until)}",
            until_en="until they are withdrawn" if until is None else f"to {_moment(until)}",
            giver_fr=giver or "un administrateur",
            giver_en=giver or "an administrator",
        )

    def _address(self, tx: Transaction, account: AccountId) -> Address:
        row = accounts.by_id(tx, account)
        return self._credentials.dossier(account, row.sealed).address


def _moment(at: int) -> str:
    return f"{utc(at):%Y-%m-%d %H:%M}"
