"""Open sessions kept for the next errand to the same domain, and how many there may be of one. Knows no host.

A new one is only opened while none is idle, thus a domain never has more connections than places.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from mssmail.metrics.registry import gauge
from mssmail.servers.smtp.courier.session import Session

MAX_ERRANDS: Final = 1000
"""After so many a connection is given up, so that a domain's load moves on to hosts that came back."""

_open = gauge("mssmail_relay_connections", "Connections to other operators that carry mail or are kept.")


class _Quarter:
    """One domain's."""

    __slots__ = ("idle", "places", "users")

    def __init__(self, most: int) -> None:
        self.places = asyncio.Semaphore(most)
        self.idle: list[tuple[Session, asyncio.TimerHandle]] = []
        self.users = 0


class Pool:
    """Of one courier."""

    def __init__(self, most: int, idle_s: float) -> None:
        self._most = most
        self._idle_s = idle_s
        self._quarters: dict[str, _Quarter] = {}
        self._closed = False

    def renew(self, most: int, idle_s: float) -> None:
        """Go by other numbers from now on, with a domain under way once it has paused; leave all that is idle."""
        self._most, self._idle_s = most, idle_s
        self.leave()

    @contextlib.asynccontextmanager
    async def place(self, domain: str) -> AsyncIterator[None]:
        """Wait for the right to use one connection."""
        quarter = self._quarters.get(domain)
        if quarter is None:
            quarter = self._quarters[domain] = _Quarter(self._most)
        quarter.users += 1
        try:
            async with quarter.places:
                _open.inc()
                try:
                    yield
                finally:
                    _open.dec()
        finally:
            quarter.users -= 1
            self._tidy(domain)

    def take(self, domain: str) -> Session | None:
        """The session that was used last, out of those that are still good."""
        quarter = self._quarters[domain]
        while quarter.idle:
            session, timer = quarter.idle.pop()
            timer.cancel()
            _open.dec()
            if session.usable:
                return session
            session.quit()
        return None

    def keep(self, session: Session) -> None:
        """Keep a session for a while, or take leave where it is good for nothing more."""
        session.errands += 1
        most = min(MAX_ERRANDS, session.offer.most_messages or MAX_ERRANDS)
        if self._closed or not self._idle_s or not session.usable or session.errands >= most:
            session.quit()
            return
        loop = asyncio.get_running_loop()
        session.used_at = loop.time()
        timer = loop.call_later(self._idle_s, self._expire, session)
        self._quarters[session.domain].idle.append((session, timer))
        _open.inc()

    def _expire(self, session: Session) -> None:
        quarter = self._quarters.get(session.domain)
        if quarter is None:
            return
        for at, (kept, _) in enumerate(quarter.idle):
            if kept is session:
                del quarter.idle[at]
                _open.dec()
                session.quit()
                break
        self._tidy(session.domain)

    def _tidy(self, domain: str) -> None:
        quarter = self._quarters.get(domain)
        if quarter is not None and not quarter.users and not quarter.idle:
            del self._quarters[domain]

    def leave(self) -> None:
        """Take leave of all that are idle."""
        for domain, quarter in list(self._quarters.items()):
            for session, timer in quarter.idle:
                timer.cancel()
                _open.dec()
                session.quit()
            quarter.idle.clear()
            self._tidy(domain)

    def close(self) -> None:
        self._closed = True
        self.leave()
