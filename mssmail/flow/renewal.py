"""Keeping the directory current: asked for on schedule, under a lease, and an alarm where it grows old.

Knows when to ask and what follows; how extracts and the API are read is in `directory`, loading in `refresh`. Nothing
here runs on the loop for longer than a look at the clock: downloads have a thread, imports a process of their own.
"""

import shutil
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.follow import Memory, News, look, read_memory, write_memory
from mssmail.directory.model import SnapshotInfo
from mssmail.flow.house import House
from mssmail.flow.refresh import Refresh
from mssmail.flow.schedule import Alarm, Alone, Errands, is_due
from mssmail.flow.standing import Standing
from mssmail.metrics.registry import gauge
from mssmail.settings.place import file_of
from mssmail.store.leases import Lease

LEASE: Final = "directory"
LOOK_S: Final = 30.0
"""How often a worker looks whether it is time, and how old the directory is."""
RETRY_S: Final = 900.0
"""After a failure that may pass, where `refresh_interval` is longer."""

_age = gauge(
    "mssmail_directory_age_seconds", "Age of the directory in service; +Inf while there is none. From one worker alone."
)
_log = structlog.get_logger("mssmail.directory")


class Renewal:
    """The directory's standing care in one process. `close` it."""

    def __init__(self, house: House, standing: Standing, administrator: str = "schedule") -> None:
        """`administrator`: who asks, for the trail."""
        self._house = house
        self._errands = Errands("mssmail-directory")
        self._refresh = Refresh(house, standing, administrator, self._errands.executor)
        self._alone = Alone(house, LEASE)
        self._alarm = Alarm()
        folder = house.settings.directory.folder
        self._memory_file = folder / "source.json"
        self._downloads = folder / "download"

    def close(self) -> None:
        """End what is under way, within a second or two; what it would have put in service isn't."""
        self._errands.close()

    async def look(self) -> None:
        """Tell the directory's age, and renew it where it is time. Call it every `LOOK_S`.

        Raises Refusal where it was time and couldn't be done.
        """
        if self._house.slot == 0:
            self._tell_age()
        if not self.follows or not await self._is_due():
            return
        async with self._alone.leased() as lease:
            # another worker may have asked since
            if lease is not None and await self._is_due():
                await self._renew(lease)

    @property
    def follows(self) -> bool:
        """Whether the settings name anything to follow."""
        directory = self._house.settings.directory
        return bool(directory.source or directory.fhir)

    async def now(self, *, full: bool = False, allow_shrink: bool = False) -> list[SnapshotInfo]:
        """Renew at once: each snapshot put in service, none where nothing is new. `full`: the API is asked for all.

        Raises Refusal; UNAVAILABLE where another process is at it.
        """
        async with self._alone.leased() as lease:
            if lease is None:
                raise Refusal(Reason.UNAVAILABLE, "a running server is renewing the directory; try again later")
            return await self._renew(lease, full=full, allow_shrink=allow_shrink)

    def _tell_age(self) -> None:
        house = self._house
        try:
            age = house.directory.age_s()
        except Refusal:
            age = float("inf")
        _age.set(age)
        now, directory = house.clock.now(), house.settings.directory
        if age <= directory.stale_after:
            self._alarm.over()
        elif self._alarm.is_due(now):
            if age == float("inf") or house.directory.loaded_s() > directory.max_age:
                _log.error("the directory is too old: recipients are refused", days=_days(age))
            else:
                _log.warning("the directory is growing old", days=_days(age), refused_from=_days(directory.max_age))

    async def _is_due(self) -> bool:
        memory = await self._errands.run(lambda: read_memory(self._memory_file))
        return is_due(memory.next_at, self._house.clock.now(), self._house.settings.directory.refresh_interval)

    async def _renew(self, lease: Lease, *, full: bool = False, allow_shrink: bool = False) -> list[SnapshotInfo]:
        """Ask every source; a failure of one doesn't keep the other from being asked."""
        memory = await self._errands.run(lambda: read_memory(self._memory_file))
        made: list[SnapshotInfo] = []
        failed: Refusal | None = None
        asks: tuple[Callable[[], Awaitable[SnapshotInfo | None]], ...] = (
            lambda: self._extracts(lease, memory, allow_shrink=allow_shrink),
            lambda: self._api(lease, full=full, allow_shrink=allow_shrink),
        )
        for ask in asks:
            try:
                info = await ask()
            except Refusal as refusal:
                failed = failed or refusal
                _log.warning("directory not renewed", reason=refusal.reason.value, cause=refusal.detail)
            else:
                made += [info] if info is not None else []
        interval = float(self._house.settings.directory.refresh_interval)
        passing = failed is not None and failed.reason is not Reason.IMPORT
        memory.next_at = self._house.clock.now() + (min(interval, RETRY_S) if passing else interval)
        await self._errands.run(lambda: write_memory(self._memory_file, memory))
        if failed is not None:
            raise failed
        return made

    async def _extracts(self, lease: Lease, memory: Memory, *, allow_shrink: bool) -> SnapshotInfo | None:
        sources = self._house.settings.directory.source
        if not sources:
            return None
        try:
            news = await self._errands.run(lambda: self._look(sources, memory))
            if not news.files:
                return None
            await self._alone.hold(lease)
            info = await self._refresh.load_apart(
                news.files, self._errands.stop, allow_shrink=allow_shrink, refuse_older=not allow_shrink
            )
        finally:
            # an error raised here while closing would take a cancellation's place, and the task would never end;
            # what is left then is removed by the next download
            if not self._errands.stop.is_set():
                await self._errands.run(lambda: shutil.rmtree(self._downloads, ignore_errors=True))
        memory.seen.update(news.seen)
        return info

    def _look(self, sources: tuple[str, ...], memory: Memory) -> News:
        places = [(source, file_of(source)) for source in sources]
        return look(
            [path for _, path in places if path is not None],
            [source for source, path in places if path is None],
            memory,
            self._downloads,
            clock=self._house.clock,
            stop=self._errands.stop,
            authorities=self._house.settings.directory.source_ca,
        )

    async def _api(self, lease: Lease, *, full: bool, allow_shrink: bool) -> SnapshotInfo | None:
        directory = self._house.settings.directory
        if not directory.fhir or directory.fhir_key is None:
            return None
        await self._alone.hold(lease)
        return await self._refresh.merge_apart(
            directory.fhir, directory.fhir_key, self._errands.stop, full=full, allow_shrink=allow_shrink
        )


def _days(seconds: float) -> float:
    return round(seconds / 86_400, 1)
