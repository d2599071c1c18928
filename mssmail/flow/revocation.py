"""Keeping revocation lists current: fetched on schedule, kept on disk, alarmed about where they grow old.

Knows when to ask, and where: what settings name, and what certificates of the anchors say of their issuers' lists. How
a list is checked and kept is in `identity.lists`; each worker takes up what is kept by looking at the files
(`standing`). Lists lie on a machine's own disk, so a lock on their folder, and no lease of the database, sees to it
that one process of the machine fetches. A fetch that fails changes nothing: what was kept serves until it expires.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from mssmail.base.refusal import Reason, Refusal
from mssmail.fetch import Caller, Validators, follow, validators_of
from mssmail.files import swap
from mssmail.flow.house import House
from mssmail.flow.schedule import Alarm, Errands, is_due
from mssmail.identity.anchors import TrustFileError
from mssmail.identity.certificates import Certificates
from mssmail.identity.dates import lists
from mssmail.identity.leaf import list_addresses
from mssmail.identity.lists import MAX_LIST_OCTETS, Foreign, by_subject, keep
from mssmail.metrics.registry import counter, gauge

LOOK_S: Final = 30.0
"""How often a worker looks whether it is time."""
RETRY_S: Final = 300.0
"""After a failure, where `trust.crl_refresh_interval` is longer."""
FETCH_S: Final = 120.0
"""A list of 4 MB at 300 kbit/s."""
MAX_ADDRESSES: Final = 64
_MAX_MEMORY_OCTETS: Final = 1 << 18

_fetches = counter("mssmail_crl_fetches_total", "Fetches of revocation lists, by outcome.", labels=("outcome",))
_left = gauge(
    "mssmail_crl_valid_seconds",
    "Time left until the first revocation list expires, negative where one has or is missing. From one worker alone.",
)
_log = structlog.get_logger("mssmail.revocation")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one address."""

    host: str
    outcome: str
    """`new`; `known` where nothing newer is there; `foreign` where it is no anchor's; `failed`."""
    detail: str = ""


@dataclass(slots=True)
class _Memory:
    """What all processes of the machine know: when it is time, and addresses that certificates told."""

    next_at: float = 0.0
    addresses: list[str] = field(default_factory=list)


class Revocation:
    """The lists' standing care in one process. `close` it."""

    def __init__(self, house: House, certificates: Certificates) -> None:
        self._house = house
        self._certificates = certificates
        self._errands = Errands("mssmail-lists")
        self._known: dict[str, tuple[Validators, Path]] = {}
        """Of this process: another's first fetch is a whole one."""
        self._alarm = Alarm()

    def close(self) -> None:
        """End what is under way, within a second."""
        self._errands.close()

    async def look(self) -> None:
        """Tell how long lists still hold, and fetch them where it is time. Call it every `LOOK_S`."""
        if self._house.slot == 0:
            self._tell()
        await self._errands.run(lambda: self._fetch(at_once=False))

    async def now(self) -> list[Fetched]:
        """Fetch every list at once. Raises Refusal(UNAVAILABLE) where another process is at it."""
        return await self._errands.run(lambda: self._fetch(at_once=True))

    def _tell(self) -> None:
        found = list(lists(self._certificates))
        if not found:
            return
        now = self._house.clock.now()
        first = min(found, key=lambda dated: dated.ends_at)
        _left.set(first.ends_at - now)
        old = [dated for dated in found if dated.grows_old(now)]
        if not old:
            self._alarm.over()
        elif self._alarm.is_due(now):
            for dated in old:
                if dated.ends_at < now:
                    _log.error("a revocation list is missing or has expired: its CA is closed out", ca=dated.name)
                else:
                    hours = round((dated.ends_at - now) / 3600, 1)
                    _log.warning("a revocation list is about to expire", ca=dated.name, hours=hours)

    # --- in the executor ---

    def _fetch(self, *, at_once: bool) -> list[Fetched]:
        trust, clock = self._house.settings.trust, self._house.clock
        told = dict.fromkeys(self._certificates.list_addresses.copy() if trust.crl_distribution_points else ())
        if not (at_once or told or self._anywhere() or _read(trust.crl_folder).addresses):
            return []
        with _locked(trust.crl_folder) as mine:
            if not mine:
                if at_once:
                    raise Refusal(Reason.UNAVAILABLE, "another process is fetching revocation lists; try again later")
                return []
            memory = _read(trust.crl_folder)
            news = [address for address in told if address not in memory.addresses]
            due = at_once or is_due(memory.next_at, clock.now(), trust.crl_refresh_interval)
            memory.addresses = [*memory.addresses, *news][-MAX_ADDRESSES:]
            remembered = memory.addresses if trust.crl_distribution_points else []
            wanted = [*self._anywhere(), *remembered] if due else news
            fetched = {address: self._fetch_one(address) for address in dict.fromkeys(wanted)}
            found = list(fetched.values())
            foreign = {address for address, one in fetched.items() if one.outcome == "foreign"}
            memory.addresses = [address for address in memory.addresses if address not in foreign]
            if due:
                failed = any(one.outcome == "failed" for one in found)
                pause = min(RETRY_S, trust.crl_refresh_interval) if failed else trust.crl_refresh_interval
                memory.next_at = clock.now() + pause
            if due or news:
                _write(trust.crl_folder, memory)
        return found

    def _anywhere(self) -> list[str]:
        """Addresses that settings and anchors name."""
        trust = self._house.settings.trust
        found = list(trust.crl_sources)
        if trust.crl_distribution_points:
            for certificate in self._certificates.trusted.authorities:
                found += list_addresses(certificate)
        return list(dict.fromkeys(found))

    def _fetch_one(self, address: str) -> Fetched:
        host = urlsplit(address).hostname or ""
        try:
            fetched = Fetched(host, "new" if self._take(address) else "known")
        except (Refusal, TrustFileError, OSError) as error:
            detail = error.detail if isinstance(error, Refusal) else str(error)
            fetched = Fetched(host, "foreign" if isinstance(error, Foreign) else "failed", detail)
            _log.warning("revocation list not fetched", host=host, cause=detail)
        _fetches.labels(outcome=fetched.outcome).inc()
        return fetched

    def _take(self, address: str) -> bool:
        """Fetch a list and keep it; False where nothing is newer. Raises Refusal, TrustFileError, OSError."""
        clock, trust = self._house.clock, self._house.settings.trust
        validators, file = self._known.get(address, (Validators(), Path()))
        with Caller(clock, self._errands.stop, FETCH_S, allow_clear=True) as caller:
            response = follow(caller, address, validators if file.is_file() else Validators())
            if response is None:
                return False
            content = b"".join(caller.read(response, MAX_LIST_OCTETS))
        kept = keep(trust.crl_folder, content, by_subject(self._certificates.trusted.authorities), clock.now())
        self._known[address] = validators_of(response), kept.file
        return kept.newer


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether this process alone has the folder. Raises Refusal(UNAVAILABLE) where it can't be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise Refusal(Reason.UNAVAILABLE, f"{folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _read(folder: Path) -> _Memory:
    """What was remembered; nothing where that can't be read: all is then fetched anew."""
    try:
        with (folder / "sources.json").open("rb") as file:
            read = json.loads(file.read(_MAX_MEMORY_OCTETS))
        return _Memory(float(read["next_at"]), [str(address) for address in read["addresses"]][:MAX_ADDRESSES])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _Memory()


def _write(folder: Path, memory: _Memory) -> None:
    """Remember, whole; what a crash loses costs a fetch. Raises Refusal(UNAVAILABLE)."""
    try:
        swap(
            folder / "sources.json",
            json.dumps({"next_at": memory.next_at, "addresses": memory.addresses}).encode(),
            0o666,
        )
    except OSError as error:
        raise Refusal(Reason.UNAVAILABLE, f"{folder}: {error.strerror}") from error
