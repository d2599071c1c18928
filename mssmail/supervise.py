"""Worker processes: reserved ports, signals, a restart of who dies, and the sockets by which workers wake each other.

One worker runs in the process that was started; several are forked from it before any thread or loop exists. What a
worker does is handed in: this file knows no mail. One server runs on a data folder at a time (a lock says so).
"""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from mssmail.servers.net.listener import Place, reserve
from mssmail.servers.net.post import Post, Ready

RESTART_PAUSE_S = 0.5
STOP_S = 4.0
"""A worker that hasn't stopped by then is killed: what it acknowledged is on disk."""


class AlreadyRunning(Exception):
    """Another server holds this data folder; the text says which."""


Worker = Callable[[Post, Ready, asyncio.Event], Coroutine[None, None, None]]
"""A worker's whole life: calls `Ready` once every listener accepts, and ends soon after the event is set."""
Runner = Callable[[Coroutine[None, None, None]], None]


@contextlib.contextmanager
def _only_one(run_folder: Path):  # type: ignore[no-untyped-def]
    run_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (run_folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(f"process {lock.read().strip() or '?'} serves this data folder already") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def run(
    worker: Worker,
    runner: Runner,
    *,
    workers: int,
    wanted: Sequence[Place],
    run_folder: Path,
    on_ready: Callable[[dict[str, Place]], None],
    on_worker_death: Callable[[int], None],
) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. `on_ready` is told the ports once every worker accepts.

    Raises AlreadyRunning, PortTaken.
    """
    with _only_one(run_folder):
        reserved = [reserve(place.name, place.host, place.port) for place in wanted]
        places = {place.name: place for place, _ in reserved}
        try:
            if workers == 1:
                runner(_alone(worker, places, on_ready))
                return 0
            return _Crew(worker, runner, workers, places, on_ready, on_worker_death).run()
        finally:
            for _, sock in reserved:
                sock.close()


async def _alone(worker: Worker, places: dict[str, Place], on_ready: Callable[[dict[str, Place]], None]) -> None:
    stop = _stop_on_signals()
    await worker(Post(0, 1, places), lambda: on_ready(places), stop)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


class _Crew:
    """Several workers, seen from the process that forked them."""

    def __init__(
        self,
        worker: Worker,
        runner: Runner,
        count: int,
        places: dict[str, Place],
        on_ready: Callable[[dict[str, Place]], None],
        on_death: Callable[[int], None],
    ) -> None:
        self._worker = worker
        self._runner = runner
        self._places = places
        self._on_ready = on_ready
        self._on_death = on_death
        self._pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for mine, _ in self._pairs:
            mine.setblocking(False)
        self._pids: dict[int, int] = {}
        self._ready = os.pipe()
        self._life = os.pipe()
        self._stopping = False

    def run(self) -> int:
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for slot in range(len(self._pairs)):
            self._fork(slot)
        announced: set[int] = set()
        while self._pids:
            readable, _, _ = select.select([wake, self._ready[0]], [], [], 1.0)
            if wake in readable:
                os.read(wake, 512)
            if self._ready[0] in readable:
                before = len(announced)
                announced.update(os.read(self._ready[0], 512))
                if before < len(self._pairs) == len(announced):
                    self._on_ready(self._places)
            self._bury()
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        signal.signal(signal.SIGALRM, self._kill)
        signal.setitimer(signal.ITIMER_REAL, STOP_S)

    def _kill(self, *_: object) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        """Reap the dead; start another in the place of one that wasn't told to stop."""
        while self._pids:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            slot = self._pids.pop(pid)
            if not self._stopping:
                self._on_death(slot)
                time.sleep(RESTART_PAUSE_S)
                self._fork(slot)

    def _fork(self, slot: int) -> None:
        pid = os.fork()
        if pid:
            self._pids[pid] = slot
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            others = tuple(send for k, (_, send) in enumerate(self._pairs) if k != slot)
            post = Post(slot, len(self._pairs), self._places, self._pairs[slot][0], others)
            self._runner(self._child(post))
            status = 0
        except BaseException as error:  # noqa: BLE001 - the child ends here, whatever happened
            print(f"worker {slot}: {type(error).__name__}", file=sys.stderr, flush=True)  # noqa: T201
        finally:
            os._exit(status)

    async def _child(self, post: Post) -> None:
        """A worker ends with its supervisor, however that one ended: a pipe that only it could write to closes."""
        stop = _stop_on_signals()
        os.close(self._life[1])
        loop, life = asyncio.get_running_loop(), self._life[0]

        def orphaned() -> None:
            loop.remove_reader(life)
            stop.set()

        loop.add_reader(life, orphaned)
        await self._worker(post, lambda: self._announce(post.slot), stop)

    def _announce(self, slot: int) -> None:
        os.write(self._ready[1], bytes([slot]))
