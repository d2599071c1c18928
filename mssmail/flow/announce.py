"""Telling the holder of a box something by mail, into that box: from the server, in two languages, without a link.

What is to be told is noted in the transaction of the act itself; standing tasks (`notices`, `delegation_notices`) make
mail of it soon after, in whichever worker holds their lease.
"""

from collections.abc import Mapping

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.principal import Recipient
from mssmail.base.refusal import Refusal
from mssmail.flow.deliver import deliver
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper
from mssmail.mime.notice import Notice, render
from mssmail.mime.trace import return_path, written_by
from mssmail.store.accounts import AccountRow


async def announce(
    house: House, row: AccountRow, to: Address, subject: str, text: str, kind: Kind, details: Mapping[str, Value]
) -> bool:
    """Put a notice into an account's INBOX, traced as `kind`; False where the box can't take it for good.

    Raises Refusal where that may pass.
    """
    keeper = Keeper(house)
    ident = f"{keeper.body:x}"
    try:
        keeper.write(_spelt(house, to, subject, text, ident))
        kept = await keeper.finish()
        event = Event(kind, row.account_id, str(to), details={"id": ident, **details})
        await deliver(house, kept, (Recipient(to, row.account_id, row.term_s),), event, None)
    except Refusal as refusal:
        await keeper.abort()
        if refusal.reason.temporary:
            raise
        return False
    return True


def _spelt(house: House, to: Address, subject: str, text: str, ident: str) -> bytes:
    server = house.settings.server
    sender = f"postmaster@{server.domains[0]}"
    written_at = utc(int(house.clock.now()))
    message = render(Notice(sender, str(to), f"{ident}.notice@{server.name}", subject, text, written_at))
    return return_path(None) + written_by(server.name, ident) + message
