"""Lanes: what is answered is committed, what fails takes nothing with it, and an unknown COMMIT is looked up."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mssmail.audit.events import Event, Kind
from mssmail.audit.verify import verify
from mssmail.base.refusal import Reason, Refusal
from mssmail.store.interface import Driver, Transaction
from tests.support.houses import Home

Fault = Callable[[sqlite3.Connection, str], None]


class Faulty:
    """A connection that asks `fault` before each statement; the rest is the real one."""

    def __init__(self, inner: Any, fault: Fault) -> None:
        self._inner = inner
        self._fault = fault

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self._fault(self._inner, sql)
        return self._inner.execute(sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def faulty(fault: Fault) -> Callable[[Callable[[], Driver]], Callable[[], Driver]]:
    def wrap(plain: Callable[[], Driver]) -> Callable[[], Driver]:
        def connect() -> Any:
            return Faulty(plain(), fault)

        return connect

    return wrap


def put(name: str, value: str = "x") -> Callable[[Transaction], str]:
    def work(tx: Transaction) -> str:
        tx.driver.execute("INSERT INTO meta (name, value) VALUES (?, ?)", [name, value])
        tx.trail(Event(Kind.FLAGGED, details={"name": name}))
        return name

    return work


def names(home: Home) -> list[str]:
    rows = home.tx().driver.execute("SELECT name FROM meta WHERE name LIKE 't%' ORDER BY name").fetchall()
    return [row[0] for row in rows]


def events(home: Home) -> int:
    return int(home.tx().driver.execute("SELECT count(*) FROM events").fetchone()[0])


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


def stop_lane(home: Home) -> Callable[[], None]:
    """Hold the write lane inside a unit until the returned function is called, so that what follows is one batch."""
    gate, inside = threading.Event(), threading.Event()

    def wait(_: Transaction) -> None:
        inside.set()
        gate.wait(10)

    home.write.post(wait)
    assert inside.wait(10)
    return gate.set


async def batch(home: Home, *works: Callable[[Transaction], object]) -> list[object]:
    """Run works in one batch; results or exceptions in order."""
    release = stop_lane(home)
    tasks = [asyncio.create_task(home.write.run(work)) for work in works]
    await asyncio.sleep(0)
    release()
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_a_batch_is_committed_and_chained(home: Home) -> None:
    """Units that wait together are all in, each with its event, and the trail verifies."""
    done = await batch(home, *[put(f"t{k}") for k in range(40)])
    assert done == [f"t{k}" for k in range(40)]
    assert len(names(home)) == 40
    assert events(home) == 40
    assert verify(home.tx(), home.house.trail).sound


async def test_readers_serve_what_found_them_all_at_work(home: Home) -> None:
    """More reads than readers are each answered, one that fails among them."""
    gate, busy = threading.Event(), threading.Semaphore(0)

    def wait(tx: Transaction) -> None:
        busy.release()
        gate.wait(10)

    def fail(tx: Transaction) -> None:
        raise Refusal(Reason.FOLDER_MISSING)

    async def one(work: Callable[[Transaction], object]) -> object:
        return await home.read.run(work)

    held = [asyncio.create_task(one(wait)) for _ in range(2)]
    await asyncio.sleep(0)
    for _ in held:
        assert busy.acquire(timeout=10)
    works = [fail, *(lambda tx, k=k: k for k in range(9))]
    tasks = [asyncio.create_task(one(work)) for work in works]
    await asyncio.sleep(0)
    gate.set()
    failed, *done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(failed, Refusal)
    assert done == list(range(9))
    await asyncio.gather(*held)


async def test_one_unit_fails_alone(home: Home) -> None:
    """A unit that raises is undone with its events; its neighbours are committed."""

    def bad(tx: Transaction) -> None:
        put("t-bad")(tx)
        raise Refusal(Reason.OVER_QUOTA)

    first, failed, last = await batch(home, put("t1"), bad, put("t2"))
    assert (first, last) == ("t1", "t2")
    assert isinstance(failed, Refusal)
    assert failed.reason is Reason.OVER_QUOTA
    assert names(home) == ["t1", "t2"]
    assert events(home) == 2
    assert verify(home.tx(), home.house.trail).sound


async def test_a_bug_in_one_unit_is_its_own(home: Home) -> None:
    """A constraint that one unit breaks is raised to it alone."""
    first, failed = await batch(home, put("t1"), put("t1"))
    assert first == "t1"
    assert isinstance(failed, sqlite3.IntegrityError)
    assert names(home) == ["t1"]


async def test_full_disk_in_mid_batch(tmp_path: Path) -> None:
    """Where SQLite rolls the whole transaction back by itself, every other unit is run again and committed."""

    def fault(inner: sqlite3.Connection, sql: str) -> None:
        if "meta" in sql and armed[0]:
            armed[0] -= 1
            inner.execute("ROLLBACK")
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            error.sqlite_errorname = "SQLITE_FULL"
            raise error

    armed = [0]
    home = Home(tmp_path, connect=faulty(fault))
    release = stop_lane(home)
    tasks = [asyncio.create_task(home.write.run(put(f"t{k}"))) for k in range(5)]
    await asyncio.sleep(0)
    armed[0] = 1
    release()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert done == [f"t{k}" for k in range(5)]
    assert names(home) == [f"t{k}" for k in range(5)]
    armed[0] = 1
    with pytest.raises(Refusal) as refused:
        await home.write.run(put("t-lost"))
    assert refused.value.reason is Reason.STORAGE_FULL
    assert await home.write.run(put("t6")) == "t6"
    assert "t-lost" not in names(home)
    assert verify(home.tx(), home.house.trail).sound
    home.close()


@pytest.mark.parametrize("committed", [True, False])
async def test_unknown_commit_is_looked_up(tmp_path: Path, committed: bool) -> None:
    """Where COMMIT fails and nothing tells whether it happened, the answer follows what is in the database."""

    def fault(inner: sqlite3.Connection, sql: str) -> None:
        if sql == "COMMIT" and armed[0]:
            armed[0] -= 1
            inner.execute("COMMIT" if committed else "ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")

    armed = [0]
    home = Home(tmp_path, connect=faulty(fault))
    release = stop_lane(home)
    tasks = [asyncio.create_task(home.write.run(put(f"t{k}"))) for k in range(3)]
    await asyncio.sleep(0)
    armed[0] = 2  # the batch that is held, and the next
    release()
    assert await asyncio.gather(*tasks) == ["t0", "t1", "t2"]
    assert names(home) == ["t0", "t1", "t2"]
    assert events(home) == 3
    assert verify(home.tx(), home.house.trail).sound
    home.close()


async def test_commit_that_only_seems_to_succeed(tmp_path: Path) -> None:
    """A transaction that fell before COMMIT is noticed, and its units are run again."""

    def fault(inner: sqlite3.Connection, sql: str) -> None:
        if sql == "RELEASE unit" and armed[0]:
            armed[0] -= 1
            inner.execute("ROLLBACK")
            inner.execute("SAVEPOINT unit")

    armed = [0]
    home = Home(tmp_path, connect=faulty(fault))
    release = stop_lane(home)
    tasks = [asyncio.create_task(home.write.run(put(f"t{k}"))) for k in range(3)]
    await asyncio.sleep(0)
    armed[0] = 1
    release()
    await asyncio.gather(*tasks)
    assert names(home) == ["t0", "t1", "t2"]
    home.close()


async def test_cancelled_waiter_does_not_undo_work(home: Home) -> None:
    """A client that goes away while its commit is under way doesn't take it back."""
    release = stop_lane(home)
    task = asyncio.create_task(home.write.run(put("t1")))
    await asyncio.sleep(0)
    task.cancel()
    release()
    await home.write.run(lambda _: None)
    assert names(home) == ["t1"]


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    """Work queued before the close is committed; work after it is refused."""
    home = Home(tmp_path)
    tasks = [asyncio.create_task(home.write.run(put(f"t{k}"))) for k in range(20)]
    await asyncio.sleep(0)
    await asyncio.get_running_loop().run_in_executor(None, home.write.close)
    assert len(await asyncio.gather(*tasks)) == 20
    with pytest.raises(Refusal):
        await home.write.run(put("t-late"))
    assert len(names(home)) == 20
    home.close()
