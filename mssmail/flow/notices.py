"""Notices by mail of sign-ins from areas that an account's holder never came from, into their own box.

`login` notes what is due, in the transaction of the sign-in; here it becomes mail soon after, by whichever worker holds
the lease. A notice that was written as the server died may come twice; none is lost. It names time and address alone,
holds no link, since people are taught not to follow any, and comes `MOST_A_DAY` times a day at most.
"""

from typing import Final

from mssmail.audit.events import Kind
from mssmail.base.clock import utc
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.announce import announce
from mssmail.flow.house import House
from mssmail.flow.schedule import Alone
from mssmail.identity.credentials import Credentials
from mssmail.identity.places import Places
from mssmail.metrics.registry import counter
from mssmail.store import accounts, places
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction
from mssmail.store.places import PlaceRow

LOOK_S: Final = 5.0
MOST_A_DAY: Final = 3
"""Of one account: who moves about all day isn't told all day; an attacker's flood would bury the notice that counts."""
LEASE: Final = "notices"
_BATCH: Final = 50
_DAY_S: Final = 86_400

_told = counter("mssmail_place_notices_total", "Notices of sign-ins from new areas.")

_SUBJECT: Final = "Connexion depuis un nouvel endroit / Sign-in from a new place"
_TEXT: Final = """Bonjour,

Votre compte {address} vient d'être utilisé depuis un endroit d'où vous ne vous étiez jamais connecté :

    le {date} à {time} (heure UTC), depuis l'adresse {client}

Si c'était vous, vous n'avez rien à faire.
Sinon, votre mot de passe ou votre carte est peut-être en d'autres mains : ouvrez la page de votre compte, choisissez
« Tout déconnecter », puis prévenez votre administrateur. Ce message ne contient aucun lien, et ne vous demande aucun
mot de passe.

----

Hello,

Your account {address} has just been used from a place that you had never signed in from:

    on {date} at {time} (UTC), from the address {client}

If that was you, there is nothing to do.
If not, your password or your card may be in other hands: open your account's page, choose "Sign out everywhere", then
tell your administrator. This message holds no link, and asks for no password.
"""


class Notices:
    """The standing task of one worker. Call `look` every `LOOK_S`."""

    def __init__(self, house: House, credentials: Credentials) -> None:
        self._house = house
        self._credentials = credentials
        self._places = Places(house.keys)
        self._alone = Alone(house, LEASE)

    async def look(self) -> None:
        """Write the notices that are due. Raises Refusal."""
        await self._alone.each(places.untold, _BATCH, self._tell)

    async def _tell(self, place: PlaceRow) -> None:
        row = await self._house.read.run(lambda tx: self._open_row(tx, place))
        try:
            mailed = row is not None and await self._deliver(row, place)
        except Unsealable:
            mailed = False  # the row was altered: what it says is nobody's word
        await self._house.write.run(lambda tx: places.told(tx, place.account_id, place.client, mailed=mailed))

    def _open_row(self, tx: Transaction, place: PlaceRow) -> AccountRow | None:
        """The account, where it is to be written to."""
        row = accounts.by_id(tx, place.account_id)
        often = places.mailed_since(tx, place.account_id, int(tx.now) - _DAY_S) >= MOST_A_DAY
        return None if row.state is not State.OPEN or often else row

    async def _deliver(self, row: AccountRow, place: PlaceRow) -> bool:
        """False where the box can't take it for good."""
        address = self._credentials.dossier(row.account_id, row.sealed).address
        text, details = self._text(str(address), place), {"first_at": place.first_at}
        told = await announce(self._house, row, address, _SUBJECT, text, Kind.NEW_PLACE_TOLD, details)
        if told:
            _told.inc()
        return told

    def _text(self, address: str, place: PlaceRow) -> str:
        client, at = self._places.shown(place), utc(place.first_at)
        return _TEXT.format(address=address, client=client, date=f"{at:%Y-%m-%d}", time=f"{at:%H:%M}")
