"""What standing tasks have in common: a thread of their own, doing alone what one process does, one alarm a day.

Knows neither what is fetched nor what is told; each task keeps what it remembers itself.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event
from typing import Final, TypeVar

from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.store import leases
from mssmail.store.interface import Transaction
from mssmail.store.leases import Lease

T = TypeVar("T")

LEASE_TERM_S: Final = 60
HOLD_S: Final = 15.0
ALARM_EVERY_S: Final = 86_400.0


def is_due(next_at: float, now: float, interval_s: float) -> bool:
    """Whether it is time. A date that lies further off than ever set is a clock's that was wrong."""
    return next_at <= now or next_at > now + interval_s


class Errands:
    """One thread for what blocks: downloads, files. `close` it."""

    def __init__(self, name: str) -> None:
        self.stop = Event()
        """Set by `close`; who blocks in the thread looks at it."""
        self.executor = ThreadPoolExecutor(1, name)

    def close(self) -> None:
        """End what is under way."""
        self.stop.set()
        self.executor.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in the thread. Raises Refusal(UNAVAILABLE) after `close`."""
        if self.stop.is_set():
            raise Refusal(Reason.UNAVAILABLE, "stopped")
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


class Alone:
    """What one process at a time does."""

    def __init__(self, house: House, lease: str) -> None:
        """`lease`: by which name others are kept from it."""
        self._house = house
        self._name = lease
        self._holder = f"{os.getpid()}.{id(self):x}"

    @asynccontextmanager
    async def leased(self) -> AsyncIterator[Lease | None]:
        """Hold the lease for as long as the work goes on; None where another has it. Raises Refusal.

        Who has lost it all the same finds that out by `hold`, before anything is changed for all.
        """
        write = self._house.write
        lease = await write.run(lambda tx: leases.take(tx, self._name, self._holder, LEASE_TERM_S))
        if lease is None:
            yield None
            return
        held = asyncio.create_task(self._keep(lease), name=f"mssmail {self._name} lease")
        try:
            yield lease
        finally:
            held.cancel()
            with contextlib.suppress(Refusal):  # it ends by itself then
                await write.run(lambda tx: leases.drop(tx, lease))

    async def each(
        self, due: Callable[[Transaction, int], Sequence[T]], most: int, act: Callable[[T], Awaitable[None]]
    ) -> None:
        """Act on each row that is due, so many of them at once; no lease is asked for where none is. Raises Refusal."""
        read = self._house.read
        if not await read.run(lambda tx: due(tx, 1)):
            return
        async with self.leased() as lease:
            if lease is not None:
                for row in await read.run(lambda tx: due(tx, most)):
                    await act(row)

    async def hold(self, lease: Lease) -> None:
        """Raises Refusal(UNAVAILABLE) where another has taken it meanwhile."""
        await self._house.write.run(lambda tx: leases.hold(tx, lease))

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(HOLD_S)
            with contextlib.suppress(Refusal):
                await self.hold(lease)


class Alarm:
    """Something wrong, told when it is first seen and once a day from then on."""

    def __init__(self) -> None:
        self._told_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is to be told now, which is then known as told."""
        if self._told_at is not None and 0 <= now - self._told_at < ALARM_EVERY_S:
            return False
        self._told_at = now
        return True

    def over(self) -> None:
        """All is well."""
        self._told_at = None
