"""Accounts looked up by address, for all connections of a worker: those that come while a read is under way share the
next one. A hop to a lane and back costs many times what it reads.

Knows no address and decides nothing. All methods on one loop; nobody waits longer than for two reads.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from mssmail.flow.house import House
from mssmail.store import accounts
from mssmail.store.accounts import AccountRow
from mssmail.store.interface import Transaction

Digests = Sequence[bytes | None]
Rows = list[AccountRow | None]

MAX_SHARING: Final = 64
"""Callers that share a read; each asks for a hundred accounts at most, in some 10 µs each."""


class Lookups:
    """The account rows of address digests."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._reading = False
        self._waiting: list[tuple[Digests, asyncio.Future[Rows]]] = []
        self._task: asyncio.Task[None] | None = None

    async def rows(self, digests: Digests) -> Rows:
        """The rows, in their order; None for None and for who isn't there. Raises Refusal(UNAVAILABLE)."""
        if not any(digests):
            return [None] * len(digests)
        if self._reading:
            future: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
            self._waiting.append((digests, future))
            return await future
        self._reading = True
        try:
            (rows,) = await self._read([digests])
        finally:
            self._go_on()
        return rows

    async def _read(self, asked: list[Digests]) -> list[Rows]:
        def work(tx: Transaction) -> list[Rows]:
            return [[None if d is None else accounts.by_address(tx, d) for d in digests] for digests in asked]

        return await self._house.read.run(work)

    def _go_on(self) -> None:
        """A read is over: begin the next one for those who came meanwhile."""
        if not self._waiting:
            self._reading = False
            return
        waiting, self._waiting = self._waiting[:MAX_SHARING], self._waiting[MAX_SHARING:]
        self._task = asyncio.get_running_loop().create_task(self._serve(waiting))

    async def _serve(self, waiting: list[tuple[Digests, "asyncio.Future[Rows]"]]) -> None:
        try:
            found = await self._read([digests for digests, _ in waiting])
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), rows in zip(waiting, found, strict=True):
                if not future.done():
                    future.set_result(rows)
        finally:
            for _, future in waiting:
                future.cancel()  # only where the loop ends in mid-read
            self._go_on()
