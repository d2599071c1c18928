"""The operators of a federation as processes of the command that started them.

One that dies is told of on standard error and started again; one that was told to stop stays down, and is started by
hand with `mssmail serve`. One that dies before it ever accepted ends all. All end with the command, however that ends.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

from mssmail.base.clock import SystemClock
from mssmail.demo.report import show
from mssmail.demo.run import Prepared
from mssmail.supervise import Brood

PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 10.0
STOP_S: Final = 4.6
"""Who hasn't stopped by then is killed: what it acknowledged is on disk."""
_PR_SET_PDEATHSIG: Final = 1

Serve = Callable[[Prepared, Callable[[], None]], int]
"""One operator's whole life: serves until SIGTERM, calls the second once every listener accepts; the exit status."""


class Crew(Brood):
    """All of them. `run` it once."""

    def __init__(self, operators: Sequence[Prepared], ports: Sequence[dict[str, int]], serve: Serve) -> None:
        super().__init__(len(operators), STOP_S)
        self._operators = operators
        self._ports = ports
        self._serve = serve
        self._command = os.getpid()
        self._accepting: set[int] = set()
        """Which accept now."""
        self._announced = self._failed = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, or until all operators were told to stop; the exit status."""
        self._run()
        return int(self._failed)

    def _heard(self, numbers: bytes) -> None:
        for at in numbers:
            self._accepts(at)

    def _accepts(self, at: int) -> None:
        """demo.json of the first is there once all accept; whoever comes back later has its own written anew."""
        self._accepting.add(at)
        if self._announced:
            self._describe(at)
        elif len(self._accepting) == self._count:
            self._announced = True
            for each in reversed(range(self._count)):
                self._describe(each)
            told = [each.told(ports) for each, ports in zip(self._operators, self._ports, strict=True)]
            show(told, SystemClock().now())

    def _describe(self, at: int) -> None:
        pid = next((pid for pid, other in self._pids.items() if other == at), None)
        if pid is not None:
            self._operators[at].describe(self._ports[at], pid)

    def _hung_up(self, *_: object) -> None:
        """Each knows by itself whether its terminal went, or its settings are to be read again."""
        self._tell(signal.SIGHUP)

    def _ended(self, pid: int, number: int | None, status: int) -> None:
        if number is None or self._stopping or (status == 0 and self._announced):
            return
        domain, was_up = self._operators[number].cast.domain, number in self._accepting
        self._accepting.discard(number)
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        if not self._announced:
            _tell_people(f"{domain}: process {pid} {how} before it was ready")
            self._failed = True
            self._stop()
            return
        pause = PAUSE_S if was_up else min(LONGEST_PAUSE_S, 2 * self._pauses[number])
        self._again(number, pause)
        _tell_people(f"{domain}: process {pid} {how}; started again in {pause:g} s")

    def _live(self, number: int) -> int:
        try:
            _end_with(self._command)
            return self._serve(self._operators[number], lambda: self._say_ready(number))
        except Exception as error:  # noqa: BLE001 - the child ends here, whatever happened
            _tell_people(f"{self._operators[number].cast.domain}: {error}")
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


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
