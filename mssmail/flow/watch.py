"""Keeping the trail: its start and stop, its checkpoints, and its own term."""

import os
from collections.abc import Sequence

from mssmail.audit.events import Event, Kind
from mssmail.audit.trail import DAY_MS, checkpoint
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.store import leases, trail
from mssmail.store.interface import Transaction
from mssmail.store.trail import CheckpointRow

LEASE = "trail"


class Watch:
    """The trail's keeper in one process; a lease lets one of several act."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._holder = f"{os.getpid()}.{id(self):x}"

    async def started(self) -> None:
        await self._note(Kind.SERVER_STARTED)

    async def stopped(self) -> None:
        """Write the stop, and tie it in."""
        await self._note(Kind.SERVER_STOPPED)
        await self.tie()
        await self._house.write.run(lambda tx: leases.drop_of(tx, LEASE, self._holder))

    async def reloaded(self, changed: Sequence[str]) -> None:
        """Note that the configuration was read anew, and which settings have another value."""
        event = Event(Kind.CONFIGURATION_RELOADED, details={"slot": self._house.slot, "changed": list(changed)})
        await self._house.write.run(lambda tx: tx.trail(event))

    async def _note(self, kind: Kind) -> None:
        event = Event(kind, details={"slot": self._house.slot})
        await self._house.write.run(lambda tx: tx.trail(event))

    async def tie(self) -> None:
        """Sign a checkpoint where anything happened since the last, and note it in the key store."""
        house = self._house
        row = await house.write.run(self._tie)
        if row is not None:
            await off_loop(house, lambda: house.trail.note_checkpoint(row))

    def tie_blocking(self) -> None:
        """The same for a command, at its end; not where a server holds the lease."""
        row = self._house.write.run_blocking(self._tie)
        if row is not None:
            self._house.trail.note_checkpoint(row)
        self._house.write.run_blocking(lambda tx: leases.drop_of(tx, LEASE, self._holder))

    def _tie(self, tx: Transaction) -> CheckpointRow | None:
        term_s = max(30, 3 * int(self._house.settings.audit.checkpoint_interval))
        if leases.take(tx, LEASE, self._holder, term_s) is None:
            return None
        return checkpoint(tx, self._house.trail)

    async def cut(self) -> None:
        """Delete whole days of events past the trail's term, keep their heads signed, and destroy those days' keys."""
        house = self._house
        before_ms = int((house.clock.now() - house.settings.audit.retention) * 1000) // DAY_MS * DAY_MS

        def work(tx: Transaction) -> CheckpointRow | None:
            if leases.take(tx, LEASE, self._holder, 60) is None:
                return None
            cuts = [[int(chain), first, last] for chain, first, last in trail.cut(tx, before_ms)]
            if not cuts:
                return None
            tx.trail(Event(Kind.TRAIL_CUT, details={"before_ms": before_ms, "chains": cuts}))
            return checkpoint(tx, house.trail)

        row = await house.write.run(work)
        if row is not None:
            await off_loop(house, lambda: self._forget(row, before_ms // DAY_MS))

    def _forget(self, row: CheckpointRow, day: int) -> None:
        self._house.trail.note_checkpoint(row)
        self._house.trail.destroy_before(day)
