"""Keeping the white list current: its source asked on schedule, under a lease, and an alarm where it grows old.

Knows when to ask and what was seen; how a list is taken is in `trust`. A list that was rolled back from isn't taken
again, nor one that is in service already. Downloads have a thread of their own.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Final, TypeVar
from urllib.parse import urlsplit

import structlog

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.follow import Memory, read_memory, write_memory
from mssmail.directory.trustlist import MAX_OCTETS, Unfit
from mssmail.fetch import Caller, Validators, follow, validators_of
from mssmail.flow.house import House
from mssmail.flow.trust import Loaded, TrustLists, is_set_aside, status
from mssmail.metrics.registry import gauge
from mssmail.settings.model import DAY
from mssmail.settings.place import file_of
from mssmail.store import leases

T = TypeVar("T")

LEASE: Final = "trust-list"
FETCH_S: Final = 120.0
"""The list of 2026, 3 MB, at 200 kbit/s."""
LEASE_TERM_S: Final = 300
"""Longer than a fetch and an import together."""
LOOK_S: Final = 30.0
RETRY_S: Final = 900.0
"""After a failure that may pass, where `refresh_interval` is longer."""
ALARM_EVERY_S: Final = 86_400.0
_SEEN: Final = "list"

_age = gauge(
    "mssmail_trust_list_age_seconds",
    "Age of the white list in service; +Inf while there is none. From one worker alone.",
)
_domains = gauge("mssmail_trust_list_domains", "Domains in the white list in service. From one worker alone.")
_log = structlog.get_logger("mssmail.trust")


@dataclass(frozen=True, slots=True)
class _Found:
    """What the source had to give. `octets` None: nothing changed."""

    octets: bytes | None
    validators: Validators
    name: str


class TrustSchedule:
    """The white list's standing care in one process. `close` it."""

    def __init__(self, house: House, administrator: str = "schedule") -> None:
        """`administrator`: who asks, for the trail."""
        self._house = house
        self._lists = TrustLists(house, administrator)
        self._stop = Event()
        self._executor = ThreadPoolExecutor(1, "mssmail-trust")
        self._holder = f"{os.getpid()}.{id(self):x}"
        self._alarmed_at: float | None = None
        self._memory_file = house.settings.trust_list.folder / "source.json"

    def close(self) -> None:
        """End what is under way, within a second."""
        self._stop.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Tell the list's age, and renew it where it is time. Call it every `LOOK_S`.

        Raises Refusal where it was time and couldn't be done.
        """
        if self._house.slot == 0:
            self._tell()
        if not self._house.settings.trust_list.source or self._house.clock.now() < await self._next_at():
            return
        await self._renew(at_once=False, allow_shrink=False)

    async def now(self, *, allow_shrink: bool = False) -> Loaded | None:
        """Renew at once; None where nothing is new. Raises Refusal; UNAVAILABLE where another process is at it."""
        return await self._renew(at_once=True, allow_shrink=allow_shrink)

    def _tell(self) -> None:
        found, settings, now = status(self._house), self._house.settings, self._house.clock.now()
        _age.set(found.age_s)
        _domains.set(0 if found.listed is None else len(found.listed.operators))
        wanted = found.listed is not None or bool(settings.trust_list.source)
        if not wanted or found.state == "ok":
            self._alarmed_at = None
        elif self._alarmed_at is None or not 0 <= now - self._alarmed_at < ALARM_EVERY_S:
            self._alarmed_at = now
            if found.listed is None:
                _log.error("no white list is in service: no other operator can be spoken with")
            else:
                _log.warning("the white list is growing old", days=round(found.age_s / DAY, 1))

    async def _next_at(self) -> float:
        """When it is time. A date that lies further off than ever set is a clock's that was wrong."""
        memory = await self._off_loop(lambda: read_memory(self._memory_file))
        latest = self._house.clock.now() + self._house.settings.trust_list.refresh_interval
        return 0.0 if memory.next_at > latest else memory.next_at

    async def _renew(self, *, at_once: bool, allow_shrink: bool) -> Loaded | None:
        write = self._house.write
        lease = await write.run(lambda tx: leases.take(tx, LEASE, self._holder, LEASE_TERM_S))
        if lease is None:
            if at_once:
                raise Refusal(Reason.UNAVAILABLE, "a running server is renewing the white list; try again later")
            return None
        try:
            # another worker may have asked since
            if not at_once and self._house.clock.now() < await self._next_at():
                return None
            return await self._ask(allow_shrink=allow_shrink)
        finally:
            await write.run(lambda tx: leases.drop(tx, lease))

    async def _ask(self, *, allow_shrink: bool) -> Loaded | None:
        memory = await self._off_loop(lambda: read_memory(self._memory_file))
        interval = float(self._house.settings.trust_list.refresh_interval)
        loaded, pause = None, interval
        try:
            found = await self._fetched(memory)
            if found.octets is not None and self._is_news(found.octets):
                loaded = await self._lists.load(found.octets, name=found.name, allow_shrink=allow_shrink)
            memory.seen[_SEEN] = [found.validators.etag, found.validators.last_modified]
        except Refusal as refusal:
            pause = interval if isinstance(refusal, Unfit) else min(interval, RETRY_S)
            raise
        finally:
            memory.next_at = self._house.clock.now() + pause
            if not self._stop.is_set():
                await self._off_loop(lambda: write_memory(self._memory_file, memory))
        return loaded

    async def _fetched(self, memory: Memory) -> _Found:
        """Raises Refusal(UNAVAILABLE), counted and logged."""
        try:
            return await self._off_loop(lambda: self._fetch(memory))
        except Refusal as refusal:
            if not self._stop.is_set():
                self._lists.unavailable(refusal)
            raise

    def _is_news(self, octets: bytes) -> bool:
        digest, current = hashlib.sha256(octets).hexdigest(), self._house.white_list.current()
        return not is_set_aside(self._house.settings, digest) and (current is None or current.digest != digest)

    def _fetch(self, memory: Memory) -> _Found:
        settings = self._house.settings.trust_list
        file = file_of(settings.source)
        if file is not None:
            try:
                with file.open("rb") as stream:
                    return _Found(stream.read(MAX_OCTETS + 1), Validators(), file.name)
            except OSError as error:
                raise Refusal(Reason.UNAVAILABLE, f"{file.name}: {error.strerror}") from error
        host = urlsplit(settings.source).hostname or ""
        known = Validators(*memory.seen.get(_SEEN, ("", ""))[:2])
        if self._house.white_list.current() is None:
            known = Validators()
        with Caller(self._house.clock, self._stop, FETCH_S, settings.source_ca) as caller:
            response = follow(caller, settings.source, known)
            if response is None:
                return _Found(None, known, host)
            return _Found(b"".join(caller.read(response, MAX_OCTETS)), validators_of(response), host)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        if self._stop.is_set():
            raise Refusal(Reason.UNAVAILABLE, "stopped")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
