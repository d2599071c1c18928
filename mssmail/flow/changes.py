"""Who must be told that an account changed: open sessions here, and other workers.

A wake-up is a hint, sent once a batch after its commit: a lost one costs a delay, since views re-read by themselves.
"""

import asyncio
import struct
from collections.abc import Callable

Tell = Callable[[int], None]
"""Called on the loop with the account's latest mod-sequence (0: unknown, look)."""

_PAIR = struct.Struct("<QQ")
_PAIRS_A_DATAGRAM = 512


class Changes:
    """Watchers by account. `watch` on the loop; `announce` from any thread."""

    def __init__(self) -> None:
        self._watchers: dict[int, dict[int, Tell]] = {}
        self._next = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broadcast: Callable[[bytes], None] | None = None

    def attach(self, loop: asyncio.AbstractEventLoop, broadcast: Callable[[bytes], None] | None = None) -> None:
        """Deliver on this loop, and hand datagrams for the other workers to `broadcast` (which must not block)."""
        self._loop = loop
        self._broadcast = broadcast

    def watch(self, account: int, tell: Tell) -> Callable[[], None]:
        """Be told of changes until the returned function is called."""
        self._next += 1
        number = self._next
        self._watchers.setdefault(account, {})[number] = tell

        def unwatch() -> None:
            watching = self._watchers.get(account)
            if watching is not None and watching.pop(number, None) is not None and not watching:
                self._watchers.pop(account, None)

        return unwatch

    def announce(self, wakes: dict[int, int]) -> None:
        """After a commit, from the lane's thread: accounts and their new mod-sequences."""
        if self._broadcast is not None:
            pairs = list(wakes.items())
            for start in range(0, len(pairs), _PAIRS_A_DATAGRAM):
                self._broadcast(b"".join(_PAIR.pack(*pair) for pair in pairs[start : start + _PAIRS_A_DATAGRAM]))
        loop = self._loop
        if loop is not None and any(account in self._watchers for account in wakes):
            try:
                loop.call_soon_threadsafe(self.tell, wakes)
            except RuntimeError:
                pass  # the loop has ended, and its sessions with it

    def receive(self, datagram: bytes) -> None:
        """A datagram of another worker, on the loop."""
        if len(datagram) % _PAIR.size == 0:
            self.tell(dict(_PAIR.iter_unpack(datagram)))

    def tell(self, wakes: dict[int, int]) -> None:
        """Tell the watchers, on the loop."""
        for account, modseq in wakes.items():
            for tell in list(self._watchers.get(account, {}).values()):
                tell(modseq)
