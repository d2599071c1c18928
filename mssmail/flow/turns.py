"""Turns at Argon2: few at a time, fair to addresses, and no longer a queue than can be waited for.

Whoever floods the door from one address waits behind everybody else once; whoever does it from thousands of addresses
waits behind those who come from where their account's holder was seen before. All methods on the loop.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.metrics.registry import counter, gauge

T = TypeVar("T")

LONGEST_WAIT_S: Final = 10.0
"""Mail programs give up on a silent server after 30 s or more; who would wait longer than this is sent away."""
MOST_OF_ADDRESS: Final = 100
"""Waiting from one address: a clinic whose grants all end at eight in the morning has room."""
KNOWN_IN_A_ROW: Final = 4
"""Turns of known places after which a stranger has one."""
FIRST_GUESS_S: Final = 0.02
"""What a hash is taken to cost until some were seen."""

_waiting = gauge("mssmail_password_checks_waiting", "Sign-ins that wait for Argon2.")
_refused = counter("mssmail_password_checks_refused_total", "Sign-ins asked to come back, for want of time for Argon2.")


class _Line:
    """Who waits, by address; each address in its turn."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self.length = 0

    def of(self, address: str) -> int:
        return len(self._by_address.get(address, ()))

    def join(self, address: str, waiter: "asyncio.Future[None]") -> None:
        self._by_address.setdefault(address, deque()).append(waiter)
        self.length += 1

    def next(self) -> "asyncio.Future[None] | None":
        while self._by_address:
            address, waiters = self._by_address.popitem(last=False)
            waiter = waiters.popleft()
            self.length -= 1
            if waiters:
                self._by_address[address] = waiters
            if not waiter.done():
                return waiter
        return None


class Turns:
    """The queue before the password executor."""

    def __init__(self, clock: Clock, slots: int) -> None:
        """`slots`: how many hashes run at once."""
        self._clock = clock
        self._slots = slots
        self._free = slots
        self._known = _Line()
        self._strangers = _Line()
        self._in_a_row = 0
        self._each_s = FIRST_GUESS_S

    async def take(self, address: str, work: Callable[[], Awaitable[T]], *, known: bool) -> T:
        """Do `work` when the turn comes. `known`: the account's holder came from there before.

        Raises Refusal(UNAVAILABLE) where too many wait already.
        """
        await self._wait(address, self._known if known else self._strangers)
        began = self._clock.monotonic()
        try:
            return await work()
        finally:
            self._each_s += (self._clock.monotonic() - began - self._each_s) / 16
            self._pass_on()

    async def _wait(self, address: str, line: _Line) -> None:
        if self._free:
            self._free -= 1
            return
        if line.length * self._each_s / self._slots > LONGEST_WAIT_S or line.of(address) >= MOST_OF_ADDRESS:
            _refused.inc()
            raise Refusal(Reason.UNAVAILABLE, "too many sign-ins at once")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.join(address, waiter)
        _waiting.inc()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._pass_on()  # the turn came as the client left
            raise
        finally:
            _waiting.dec()

    def _pass_on(self) -> None:
        """Give the turn to who is next."""
        first, second = self._known, self._strangers
        if self._in_a_row >= KNOWN_IN_A_ROW:
            first, second = second, first
        for line in (first, second):
            waiter = line.next()
            if waiter is not None:
                self._in_a_row = self._in_a_row + 1 if line is self._known else 0
                waiter.set_result(None)
                return
        self._free += 1
