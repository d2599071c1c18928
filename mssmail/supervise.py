"""Worker processes: reserved ports, signals, a restart of who dies, and the sockets by which workers wake each other.

SIGTERM and SIGINT end the server; SIGHUP makes every worker read its configuration again. A worker that dies is
started again, at growing intervals while it keeps dying; one that dies before the server was ever ready ends it all.

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
import subprocess
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mssmail.base.clock import SystemClock
from mssmail.metrics.logs import failure, get_logger
from mssmail.servers.net.listener import Place, reserve
from mssmail.servers.net.post import Post, Ready

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SETTLED_S = 60.0
"""A worker that lived so long is taken to be well: when it dies, it is started again after the first pause."""
STOP_S = 4.0
"""A worker that hasn't stopped by then is killed: what it acknowledged is on disk."""


_clock = SystemClock()
_log = get_logger("supervise")


class AlreadyRunning(Exception):
    """Another server holds this data folder; the text says which."""


class NeverReady(Exception):
    """A worker died before the server was ready; the text says which."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told by signals. Both are events of its loop."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    """The worker clears it when it takes the order up."""


Worker = Callable[[Post, Ready, asyncio.Event, asyncio.Event], Coroutine[None, None, None]]
"""A worker's whole life: calls `Ready` once every listener accepts, ends soon after the first event is set, and reads
its configuration again whenever the second is."""
Runner = Callable[[Coroutine[None, None, None]], None]


class Beside(Protocol):
    """What lives beside the workers, in a small process of its own."""

    def open(self) -> int:
        """The descriptor that it needs, made in the first process and closed there by its caller. Raises OSError."""

    def command(self, listener: int, life: int) -> Sequence[str]:
        """What starts it, with both descriptors open: it lives until the other end of the pipe `life` is closed."""


def holder(run_folder: Path) -> int | None:
    """The process id of the server that holds this run folder, 0 where it didn't say; None where there is none."""
    try:
        with (run_folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                said = lock.read().strip()
                return int(said) if said.isdigit() else 0
    except OSError:
        pass
    return None


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
    on_reload: Callable[[], None],
    beside: "Beside | None" = None,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. `on_ready` is told the ports once every worker accepts.

    `beside` lives in a process of its own, begun before any worker, for as long as this one.

    `on_reload` is called, at SIGHUP, in a process that forks workers and is none itself: for those that it forks later.

    Raises AlreadyRunning, PortTaken, NeverReady.
    """
    with _only_one(run_folder):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until a handler is there: the default would end the process
        reserved = [reserve(place.name, place.host, place.port) for place in wanted]
        places = {place.name: place for place, _ in reserved}
        try:
            with _accompanied(beside) as let_go:
                if workers == 1:
                    runner(_alone(worker, places, on_ready))
                    return 0
                return _Crew(worker, runner, workers, places, on_ready, on_worker_death, on_reload, let_go).run()
        finally:
            for _, sock in reserved:
                sock.close()


@contextlib.contextmanager
def _accompanied(beside: Beside | None) -> Iterator[Callable[[], None]]:
    """Let `beside` live in a process of its own; yields what a process forked later does to let go of it.

    It is started anew, not forked: of a server's memory it would keep what the server soon gives back. It holds nothing
    of ours: no port and no lock outlive this process in it, however this one ends. Nobody starts it again: what little
    it does is done in processes of its own.
    """
    if beside is None:
        yield lambda: None
        return
    listener = beside.open()
    life, hold = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - ours, its words are numbers and a file
            beside.command(listener, life), pass_fds=(life, listener), stdin=subprocess.DEVNULL
        )
        os.close(life)
        os.close(listener)
        yield lambda: os.close(hold)
    finally:
        os.close(hold)
    process.wait()


async def _alone(worker: Worker, places: dict[str, Place], on_ready: Callable[[dict[str, Place]], None]) -> None:
    orders = _by_signals()
    await worker(Post(0, 1, places), lambda: on_ready(places), orders.stop, orders.reload)


def _by_signals() -> Orders:
    orders, on_terminal = Orders(), os.isatty(0)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, orders.stop.set)

    def hung_up() -> None:
        (orders.stop if _terminal_gone(was_there=on_terminal) else orders.reload).set()

    loop.add_signal_handler(signal.SIGHUP, hung_up)
    return orders


def _terminal_gone(*, was_there: bool) -> bool:
    """Whether SIGHUP has its first meaning: the window that the server was started in was closed."""
    return was_there and not os.isatty(0)


class Brood:
    """Numbered processes forked by this one, each started again when that is due. `_run` it once.

    Invariant: this process has one thread and no loop, for it forks.
    """

    def __init__(self, count: int, stop_s: float) -> None:
        """`stop_s`: who hasn't stopped so long after it was told to is killed."""
        self._count = count
        self._stop_s = stop_s
        self._pids: dict[int, int] = {}
        """Process to number."""
        self._pauses: dict[int, float] = {}
        """How long each place was last left empty."""
        self._due: dict[int, float] = {}
        """When another is to be started in an empty place, by the monotonic clock."""
        self._stopping = False
        self._ready = os.pipe()

    # --- what they are ---

    def _live(self, number: int) -> int:
        """A process's life, in it; its exit status. Raises nothing."""
        raise NotImplementedError

    def _heard(self, numbers: bytes) -> None:
        """These are ready."""
        raise NotImplementedError

    def _ended(self, pid: int, number: int | None, status: int) -> None:
        """One is gone, by this exit status or, negative, signal; None: a child that isn't of these."""
        raise NotImplementedError

    def _hung_up(self, *_: object) -> None:
        """SIGHUP came. A signal handler."""
        raise NotImplementedError

    def _look(self) -> None:
        """After each turn."""

    # --- what is common to all ---

    def _run(self) -> None:
        """Until SIGTERM or SIGINT, or until nobody is left to wait for."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hung_up)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for each in range(self._count):
            self._fork(each)
        while self._pids or (self._due and not self._stopping):
            readable, _, _ = select.select([wake, self._ready[0]], [], [], self._patience())
            if wake in readable:
                os.read(wake, 512)
            if self._ready[0] in readable:
                self._heard(os.read(self._ready[0], 512))
            self._look()
            self._bury()
            self._replace()

    def _patience(self) -> float:
        """Seconds until there is something to do though nothing happens."""
        return max(0.0, min([1.0, *(at - _clock.monotonic() for at in self._due.values())]))

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._tell(signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda *_: self._tell(signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, self._stop_s)

    def _tell(self, number: int) -> None:
        """Send all a signal."""
        for pid in list(self._pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _bury(self) -> None:
        while self._pids:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._ended(pid, self._pids.pop(pid, None), os.waitstatus_to_exitcode(ended))

    def _again(self, number: int, pause_s: float) -> None:
        """Have another started in its place, after a pause."""
        self._pauses[number], self._due[number] = pause_s, _clock.monotonic() + pause_s

    def _replace(self) -> None:
        for each in [each for each, at in self._due.items() if at <= _clock.monotonic()]:
            if not self._stopping:
                del self._due[each]
                self._fork(each)

    def _fork(self, number: int) -> None:
        pid = os.fork()
        if pid:
            self._pids[pid] = number
            return
        status = 1
        try:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until a handler is there: the default would end it
            signal.set_wakeup_fd(-1)
            for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            status = self._live(number)
        finally:
            os._exit(status)

    def _say_ready(self, number: int) -> None:
        """Tell the process that forked this one."""
        os.write(self._ready[1], bytes([number]))


class _Crew(Brood):
    """Several workers, seen from the process that forked them."""

    def __init__(
        self,
        worker: Worker,
        runner: Runner,
        count: int,
        places: dict[str, Place],
        on_ready: Callable[[dict[str, Place]], None],
        on_death: Callable[[int], None],
        on_reload: Callable[[], None],
        let_go: Callable[[], None],
    ) -> None:
        super().__init__(count, STOP_S)
        self._worker = worker
        self._let_go = let_go
        self._runner = runner
        self._places = places
        self._on_ready = on_ready
        self._on_death = on_death
        self._on_reload = on_reload
        self._pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for mine, _ in self._pairs:
            mine.setblocking(False)
        self._begun: dict[int, float] = {}
        """When each slot's worker was started, by the monotonic clock."""
        self._life = os.pipe()
        self._announced: set[int] = set()
        self._on_terminal = os.isatty(0)
        self._reloading = False
        self._never_ready: int | None = None

    def run(self) -> int:
        self._run()
        if self._never_ready is not None:
            raise NeverReady(f"worker {self._never_ready} died before the server was ready; the log says why")
        return 0

    def _heard(self, numbers: bytes) -> None:
        before = len(self._announced)
        self._announced.update(numbers)
        if before < self._count == len(self._announced):
            self._on_ready(self._places)

    def _hung_up(self, *_: object) -> None:
        if _terminal_gone(was_there=self._on_terminal):
            self._stop()
        else:
            self._reloading = True

    def _look(self) -> None:
        if self._reloading:
            self._reloading = False
            self._on_reload()
            self._tell(signal.SIGHUP)

    def _ended(self, pid: int, number: int | None, status: int) -> None:
        """One that wasn't told to stop is replaced later, or ends all where none was ever ready."""
        if number is None:
            _log.error("the admin socket's process died; it is there again after a restart")
            return
        if self._stopping:
            return
        if len(self._announced) < self._count:
            self._never_ready = number
            self._stop()
            return
        well = _clock.monotonic() - self._begun[number] >= SETTLED_S
        pause = FIRST_PAUSE_S if well else min(LONGEST_PAUSE_S, 2 * self._pauses.get(number, FIRST_PAUSE_S / 2))
        self._again(number, pause)
        _log.error("worker died", slot=number, started_again_in_s=pause)
        self._on_death(number)

    def _fork(self, number: int) -> None:
        self._begun[number] = _clock.monotonic()
        super()._fork(number)

    def _live(self, number: int) -> int:
        try:
            self._let_go()
            others = tuple(send for k, (_, send) in enumerate(self._pairs) if k != number)
            self._runner(self._child(Post(number, self._count, self._places, self._pairs[number][0], others)))
        except BaseException as error:  # noqa: BLE001 - the child ends here, whatever happened
            failure(_log, "worker failed", error, slot=number)
            return 1
        return 0

    async def _child(self, post: Post) -> None:
        """A worker ends with its supervisor, however that one ended: a pipe that only it could write to closes."""
        orders = _by_signals()
        os.close(self._life[1])
        loop, life = asyncio.get_running_loop(), self._life[0]

        def orphaned() -> None:
            loop.remove_reader(life)
            orders.stop.set()

        loop.add_reader(life, orphaned)
        await self._worker(post, lambda: self._say_ready(post.slot), orders.stop, orders.reload)
