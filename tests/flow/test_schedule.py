"""What standing tasks have in common: when it is time, one process at a time, one alarm a day."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.flow import schedule
from mssmail.flow.schedule import ALARM_EVERY_S, Alarm, Alone, Errands, is_due
from mssmail.store import leases
from mssmail.store.interface import Transaction
from mssmail.store.leases import Lease
from tests.support.houses import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    built = Home(tmp_path)
    yield built
    built.close()


@pytest.mark.parametrize(
    ("next_at", "due"), [(0.0, True), (999.0, True), (1000.0, True), (1001.0, False), (1060.0, False), (1061.0, True)]
)
def test_is_due(next_at: float, due: bool) -> None:
    """It is time from the date on, and where the date lies further off than was ever set."""
    assert is_due(next_at, 1000.0, 60.0) is due


def test_alarm() -> None:
    """An alarm is told at once, then once a day, at once again after all was well or where the clock went back."""
    alarm, day = Alarm(), ALARM_EVERY_S
    assert [alarm.is_due(now) for now in (10.0, 11.0, 9.0 + day, 10.0 + day, 11.0 + day)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    alarm.over()
    assert [alarm.is_due(now) for now in (12.0 + day, 13.0 + day, 5.0)] == [True, False, True]


async def test_one_at_a_time(home: Home) -> None:
    """While one holds the lease another has none, and has it afterwards."""
    one, other = Alone(home.house, "task"), Alone(home.house, "task")
    async with one.leased() as mine, other.leased() as theirs:
        assert mine is not None
        assert theirs is None
        await one.hold(mine)
    async with other.leased() as theirs:
        assert theirs is not None
        with pytest.raises(Refusal) as refused:
            await one.hold(mine)
    assert refused.value.reason is Reason.UNAVAILABLE


async def test_held_while_it_works(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is renewed as long as the work goes on."""
    held: asyncio.Queue[str] = asyncio.Queue()

    def note(tx: Transaction, lease: Lease) -> None:
        held.put_nowait(lease.name)

    monkeypatch.setattr(schedule, "HOLD_S", 0.0)
    monkeypatch.setattr(leases, "hold", note)
    async with Alone(home.house, "task").leased():
        for _ in range(3):
            assert await asyncio.wait_for(held.get(), 10.0) == "task"


async def test_a_cancellation_is_never_lost(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that can't be given up ends by itself, and takes no cancellation's place."""
    begun = asyncio.Event()

    def full(tx: Transaction, lease: Lease) -> None:
        raise Refusal(Reason.STORAGE_FULL)

    async def work() -> None:
        async with Alone(home.house, "task").leased():
            begun.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(leases, "drop", full)
    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_begun_after_close() -> None:
    """What blocks runs in the thread; after `close` it is refused."""
    errands = Errands("test")
    assert await errands.run(lambda: 7) == 7
    errands.close()
    assert errands.stop.is_set()
    with pytest.raises(Refusal) as refused:
        await errands.run(lambda: 8)
    assert refused.value.reason is Reason.UNAVAILABLE
