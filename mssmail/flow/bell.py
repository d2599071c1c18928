"""A bell that a worker's relay waits by: who has queued something rings it. A lost ring costs a delay, never mail."""

import asyncio


class Bell:
    """Rung and heard on one loop."""

    __slots__ = ("_rung",)

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is something to do."""
        self._rung.set()

    async def heard(self, timeout_s: float) -> bool:
        """Wait until it rings, or for so long; whether it rang."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True
