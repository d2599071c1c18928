"""Forwarding: a box's mail goes on to another one, set by an administrator or by the box's owner, and told to the box.

Where it goes must be let in by the gate when it is set and again for each message (`gate`, `onward`). Whoever set it,
the box is told of it by mail, by a standing task: somebody else reads its mail from then on. A notice that was written
as the server died may come twice; none is lost.
"""

from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.principal import Beyond
from mssmail.base.refusal import Refusal
from mssmail.base.rules import Rule
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.absence import changeable, whose
from mssmail.flow.acts import account_of
from mssmail.flow.administer import Consent, at_once
from mssmail.flow.announce import announce
from mssmail.flow.delegations import Giver
from mssmail.flow.gate import Gate
from mssmail.flow.house import House
from mssmail.flow.onward import open_target, seal_target
from mssmail.flow.schedule import Alone
from mssmail.identity.credentials import Credentials
from mssmail.policy.absence import ForwardFacts, forward
from mssmail.policy.verdict import Deny
from mssmail.store import accounts, forwards
from mssmail.store.accounts import AccountRow, State
from mssmail.store.forwards import ForwardRow
from mssmail.store.interface import Transaction

LOOK_S: Final = 5.0
LEASE: Final = "forward-notices"
_BATCH: Final = 50

_SUBJECT: Final = "Votre courrier est transféré / Your mail is forwarded"
_TEXT: Final = """Bonjour,

Depuis le {at} (heure UTC), les messages qui arrivent dans la boîte {box} sont transférés à :

    {to}{kept_fr}

Si cela vous surprend, prévenez votre administrateur. Ce message ne contient aucun lien, et ne vous demande aucun mot de
passe.

----

Hello,

Since {at} (UTC), messages that come to the mailbox {box} are forwarded to:

    {to}{kept_en}

If that surprises you, tell your administrator. This message holds no link, and asks for no password.
"""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where a box's mail goes on to."""

    to: Address
    keep: bool
    """Whether the box gets it too."""
    set_at: int
    refused: str = ""
    """Why the gate wouldn't let it in now; empty where it does."""


class Forwardings:
    """The use-cases. Each raises Refusal(ACCOUNT_MISSING) for an address without an account."""

    def __init__(self, house: House, credentials: Credentials, gate: Gate) -> None:
        self._house = house
        self._credentials = credentials
        self._gate = gate

    async def set(self, by: Giver, box: Address, to: Address, *, keep: bool, consent: Consent = at_once) -> None:
        """Have a box's mail go on, in place of where it went before. `consent`: see `flow.orders`.

        Raises Refusal: what the gate says of `to`, and RULE, MECHANISM, NO_RIGHT.
        """
        (decided,) = await self._gate.foresee((to,))

        def write(tx: Transaction) -> None:
            row = changeable(tx, self._credentials, by, box)
            verdict = forward(
                ForwardFacts(
                    to_itself=to.key == box.key,
                    to_patient=to.domain == self._house.settings.patients.domain,
                    beyond=isinstance(decided, Beyond),
                    keep=keep,
                )
            )
            if isinstance(verdict, Deny):
                raise verdict.refusal()
            if isinstance(decided, Refusal):
                raise decided
            given = consent(tx)
            forwards.put_in(tx, row.account_id, seal_target(self._house.keys, row.account_id, to), keep=keep)
            accounts.set_rules(tx, row.account_id, row.rules | Rule.FORWARD)
            said: dict[str, Value] = {"to": str(to), "keep": keep}
            tx.trail(Event(Kind.FORWARD_SET, row.account_id, str(box), details={**whose(by), **said, **given}))

        await self._house.write.run(write)

    async def clear(self, by: Giver, box: Address) -> bool:
        """Keep a box's mail in it from now on; whether it was forwarded. Raises Refusal(NO_RIGHT)."""

        def write(tx: Transaction) -> bool:
            row = changeable(tx, self._credentials, by, box)
            if not forwards.drop(tx, row.account_id):
                return False
            accounts.set_rules(tx, row.account_id, row.rules & ~Rule.FORWARD)
            tx.trail(Event(Kind.FORWARD_CLEARED, row.account_id, str(box), details=whose(by)))
            return True

        return await self._house.write.run(write)

    async def show(self, box: Address) -> Forwarding | None:
        """Where a box's mail goes, and whether it may now."""

        def read(tx: Transaction) -> Forwarding | None:
            account = account_of(tx, self._credentials, box).account_id
            found = forwards.find(tx, account)
            if found is None:
                return None
            return Forwarding(open_target(self._house.keys, account, found.sealed), found.keep, found.set_at)

        found = await self._house.read.run(read)
        if found is None:
            return None
        (decided,) = await self._gate.foresee((found.to,))
        refused = decided.reason.value if isinstance(decided, Refusal) else ""
        return Forwarding(found.to, found.keep, found.set_at, refused)


@dataclass(frozen=True, slots=True)
class _Due:
    """A box to be told where its mail goes."""

    row: AccountRow
    box: Address
    text: str


class ForwardNotices:
    """The standing task of one worker. Call `look` every `LOOK_S`."""

    def __init__(self, house: House, credentials: Credentials) -> None:
        self._house = house
        self._credentials = credentials
        self._alone = Alone(house, LEASE)

    async def look(self) -> None:
        """Write the notices that are due. Raises Refusal."""
        await self._alone.each(forwards.untold, _BATCH, self._tell)

    async def _tell(self, row: ForwardRow) -> None:
        try:
            due = await self._house.read.run(lambda tx: self._open(tx, row))
        except (Unsealable, KeyDestroyed):
            due = None  # the row was altered, or the account is gone
        if due is not None:
            await announce(self._house, due.row, due.box, _SUBJECT, due.text, Kind.FORWARD_TOLD, {"set_at": row.set_at})
        await self._house.write.run(lambda tx: forwards.told(tx, row))

    def _open(self, tx: Transaction, row: ForwardRow) -> _Due | None:
        account = accounts.by_id(tx, row.account_id)
        if account.state is not State.OPEN:
            return None
        box = self._credentials.dossier(row.account_id, account.sealed).address
        to = open_target(self._house.keys, row.account_id, row.sealed)
        kept_fr = "\n\nUne copie reste dans la boîte." if row.keep else "\n\nAucune copie ne reste dans la boîte."
        kept_en = "\n\nA copy stays in the mailbox." if row.keep else "\n\nNo copy stays in the mailbox."
        at = f"{utc(row.set_at):%Y-%m-%d %H:%M}"
        return _Due(account, box, _TEXT.format(at=at, box=box, to=to, kept_fr=kept_fr, kept_en=kept_en))
