"""How often one client address may have something made for it that nobody vouches for, in this worker."""

from collections import deque
from typing import Final

from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.servers.net.peer import is_loopback

PER_MINUTE: Final = 30
WINDOW_S: Final = 60.0
_MOST_ADDRESSES: Final = 10_000


class Throttle:
    """Counts what was made within the last minute, by client address."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._times: dict[str, deque[float]] = {}

    def check(self, client: str) -> None:
        """Count one more. Raises Refusal(LOCKED)."""
        if self._house.settings.server.loopback_unlimited and is_loopback(client):
            return
        now = self._house.clock.monotonic()
        if len(self._times) >= _MOST_ADDRESSES and client not in self._times:
            self._times = {c: times for c, times in self._times.items() if times[-1] > now - WINDOW_S}
            if len(self._times) >= _MOST_ADDRESSES:
                raise Refusal(Reason.LOCKED, "too many addresses at once")
        times = self._times.setdefault(client, deque())
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        if len(times) >= PER_MINUTE:
            raise Refusal(Reason.LOCKED, "too often")
        times.append(now)
