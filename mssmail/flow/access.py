"""What is open to an account, for its administrator: grants, and ending all of it at once; recovery codes.

Each act is in the trail, and tells the workers in its own transaction: sessions are over within a second or two.
"""

from dataclasses import dataclass, replace
from typing import Final

from mssmail.audit.events import Kind, Value
from mssmail.base.address import Address
from mssmail.base.principal import PERSONS, BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.acts import Acts, account_of, end_all
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.identity import recovery
from mssmail.identity.places import Places
from mssmail.store import accounts, grants, places
from mssmail.store.accounts import AccountRow
from mssmail.store.interface import Transaction

_SOMEWHERE: Final = "?"


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant that lasts."""

    number: int
    client: str
    """The address that it serves: IPv4, or an IPv6 /64."""
    opened_at: int
    ends_at: int
    codes: int
    """How many codes it has taken."""


class Access:
    """The use-cases behind `grant …`, `account revoke-all` and `account recovery-codes`.

    Each raises Refusal(ACCOUNT_MISSING) for an address without an account.
    """

    def __init__(self, house: House, standing: Standing, administrator: str) -> None:
        """`administrator`: who does it, for the trail."""
        self._house = house
        self._standing = standing
        self._acts = Acts(house, standing.credentials, administrator)
        self._places = Places(house.keys)

    async def grants(self, address: Address) -> list[GrantView]:
        """The account's grants that last, oldest first."""

        def read(tx: Transaction) -> list[GrantView]:
            row = account_of(tx, self._standing.credentials, address)
            shown = {place.client: place.shown for place in self._places.of(tx, row.account_id)}
            return [
                GrantView(g.number, shown.get(g.client, _SOMEWHERE), g.opened_at, g.ends_at, g.codes)
                for g in grants.all_live(tx, row.account_id)
            ]

        return await self._house.read.run(read)

    async def revoke_grant(self, address: Address, number: int) -> bool:
        """End one grant; False where there is none of that number. Open sessions stay."""

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value] | None:
            found = next((g for g in grants.all_live(tx, row.account_id) if g.number == number), None)
            return None if found is None else {"grants": grants.end(tx, row.account_id, found.client)}

        return await self._acts.do(address, Kind.GRANTS_ENDED, act)

    async def revoke_all(self, address: Address) -> None:
        """End all that is open: mail sessions, grants, browsers, programs' access; and forget the account's places.

        Password, code and certificates stay good: `account suspend`, or new ones, are the next step where they aren't.
        """

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            return {**end_all(tx, row.account_id, row.state), "places": places.forget(tx, row.account_id)}

        await self._acts.do(address, Kind.SIGNED_OUT_EVERYWHERE, act)

    async def new_recovery_codes(self, address: Address) -> list[Secret]:
        """Give new recovery codes, to be shown once; the old ones are void. Raises Refusal(MECHANISM)."""
        codes = recovery.generate()

        def act(tx: Transaction, row: AccountRow) -> dict[str, Value]:
            credentials, account = self._standing.credentials, row.account_id
            held = None if row.secrets is None else credentials.secrets(account, row.secrets)
            if BoxKind(row.kind) not in PERSONS or held is None or not held.totp_secret:
                raise Refusal(Reason.MECHANISM, "there is no code that they could stand for")
            kept = tuple(recovery.digest(self._house.keys, account, code) for code in codes)
            sealed = credentials.seal_secrets(account, replace(held, recovery=kept))
            accounts.set_secrets(tx, account, sealed, end_sessions=False)
            return {"codes": len(kept), "before": len(held.recovery)}

        await self._acts.do(address, Kind.RECOVERY_CODES_SET, act)
        return [Secret(code) for code in codes]
