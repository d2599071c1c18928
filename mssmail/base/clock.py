"""The one place that reads the time. Everything else is handed a `Clock`."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, for those who must not ask the system."""

    def now(self) -> float:
        """Seconds of the Unix epoch."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that moves only when told, for tests."""

    __slots__ = ("_now",)

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


def local(at: float) -> datetime:
    """The aware datetime of an epoch time, in the zone that this machine is set to: for what people read."""
    return utc(at).astimezone()


def utc(at: float) -> datetime:
    """The aware UTC datetime of an epoch time."""
    return datetime.fromtimestamp(at, UTC)
