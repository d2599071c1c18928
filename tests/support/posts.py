"""Mail put into boxes of a house, and what searches keep of it."""

from mssmail.audit.events import Event, Kind
from mssmail.base.principal import Principal
from mssmail.flow.deliver import deliver
from mssmail.flow.keep import Keeper
from mssmail.flow.view import View, open_view
from mssmail.store.interface import Transaction
from tests.support.houses import Home, recipient

SEARCH_TABLES = ("search_texts", "search_columns", "search_entries", "search_due")


async def send(home: Home, octets: bytes, *to: Principal) -> None:
    keeper = Keeper(home.house)
    for start in range(0, len(octets), 100_000):
        keeper.write(octets[start : start + 100_000])
        if keeper.is_full:
            await keeper.flush()
    event = Event(Kind.SUBMITTED, to[0].account, details={"id": "1"})
    await deliver(home.house, await keeper.finish(), [recipient(p) for p in to], event, None)


def forget(home: Home, *tables: str) -> None:
    def work(tx: Transaction) -> None:
        for table in tables:
            tx.driver.execute(f"DELETE FROM {table}")

    home.write.run_blocking(work)


async def inbox(home: Home, who: Principal) -> View:
    return await open_view(home.house, who, "INBOX", read_only=False)
