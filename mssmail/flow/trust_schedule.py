"""Keeping the white list current: its source asked on schedule, under a lease, and an alarm where it grows old.

Knows when to ask and what was seen; how a list is taken is in `trust`. A list that was rolled back from isn't taken
again, nor one that is in service already. Downloads have a thread of their own.
"""

import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.follow import Memory, read_memory, write_memory
from mssmail.directory.trustlist import MAX_OCTETS, Unfit
from mssmail.fetch import Caller, Validators, follow, validators_of
from mssmail.flow.house import House
from mssmail.flow.schedule import Alarm, Alone, Errands, is_due
from mssmail.flow.trust import Loaded, TrustLists, is_set_aside, status
from mssmail.metrics.registry import gauge
from mssmail.settings.model import DAY
from mssmail.settings.place import file_of
from mssmail.store.leases import Lease

LEASE: Final = "trust-list"
FETCH_S: Final = 120.0
"""The list of 2026, 3 MB, at 200 kbit/s."""
LOOK_S: Final = 30.0
RETRY_S: Final = 900.0
"""After a failure that may pass, where `refresh_interval` is longer."""
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
        self._errands = Errands("mssmail-trust")
        self._alone = Alone(house, LEASE)
        self._alarm = Alarm()
        self._memory_file = house.settings.trust_list.folder / "source.json"

    def close(self) -> None:
        """End what is under way, within a second."""
        self._errands.close()

    async def look(self) -> None:
        """Tell the list's age, and renew it where it is time. Call it every `LOOK_S`.

        Raises Refusal where it was time and couldn't be done.
        """
        if self._house.slot == 0:
            self._tell()
        if not self._house.settings.trust_list.source or not await self._is_due():
            return
        async with self._alone.leased() as lease:
            # another worker may have asked since
            if lease is not None and await self._is_due():
                await self._renew(lease)

    async def now(self, *, allow_shrink: bool = False) -> Loaded | None:
        """Renew at once; None where nothing is new. Raises Refusal; UNAVAILABLE where another process is at it."""
        async with self._alone.leased() as lease:
            if lease is None:
                raise Refusal(Reason.UNAVAILABLE, "a running server is renewing the white list; try again later")
            return await self._renew(lease, allow_shrink=allow_shrink)

    def _tell(self) -> None:
        found, settings, now = status(self._house), self._house.settings, self._house.clock.now()
        _age.set(found.age_s)
        _domains.set(0 if found.listed is None else len(found.listed.operators))
        wanted = found.listed is not None or bool(settings.trust_list.source)
        if not wanted or found.state == "ok":
            self._alarm.over()
        elif self._alarm.is_due(now):
            if found.listed is None:
                _log.error("no white list is in service: no other operator can be spoken with")
            else:
                _log.warning("the white list is growing old", days=round(found.age_s / DAY, 1))

    async def _is_due(self) -> bool:
        memory = await self._errands.run(lambda: read_memory(self._memory_file))
        return is_due(memory.next_at, self._house.clock.now(), self._house.settings.trust_list.refresh_interval)

    async def _renew(self, lease: Lease, *, allow_shrink: bool = False) -> Loaded | None:
        memory = await self._errands.run(lambda: read_memory(self._memory_file))
        interval = float(self._house.settings.trust_list.refresh_interval)
        loaded, pause = None, interval
        try:
            found = await self._fetched(memory)
            if found.octets is not None and self._is_news(found.octets):
                await self._alone.hold(lease)
                loaded = await self._lists.load(found.octets, name=found.name, allow_shrink=allow_shrink)
            memory.seen[_SEEN] = [found.validators.etag, found.validators.last_modified]
        except Refusal as refusal:
            pause = interval if isinstance(refusal, Unfit) else min(interval, RETRY_S)
            raise
        finally:
            memory.next_at = self._house.clock.now() + pause
            if not self._errands.stop.is_set():
                await self._errands.run(lambda: write_memory(self._memory_file, memory))
        return loaded

    async def _fetched(self, memory: Memory) -> _Found:
        """Raises Refusal(UNAVAILABLE), counted and logged."""
        try:
            return await self._errands.run(lambda: self._fetch(memory))
        except Refusal as refusal:
            if not self._errands.stop.is_set():
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
        with Caller(self._house.clock, self._errands.stop, FETCH_S, settings.source_ca) as caller:
            response = follow(caller, settings.source, known)
            if response is None:
                return _Found(None, known, host)
            return _Found(b"".join(caller.read(response, MAX_OCTETS)), validators_of(response), host)
