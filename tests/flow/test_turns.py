"""Turns at Argon2: who comes first, who is sent away, and that no turn is lost."""

import asyncio

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow import turns
from mssmail.flow.turns import Turns

HASH_S = 0.02


class Queue:
    """A queue of one slot, whose work ends when the test says so; the order in which it began."""

    def __init__(self, slots: int = 1) -> None:
        self.clock = FakeClock()
        self.turns = Turns(self.clock, slots)
        self.begun: list[str] = []
        self._ends: list[asyncio.Future[None]] = []
        self.tasks: list[asyncio.Task[str]] = []

    async def ask(self, address: str, name: str = "", *, known: bool = False) -> "asyncio.Task[str]":
        """Come from an address; returns once the queue has seen it."""

        async def work() -> str:
            self.begun.append(name or address)
            end = asyncio.get_running_loop().create_future()
            self._ends.append(end)
            await end
            self.clock.advance(HASH_S)
            return name or address

        task = asyncio.ensure_future(self.turns.take(address, work, known=known))
        self.tasks.append(task)
        await self._settle()
        return task

    async def end_one(self) -> None:
        self._ends.pop(0).set_result(None)
        await self._settle()

    async def drain(self) -> None:
        while self._ends:
            await self.end_one()

    async def _settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_fair_by_address() -> None:
    """An address that asks for much waits behind each other address once, its own in their order."""
    queue = Queue()
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        await queue.ask(name[0], name)
    await queue.drain()
    assert queue.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_known_places_first() -> None:
    """Who comes from a known place goes before strangers, though one stranger has a turn after four of them."""
    queue = Queue()
    await queue.ask("x")
    for n in range(3):
        await queue.ask(f"s{n}")
    for n in range(6):
        await queue.ask(f"k{n}", known=True)
    await queue.drain()
    assert queue.begun == ["x", "k0", "k1", "k2", "k3", "s0", "k4", "k5", "s1", "s2"]


async def test_sent_away() -> None:
    """Beyond the wait that a client bears, and beyond one address's share, the answer is to come back; those who wait
    for known places have a wait of their own."""
    queue = Queue()
    most = int(turns.LONGEST_WAIT_S / turns.FIRST_GUESS_S)
    for n in range(most + 2):
        await queue.ask(f"s{n}")
    for address, known in (("late", False), ("k", True)):
        task = await queue.ask(address, known=known)
        if known:
            assert not task.done()
        else:
            assert isinstance(error := task.exception(), Refusal)
            assert error.reason is Reason.UNAVAILABLE
    for n in range(turns.MOST_OF_ADDRESS + 1):
        task = await queue.ask("k", str(n), known=True)
    assert isinstance(task.exception(), Refusal)
    for task in queue.tasks:
        task.cancel()
    await asyncio.gather(*queue.tasks, return_exceptions=True)


async def test_none_lost() -> None:
    """Who leaves while waiting, or as the turn comes, or whose work fails, takes no turn with them."""
    queue = Queue(slots=2)

    async def broken() -> str:
        raise ValueError

    for _ in range(5):
        with pytest.raises(ValueError):
            await queue.turns.take("z", broken, known=False)
    first, _, third, _ = [await queue.ask(name) for name in "abcd"]
    assert queue.begun == ["a", "b"]
    third.cancel()
    await queue.end_one()
    assert first.done()
    assert queue.begun == ["a", "b", "d"]
    await queue.drain()
    await queue.ask("e")
    await queue.ask("f")
    assert queue.begun[-2:] == ["e", "f"]
    await queue.drain()
