"""What acts on an account have in common: the account that an address names, and the trail of who did it."""

from collections.abc import Callable

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.identity.credentials import Credentials
from mssmail.store import accounts, grants, replays, tokens, visits
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

Act = Callable[[Transaction, AccountRow], dict[str, Value] | None]
"""Changes an account's rows and tells what the trail should hold of it; None where there was nothing to do."""


def account_of(tx: Transaction, credentials: Credentials, address: Address, *, closed: bool = False) -> AccountRow:
    """The account of an address. Raises Refusal(ACCOUNT_MISSING), for a closed one too unless `closed` takes it."""
    row = accounts.by_address(tx, credentials.address_digest(address))
    if row is None or (row.state is State.CLOSED and not closed):
        raise Refusal(Reason.ACCOUNT_MISSING, f"{address}: {'closed' if row is not None else 'no account'}")
    return row


def end_all(tx: Transaction, account: AccountId, state: State) -> dict[str, Value]:
    """End all that is open to an account, which stays in its state; for the trail, how much that was."""
    accounts.set_state(tx, account, state)  # raises the epoch, and with it ends mail sessions
    families = tokens.of_account(tx, account)
    for family in families:
        tokens.revoke(tx, family.authorization_id)
    return {
        "grants": grants.end_all(tx, account),
        "browsers": visits.drop_all(tx, account),
        "authorizations": len(families),
    }


class Acts:
    """An administrator's acts on accounts."""

    def __init__(self, house: House, credentials: Credentials, administrator: str) -> None:
        """`administrator`: who does it, for the trail."""
        self._house = house
        self._credentials = credentials
        self._administrator = administrator

    async def do(self, address: Address, kind: Kind, act: Act) -> bool:
        """Act, trace it and have the account's sessions looked at, in one transaction; whether anything was done.

        Raises Refusal(ACCOUNT_MISSING), and what `act` raises.
        """

        def write(tx: Transaction) -> bool:
            row = account_of(tx, self._credentials, address)
            details = act(tx, row)
            if details is None:
                return False
            replays.notify(tx, row.account_id, "session")
            tx.trail(
                Event(kind, row.account_id, str(address), details={"administrator": self._administrator, **details})
            )
            return True

        return await self._house.write.run(write)
