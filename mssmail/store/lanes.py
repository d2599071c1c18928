"""Lanes: a thread, a connection, and a queue of units of work, committed in groups.

A write lane takes what waits, runs each unit in a savepoint inside one transaction, commits once, then answers all.
Measured on SQLite: 83,000 grouped commits a second, where one hop and one commit a unit give 1,400.

Invariants:
- nobody is answered before the commit that holds their work;
- a transaction that no longer stands (SQLite rolls all back on a full disk, and COMMIT may then "succeed") is
  discarded, and each unit is run again alone;
- where the outcome of a COMMIT is unknown, the lane's row in `chains` tells whether the batch is in;
- a unit that fails takes nothing of the others with it.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Dialect

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.metrics.registry import counter, histogram
from mssmail.store.engine import in_transaction, refusal_of
from mssmail.store.interface import Chain, Driver, Statement, Transaction
from mssmail.store.schema import chains

T = TypeVar("T")
Work = Callable[[Transaction], T]

BATCH_UNITS = 256
"""More gains nothing (LIBRARIES: 107,000 rows a second at 256) and makes the first of a batch wait."""

_batches = counter("mssmail_store_commits_total", "Commits of write lanes.")
_units = counter("mssmail_store_units_total", "Units of work committed by write lanes.")
_unheard = counter("mssmail_store_posted_failed_total", "Posted units of work, that nobody waits for, that failed.")
_unknown = counter("mssmail_store_commits_unknown_total", "Times a commit's outcome had to be asked for again.")
_redone = counter("mssmail_store_batches_redone_total", "Batches discarded and run again unit by unit.")
_sizes = histogram("mssmail_store_commit_units", "Units in a commit.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256))

_ASK_AGAIN_S = 0.2

_BATCH_OF = Statement(select(chains.c.batch).where(chains.c.chain_id == bindparam("chain")))


def yield_to_loop() -> None:
    """Let the loop go on with what it is at, when on one core a unit wakes this thread.

    A thread that is woken may take the waker's place at once, find the interpreter taken and sleep again, and so on at
    each turn of both. A batch thread waits for its turn, by when more units have come (sched(7), SCHED_BATCH): a
    delivered mail costs a seventh less. Where another core is idle nothing changes.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class _Unit(Generic[T]):
    """Work, its outcome, and who waits for it: a loop's future or a thread's."""

    __slots__ = ("error", "future", "loop", "result", "work")

    def __init__(
        self, work: Work[T], loop: asyncio.AbstractEventLoop | None, future: "asyncio.Future[T] | Future[T] | None"
    ) -> None:
        self.work = work
        self.loop = loop
        self.future = future
        self.result: T | None = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future is None:
            if self.error is not None:
                _unheard.inc()
            return
        if self.future.cancelled() or self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


def _settle_all(units: list[_Unit[Any]]) -> None:
    for unit in units:
        unit.settle()


class _Lane:
    """The ways in and the answers that both kinds of lane share."""

    def __init__(self) -> None:
        self._closed = False

    async def run(self, work: Work[T]) -> T:
        """Do `work` and wait for it. Cancelling the waiter doesn't undo the work, which is done for nobody then.

        Raises what the work raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._take_in(_Unit(work, loop, future))
        return await future

    def run_blocking(self, work: Work[T], timeout_s: float | None = None) -> T:
        """The same for a caller that has no loop. Never from the loop's own thread."""
        future: Future[T] = Future()
        self._take_in(_Unit(work, None, future))
        return future.result(timeout_s)

    def _take_in(self, unit: _Unit[Any]) -> None:
        if self._closed:
            raise Refusal(Reason.UNAVAILABLE, "the store is closing")
        self._put(unit)

    def _put(self, unit: _Unit[Any]) -> None:
        raise NotImplementedError

    def _answer(self, units: list[_Unit[Any]]) -> None:
        """Settle each unit where its waiter lives: one call into each loop for the whole batch."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_Unit[Any]]] = {}
        for unit in units:
            if unit.loop is None:
                unit.settle()
            else:
                by_loop.setdefault(unit.loop, []).append(unit)
        for loop, waiting in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle_all, waiting)
            except RuntimeError:
                pass  # the loop has ended, and its waiters with it


class WriteLane(_Lane):
    """The one writer of a process (on PostgreSQL: one of several)."""

    def __init__(
        self,
        connect: Callable[[], Driver],
        dialect: Dialect,
        chain: Chain,
        clock: Clock,
        on_wakes: Callable[[dict[int, int]], None],
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._queue: SimpleQueue[_Unit[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="mssmail-write", daemon=True)
        self._connect = connect
        self._driver: Driver | None = None
        self._dialect = dialect
        self._chain = chain
        self._clock = clock
        self._on_wakes = on_wakes
        self._folder = folder
        self._batch = 0
        self._pause = threading.Event()
        self.committed_at = float("-inf")
        """When the last batch was committed, by the clock's `monotonic`."""

    def start(self) -> None:
        self._thread.start()

    def post(self, work: Work[T]) -> None:
        """Do `work` some time, for nobody: what is lost where it fails is only counted."""
        if not self._closed:
            self._put(_Unit(work, None, None))

    def _put(self, unit: _Unit[Any]) -> None:
        self._queue.put(unit)

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            if self._thread.is_alive():
                self._thread.join()

    def _serve(self) -> None:
        yield_to_loop()
        ending = False
        while not ending:
            units, ending = self._take()
            if units:
                self._commit_all(units)
        self._drop_connection()

    def _take(self) -> tuple[list[_Unit[Any]], bool]:
        """At least one unit, and what else waits; whether to end."""
        units: list[_Unit[Any]] = []
        unit = self._queue.get()
        try:
            while unit is not None:
                units.append(unit)
                if len(units) >= BATCH_UNITS:
                    return units, False
                unit = self._queue.get_nowait()
        except Empty:
            return units, False
        return units, True

    def _commit_all(self, units: list[_Unit[Any]]) -> None:
        """Commit the batch; where a unit fails, again with savepoints; where it can't stand, each unit alone."""
        wakes: dict[int, int] = {}
        if not self._attempt(units, wakes, savepoints=False) and len(units) > 1:
            for unit in units:
                unit.error = None
            if not self._attempt(units, wakes, savepoints=True):
                _redone.inc()
                for unit in units:
                    unit.error = None
                    self._attempt([unit], wakes, savepoints=False)
        if wakes:
            self._on_wakes(wakes)
        self._answer(units)

    def _attempt(self, units: list[_Unit[Any]], wakes: dict[int, int], *, savepoints: bool) -> bool:
        """One transaction over `units`; False where it was discarded, with the cause in a lone unit's `error`.

        Without savepoints, which cost two statements a unit, the first failure discards it.
        """
        self._batch += 1
        run = self._in_savepoint if savepoints else self._bare
        try:
            tx = self._begin()
            for unit in units:
                if not run(tx, unit):
                    return self._discard(units, unit.error)
            if tx.events or any(unit.error is None for unit in units):
                self._chain.append(tx, tx.events, self._batch)
            if not in_transaction(tx.driver):
                return self._discard(units, None)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises, the batch is off and all must hear
            return self._discard(units, error)
        try:
            tx.driver.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - as above
            if in_transaction(tx.driver) or not self._is_in(self._batch):
                return self._discard(units, error)
        for account, modseq in tx.wakes.items():
            wakes[account] = max(modseq, wakes.get(account, 0))
        self.committed_at = self._clock.monotonic()
        _batches.inc()
        _units.inc(len(units))
        _sizes.observe(len(units))
        return True

    def _bare(self, tx: Transaction, unit: _Unit[Any]) -> bool:
        """Run one unit without a net: False where it fails."""
        try:
            unit.result = unit.work(tx)
        except Exception as error:  # noqa: BLE001 - the batch is about to be run again
            unit.error = error
            return False
        return in_transaction(tx.driver)

    def _begin(self) -> Transaction:
        if self._driver is None:
            self._driver = self._connect()
        self._driver.execute("BEGIN IMMEDIATE")
        return Transaction(self._driver, self._dialect, self._clock.now())

    def _in_savepoint(self, tx: Transaction, unit: _Unit[Any]) -> bool:
        """Run one unit; its own failure is its own. False where the whole transaction fell with it."""
        driver = tx.driver
        events, woken = len(tx.events), dict(tx.wakes)
        driver.execute("SAVEPOINT unit")
        try:
            unit.result = unit.work(tx)
        except Exception as error:  # noqa: BLE001 - handed to the unit's waiter
            unit.error = refusal_of(error, self._folder) or error
            if not in_transaction(driver):
                return False
            driver.execute("ROLLBACK TO unit")
            driver.execute("RELEASE unit")
            del tx.events[events:]
            tx.wakes = woken
            return in_transaction(driver)
        if not in_transaction(driver):
            return False
        driver.execute("RELEASE unit")
        return True

    def _discard(self, units: list[_Unit[Any]], error: BaseException | None) -> bool:
        """Undo the batch. A lone unit hears the cause; a larger batch is about to be run again."""
        if self._driver is not None and in_transaction(self._driver):
            try:
                self._driver.execute("ROLLBACK")
            except Exception:  # noqa: BLE001 - the connection is given up below
                self._drop_connection()
        if error is not None and not isinstance(error, Refusal):
            refusal = refusal_of(error, self._folder)
            if refusal is not None:
                self._drop_connection()
            error = refusal or error
        if len(units) == 1:
            units[0].error = error or Refusal(Reason.STORAGE_FULL, "the transaction no longer stood")
        return False

    def _is_in(self, batch: int) -> bool:
        """Whether that batch was committed, read over a new connection, since the old one can't be trusted.

        Nobody is answered before this is known: it is asked again while the database can't say.
        """
        chain = self._chain.chain_id
        while chain is not None:
            self._drop_connection()
            try:
                self._driver = self._connect()
                row = Transaction(self._driver, self._dialect, 0).run(_BATCH_OF, chain=chain).fetchone()
            except Exception:  # noqa: BLE001 - the database is away: ask again until it answers or the process ends
                _unknown.inc()
                self._pause.wait(_ASK_AGAIN_S)
                continue
            return row is not None and int(row[0]) >= batch
        return False

    def _drop_connection(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            try:
                driver.close()
            except Exception:  # noqa: BLE001, S110 - it is being thrown away
                pass


class ReadLanes(_Lane):
    """A few readers, each with a connection and one snapshot a unit.

    The reader that went idle last is woken first: its memory is the warmest. One shared queue would wake the others too
    for each unit (a SimpleQueue passes its lock on), only to find nothing.
    """

    def __init__(
        self, connect: Callable[[], Driver], dialect: Dialect, clock: Clock, count: int, folder: Path | None = None
    ) -> None:
        super().__init__()
        self._connect = connect
        self._dialect = dialect
        self._clock = clock
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting: deque[_Unit[Any] | None] = deque()
        """Units that found every reader at work; None for a reader that is to end."""
        self._idle: list[SimpleQueue[_Unit[Any] | None]] = []
        self._threads = [
            threading.Thread(target=self._serve, name=f"mssmail-read-{k}", daemon=True) for k in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Finish what waits, then end the threads."""
        if not self._closed:
            self._closed = True
            for _ in self._threads:
                self._put(None)
            for thread in self._threads:
                if thread.is_alive():
                    thread.join()

    def _put(self, unit: _Unit[Any] | None) -> None:
        with self._lock:
            if not self._idle:
                self._waiting.append(unit)
                return
            own = self._idle.pop()
        own.put(unit)

    def _next(self, own: "SimpleQueue[_Unit[Any] | None]") -> _Unit[Any] | None:
        """What waits, or what comes into a reader's own queue once it is idle."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(own)
        return own.get()

    def _serve(self) -> None:
        yield_to_loop()
        own: SimpleQueue[_Unit[Any] | None] = SimpleQueue()
        driver: Driver | None = None
        while (unit := self._next(own)) is not None:
            driver = self._read(driver, unit)
            self._answer([unit])
        if driver is not None:
            driver.close()

    def _read(self, driver: Driver | None, unit: _Unit[Any]) -> Driver | None:
        """Run one unit; the connection, None where it is to be made anew."""
        try:
            if driver is None:
                driver = self._connect()
            driver.execute("BEGIN")
            try:
                unit.result = unit.work(Transaction(driver, self._dialect, self._clock.now()))
            finally:
                if in_transaction(driver):
                    driver.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - handed to the unit's waiter
            unit.error = refusal_of(error, self._folder) or error
            if driver is not None and unit.error is not error:
                driver.close()
                return None
        return driver
