"""How often something happened within the last hour, by who did it: a limit that one worker keeps in memory."""

from collections import deque
from collections.abc import Hashable
from typing import Final

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal

HOUR_S: Final = 3600.0


class Hourly:
    """The times of the last hour. Each key holds at most as many as its limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: dict[Hashable, deque[float]] = {}

    def count(self, who: Hashable, most: int) -> None:
        """Count one more; `most` 0: any number. Raises Refusal(TOO_MANY_MESSAGES)."""
        if not most:
            return
        now = self._clock.monotonic()
        times = self._times.setdefault(who, deque())
        while times and times[0] < now - HOUR_S:
            times.popleft()
        if len(times) >= most:
            raise Refusal(Reason.TOO_MANY_MESSAGES, f"{most} an hour")
        times.append(now)
