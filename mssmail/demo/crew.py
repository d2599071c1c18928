"""The operators of a federation as processes of the command that started them.

One that dies is told of on standard error and started again; one that was told to stop stays down, and is started by
hand with `mssmail serve`. One that dies before it ever accepted ends all. All end with the command, however that ends.

Invariant: this process has one thread and no loop, for it forks.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

from mssmail.base.clock import SystemClock
from mssmail.demo.report import show
from mssmail.demo.run import Prepared

PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 10.0
STOP_S: Final = 4.6
"""Who hasn't stopped by then is killed: what it acknowledged is on disk."""
_PR_SET_PDEATHSIG: Final = 1

Serve = Callable[[Prepared, Callable[[], None]], int]
"""One operator's whole life: serves until SIGTERM, calls the second once every listener accepts; the exit status."""
_clock = SystemClock()


class Crew:
    """All of them. `run` it once."""

    def __init__(self, operators: Sequence[Prepared], ports: Sequence[dict[str, int]], serve: Serve) -> None:
        self._operators = operators
        self._ports = ports
        self._serve = serve
        self._pids: dict[int, int] = {}
        """Process to operator, by number."""
        self._accepting: set[int] = set()
        """Which accept now."""
        self._pauses: dict[int, float] = {}
        self._due: dict[int, float] = {}
        """When one is to be started again, by the monotonic clock."""
        self._announced = self._stopping = self._failed = False
        self._said = os.pipe()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, or until all operators were told to stop; the exit status."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for at in range(len(self._operators)):
            self._fork(at)
        while self._pids or (self._due and not self._stopping):
            readable, _, _ = select.select([wake, self._said[0]], [], [], self._patience())
            if wake in readable:
                os.read(wake, 512)
            if self._said[0] in readable:
                for at in os.read(self._said[0], 512):
                    self._accepts(at)
            self._bury()
            self._replace()
        return int(self._failed)

    def _patience(self) -> float:
        return max(0.0, min([1.0, *(at - _clock.monotonic() for at in self._due.values())]))

    def _accepts(self, at: int) -> None:
        """demo.json of the first is there once all accept; whoever comes back later has its own written anew."""
        self._accepting.add(at)
        if self._announced:
            self._describe(at)
        elif len(self._accepting) == len(self._operators):
            self._announced = True
            for each in reversed(range(len(self._operators))):
                self._describe(each)
            told = [each.told(ports) for each, ports in zip(self._operators, self._ports, strict=True)]
            show(told, _clock.now())

    def _describe(self, at: int) -> None:
        pid = next((pid for pid, other in self._pids.items() if other == at), None)
        if pid is not None:
            self._operators[at].describe(self._ports[at], pid)

    # --- processes ---

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._tell(signal.SIGTERM)
        signal.signal(signal.SIGALRM, lambda *_: self._tell(signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, STOP_S)

    def _pass_on(self, *_: object) -> None:
        """Each knows by itself whether its terminal went, or its settings are to be read again."""
        self._tell(signal.SIGHUP)

    def _tell(self, number: int) -> None:
        for pid in list(self._pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _bury(self) -> None:
        while self._pids:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            at, status = self._pids.pop(pid, None), os.waitstatus_to_exitcode(ended)
            if at is None or self._stopping or (status == 0 and self._announced):
                continue
            domain, was_up = self._operators[at].cast.domain, at in self._accepting
            self._accepting.discard(at)
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            if not self._announced:
                _tell_people(f"{domain}: process {pid} {how} before it was ready")
                self._failed = True
                self._stop()
                continue
            pause = PAUSE_S if was_up else min(LONGEST_PAUSE_S, 2 * self._pauses[at])
            self._pauses[at], self._due[at] = pause, _clock.monotonic() + pause
            _tell_people(f"{domain}: process {pid} {how}; started again in {pause:g} s")

    def _replace(self) -> None:
        for at in [at for at, when in self._due.items() if when <= _clock.monotonic()]:
            if not self._stopping:
                del self._due[at]
                self._fork(at)

    def _fork(self, at: int) -> None:
        command = os.getpid()
        pid = os.fork()
        if pid:
            self._pids[pid] = at
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until a handler is there: the default would end it
            _end_with(command)
            status = self._serve(self._operators[at], lambda: self._say(at))
        except Exception as error:  # noqa: BLE001 - the child ends here, whatever happened
            _tell_people(f"{self._operators[at].cast.domain}: {error}")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _say(self, at: int) -> None:
        os.write(self._said[1], bytes([at]))


def _tell_people(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _end_with(parent: int) -> None:
    """Be told to stop once the parent is gone, even by SIGKILL (prctl(2)); where there is no prctl, by it alone."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
