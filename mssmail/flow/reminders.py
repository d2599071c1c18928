"""Reminding senders, by mail, of header fields that the trust space asks of their programs and theirs leave out.

Only where `sending.mss_headers` says `warn`, once a day for a box at most, and nothing in a message is ever changed or
refused for it. What is missing is noted in the transaction that accepts a message; a standing task tells soon after.
"""

from collections.abc import Sequence
from enum import Flag, unique
from typing import Final

from mssmail.audit.events import Kind
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.announce import announce
from mssmail.flow.concerning import Concern
from mssmail.flow.house import House
from mssmail.flow.queue import Work
from mssmail.flow.schedule import Alone
from mssmail.identity.credentials import Credentials
from mssmail.mime.headers import HeaderBlock
from mssmail.store import accounts, reminders
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

LOOK_S: Final = 5.0
LEASE: Final = "reminders"
WARN: Final = "warn"
_BATCH: Final = 50


@unique
class Missing(Flag):
    """Fields that a program left out; the numbers are what lies on disk."""

    NIL = 1
    CODECDA = 2
    INS = 4


_FIELDS: Final = {
    Missing.NIL: ("X-MSS-NIL", b"x-mss-nil"),
    Missing.CODECDA: ("X-MSS-CODECDA", b"x-mss-codecda"),
    Missing.INS: ("X-MSS-INS", b"x-mss-ins"),
}
NOTHING: Final = Missing(0)
_ALWAYS: Final = (Missing.NIL,)
_WITH_XDM: Final = (Missing.NIL, Missing.CODECDA, Missing.INS)
"""Where a document travels in an archive of IHE XDM."""

_FRENCH: Final = {
    Missing.NIL: "la référence de votre logiciel, sur tout message",
    Missing.CODECDA: "le type du document, quand une archive IHE_XDM est jointe",
    Missing.INS: "si l'identité du patient est qualifiée (O ou N), quand une archive IHE_XDM est jointe",
}
_ENGLISH: Final = {
    Missing.NIL: "your program's reference, on every message",
    Missing.CODECDA: "the document's type, where an IHE_XDM archive is attached",
    Missing.INS: "whether the patient's identity is qualified (O or N), where an IHE_XDM archive is attached",
}
_SUBJECT: Final = "Votre logiciel de messagerie / Your mail program"
_TEXT: Final = """Bonjour,

Des messages envoyés depuis {address} sont partis sans des champs que l'espace de confiance MSSanté demande aux
logiciels d'écrire :

{french}

Vos messages ont été remis tels quels. Transmettez ceci à l'éditeur de votre logiciel ; il n'y a rien d'autre à faire.

----

Hello,

Messages sent from {address} left without fields that the trust space MSSanté asks programs to write:

{english}

Your messages were delivered as they are. Please pass this on to your program's vendor; there is nothing else to do.
"""


def missing_of(header: HeaderBlock, concern: Concern | None) -> Missing:
    """What a message's header lacks."""
    asked = _WITH_XDM if concern is not None and concern.xdm else _ALWAYS
    found = NOTHING
    for each in asked:
        if _FIELDS[each][1] not in header:
            found |= each
    return found


def reminding(house: House, account: AccountId, header: HeaderBlock, concern: Concern | None) -> Sequence[Work]:
    """What notes, in the transaction that accepts a message, what it lacks; nothing where nobody is to be told."""
    if house.settings.sending.mss_headers != WARN:
        return ()
    missing = missing_of(header, concern)
    return (lambda tx: reminders.note(tx, account, missing.value),) if missing else ()


class Reminders:
    """The standing task of one worker. Call `look` every `LOOK_S`."""

    def __init__(self, house: House, credentials: Credentials) -> None:
        self._house = house
        self._credentials = credentials
        self._alone = Alone(house, LEASE)

    async def look(self) -> None:
        """Write the reminders that are due. Raises Refusal."""
        await self._alone.each(reminders.due, _BATCH, self._tell)

    async def _tell(self, due: tuple[AccountId, int]) -> None:
        account, missing = due[0], Missing(due[1])
        try:
            found = await self._house.read.run(lambda tx: self._open(tx, account))
        except Unsealable:
            found = None  # the row was altered: what it says is nobody's word
        if found is not None and self._house.settings.sending.mss_headers == WARN:
            row, address = found
            text = _TEXT.format(address=address, french=_lines(missing, _FRENCH), english=_lines(missing, _ENGLISH))
            fields = [_FIELDS[each][0] for each in Missing if each in missing]
            await announce(self._house, row, address, _SUBJECT, text, Kind.HEADERS_TOLD, {"missing": fields})
        await self._house.write.run(lambda tx: reminders.told(tx, account))

    def _open(self, tx: Transaction, account: AccountId) -> tuple[AccountRow, Address] | None:
        row = accounts.by_id(tx, account)
        if row.state is not State.OPEN:
            return None
        return row, self._credentials.dossier(account, row.sealed).address


def _lines(missing: Missing, words: dict[Missing, str]) -> str:
    return "\n".join(f"    {_FIELDS[each][0]} : {words[each]}" for each in Missing if each in missing)
