"""What a box's holder sees of their own grants, and ends: from which networks mail programs sign in again without a
new code.
"""

from dataclasses import dataclass

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.principal import Principal
from mssmail.flow.house import House
from mssmail.identity.places import Places
from mssmail.store import grants
from mssmail.store.interface import Transaction


@dataclass(frozen=True, slots=True)
class OwnGrant:
    """A grant that lasts, as its holder is shown it."""

    name: str
    """By which it can be ended."""
    client: str
    """The IPv4 address, or the IPv6 /64."""
    opened_at: int
    ends_at: int


class OwnGrants:
    """A holder's own grants."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._places = Places(house.keys)

    async def list(self, principal: Principal) -> list[OwnGrant]:
        """The oldest first."""

        def read(tx: Transaction) -> list[OwnGrant]:
            shown = {place.client: place.shown for place in self._places.of(tx, principal.person)}
            return [
                OwnGrant(grant.client.hex(), shown.get(grant.client, "?"), grant.opened_at, grant.ends_at)
                for grant in grants.all_live(tx, principal.person)
            ]

        return await self._house.read.run(read)

    async def end(self, principal: Principal, name: str) -> bool:
        """End one by the name that `list` gave: its next sign-in asks for a new code. False where there is none."""
        try:
            client = bytes.fromhex(name[:64])
        except ValueError:
            return False

        def write(tx: Transaction) -> bool:
            codes = grants.end(tx, principal.person, client)
            if codes:
                details: dict[str, Value] = {"grants": codes, "by": "holder", "from": principal.client}
                tx.trail(Event(Kind.GRANTS_ENDED, principal.person, str(principal.address), details=details))
            return bool(codes)

        return await self._house.write.run(write)
