"""Failed sign-ins as an administrator sees them: who has how many, who is locked; lifting that; closing an address."""

import ipaddress

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.refusal import Reason
from mssmail.flow.house import House
from mssmail.identity.lockout import Counted, Lockout
from mssmail.store import failures
from mssmail.store.interface import Transaction

__all__ = ["Bans", "Counted"]


class Bans:
    """The use-cases behind `ban list`, `ban add` and `ban clear`."""

    def __init__(self, house: House, administrator: str) -> None:
        """`administrator`: who does it, for the trail."""
        self._house = house
        self._administrator = administrator
        self._lockout = Lockout(house.keys, house.settings.auth)

    async def list(self) -> list[Counted]:
        """Client addresses and logins that have failures which still count, the latest first."""
        return await self._house.read.run(self._lockout.all)

    async def add(self, client: str, seconds: int) -> str:
        """Close an address to passwords and tokens for so long; what was closed: the address, or its IPv6 /64.

        Raises ValueError, with a sentence, for what is no address, and for one that the settings never close.
        """
        try:
            ipaddress.ip_address(client.partition("/")[0])
        except ValueError:
            raise ValueError(f"{client!r} is no IP address") from None
        subject = self._lockout.client(client.partition("/")[0])
        if not subject.counts:
            raise ValueError(f"{client} is an address that auth.never_banned names")

        def write(tx: Transaction) -> None:
            until = int(tx.now) + seconds
            self._lockout.ban(tx, subject, until)
            details: dict[str, Value] = {"administrator": self._administrator, "until": until}
            tx.trail(Event(Kind.BANNED, 0, subject.shown, Reason.LOCKED.value, details))

        await self._house.write.run(write)
        return subject.shown or client

    async def clear(self, subject: str) -> int:
        """Forget the failures of a client address, or of a login; how many rows that were (0: there were none)."""
        address = Address.parse(subject)
        wanted = [
            self._lockout.client(subject.partition("/")[0]).digest,
            self._lockout.login(subject if address is None else address.key, known=False).digest,
        ]

        def write(tx: Transaction) -> int:
            cleared = sum(self._lockout.clear(tx, digest) for digest in wanted)
            if cleared:
                tx.trail(Event(Kind.BAN_CLEARED, 0, subject, details={"administrator": self._administrator}))
            return cleared

        return await self._house.write.run(write)

    async def clear_all(self) -> int:
        """Forget all failures; how many rows that were."""

        def write(tx: Transaction) -> int:
            cleared = failures.drop_all(tx)
            details: dict[str, Value] = {"administrator": self._administrator, "cleared": cleared}
            tx.trail(Event(Kind.BAN_CLEARED, 0, details=details))
            return cleared

        return await self._house.write.run(write)
