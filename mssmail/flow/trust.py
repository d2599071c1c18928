"""The white list of the trust space put in service, rolled back and asked: each change and each refusal in the trail.

Knows what follows from a list that is taken or not; how one is read and guarded is in `directory.trustlist`, when a
source is asked in `trust_schedule`. Every worker looks at the file (`standing`): what is taken here is in force there
within a second. What was refused last is kept beside the list until one is taken, for `status` and `doctor`.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory import signature
from mssmail.directory.trustlist import MAX_OCTETS, NAMESPACE, Difference, TrustList, Unfit, compare
from mssmail.files import swap
from mssmail.flow.house import House
from mssmail.metrics.registry import counter
from mssmail.settings.model import Settings

__all__ = ["NAMESPACE", "Difference", "Loaded", "Refused", "Status", "TrustLists", "difference", "shown", "status"]

MAX_NAMED: Final = 50
"""Domains of one kind of change that the trail names; it counts all."""
_MAX_MEMORY_OCTETS: Final = 1 << 14

_loads = counter("mssmail_trust_list_loads_total", "White lists taken, and refused by cause.", labels=("outcome",))
_log = structlog.get_logger("mssmail.trust")


def white_list_path(settings: Settings) -> Path:
    """Where the list in service lies."""
    return settings.trust_list.folder / "list.xml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A list that was put in service, and how it differs from the one before."""

    listed: TrustList
    difference: Difference


@dataclass(frozen=True, slots=True)
class Refused:
    """The newest list that was refused, while none was taken since."""

    at: float
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is in service. Times are epoch seconds."""

    listed: TrustList | None
    age_s: float
    """Since its publisher made it; infinite where there is none."""
    state: str
    """`ok`, `old` beyond `trust_list.stale_after`, `missing`."""
    refused: Refused | None


class TrustLists:
    """The use-cases that change what is in service."""

    def __init__(self, house: House, administrator: str) -> None:
        """`administrator`: who does it, for the trail."""
        self._house = house
        self._administrator = administrator

    async def load(self, octets: bytes, *, name: str, allow_shrink: bool = False) -> Loaded:
        """Put a list in service; `name`: of its file or host.

        Raises Refusal(IMPORT, STORAGE_FULL, UNAVAILABLE), traced; the list in service then serves on.
        """
        trust, settings = self._house.white_list, self._house.settings.trust_list
        details: dict[str, Value] = {"file": name, "allow_shrink": allow_shrink, "signed": settings.signers is not None}

        def work() -> tuple[TrustList, Difference]:
            if settings.signers is not None:
                self._check_signature(octets, settings.signers)
            return trust.take(octets, allow_shrink=allow_shrink, shrink_limit=settings.shrink_limit)

        return await self._swap(work, details)

    def _check_signature(self, octets: bytes, file: Path) -> None:
        """Raises Unfit; Refusal(UNAVAILABLE) where the signers can't be read."""
        try:
            trusted = signature.signers_of(file.read_bytes())
        except (OSError, ValueError) as error:
            raise Refusal(Reason.UNAVAILABLE, f"trust_list.signers: {error.args[-1]}") from error
        signature.check(octets, trusted, self._house.clock.now())

    async def load_file(self, file: Path, *, allow_shrink: bool = False) -> Loaded:
        """The same of a file. Raises OSError where it can't be read."""
        with file.open("rb") as stream:
            octets = stream.read(MAX_OCTETS + 1)
        return await self.load(octets, name=file.name, allow_shrink=allow_shrink)

    def unavailable(self, refusal: Refusal) -> None:
        """Count and log that the source couldn't be asked; what that leads to is alarmed by the list's age."""
        _loads.labels(outcome=refusal.reason.value).inc()
        _log.warning("white list not fetched", reason=refusal.reason.value, cause=refusal.detail)

    async def roll_back(self) -> Loaded:
        """Put the list before this one in service again. Raises Refusal(IMPORT, UNAVAILABLE, STORAGE_FULL), traced.

        The one that was in service isn't taken from the source again, unless by hand.
        """
        trust = self._house.white_list
        gone = trust.current()
        loaded = await self._swap(trust.roll_back, {"roll_back": True})
        if gone is not None:
            set_aside(self._house.settings, gone.digest)
        return loaded

    async def _refused(self, refusal: Refusal, details: dict[str, Value]) -> None:
        """Trace, count, log and remember that a list was refused."""
        cause = refusal.cause.value if isinstance(refusal, Unfit) else refusal.reason.value
        _loads.labels(outcome=cause).inc()
        _log.error("white list refused: the one in service serves on", cause=cause, detail=refusal.detail)
        _remember(self._house, Refused(self._house.clock.now(), cause, refusal.detail))
        more: dict[str, Value] = {
            **details,
            "administrator": self._administrator,
            "cause": cause,
            "detail": refusal.detail,
        }
        event = Event(Kind.TRUST_LIST_REFUSED, outcome=refusal.reason.value, details=more)
        with contextlib.suppress(Refusal):  # a full disk: what is heard is the import's own refusal
            await self._house.write.run(lambda tx: tx.trail(event))

    async def _swap(self, work: Callable[[], tuple[TrustList, Difference]], details: dict[str, Value]) -> Loaded:
        try:
            listed, changed = await asyncio.get_running_loop().run_in_executor(self._house.crypto_work, work)
        except Refusal as refusal:
            await self._refused(refusal, details)
            raise
        _loads.labels(outcome="ok").inc()
        _forget(self._house.settings)
        more: dict[str, Value] = {
            **details,
            "administrator": self._administrator,
            "sha256": listed.digest,
            "generated_at": listed.generated_at,
            "entries": listed.entries,
            "unread": listed.unread,
            "domains": len(listed.operators),
        }
        for kind in ("added", "removed", "moved"):
            domains: tuple[str, ...] = getattr(changed, kind)
            more |= {kind: len(domains), f"{kind}_domains": list(domains[:MAX_NAMED])}
        await self._house.write.run(lambda tx: tx.trail(Event(Kind.TRUST_LIST_LOADED, details=more)))
        return Loaded(listed, changed)


def status(house: House) -> Status:
    """What is in service now."""
    listed, refused = house.white_list.current(), _read_refused(house.settings)
    if listed is None:
        return Status(None, float("inf"), "missing", refused)
    age = house.clock.now() - listed.generated_at
    return Status(listed, age, "old" if age > house.settings.trust_list.stale_after else "ok", refused)


def shown(house: House, domain: str) -> list[str]:
    """The printed names of the certificates that speak for a domain (RFC 4514); none where it isn't listed.

    Raises Refusal(UNAVAILABLE) while there is no list.
    """
    listed = house.white_list.current()
    if listed is None:
        raise Refusal(Reason.UNAVAILABLE, "no white list is in service; mssmail trust import")
    parsed = Address.parse(f"postmaster@{domain}")
    return sorted(map(str, listed.operators.get(parsed.domain, ()))) if parsed is not None else []


def difference(house: House) -> Difference | None:
    """How the list in service differs from the one before it; None where there aren't both."""
    now, before = house.white_list.current(), house.white_list.previous()
    return None if now is None or before is None else compare(before, now)


# --- what is remembered beside the list; whatever of it is lost costs a line in `status`, or a list taken again ---


def set_aside(settings: Settings, digest: str) -> None:
    """Note the list that was rolled back from."""
    with contextlib.suppress(OSError):
        _file(settings, "set-aside").write_text(digest, encoding="ascii")


def is_set_aside(settings: Settings, digest: str) -> bool:
    """Whether a list is the one that was rolled back from last."""
    try:
        return _file(settings, "set-aside").read_text(encoding="ascii") == digest
    except (OSError, ValueError):
        return False


def _file(settings: Settings, name: str) -> Path:
    return settings.trust_list.folder / name


def _remember(house: House, refused: Refused) -> None:
    file = _file(house.settings, "refused.json")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        swap(file, json.dumps([refused.at, refused.cause, refused.detail]).encode(), 0o666)
    except OSError:
        pass


def _forget(settings: Settings) -> None:
    with contextlib.suppress(OSError):
        _file(settings, "refused.json").unlink(missing_ok=True)


def _read_refused(settings: Settings) -> Refused | None:
    try:
        with _file(settings, "refused.json").open("rb") as file:
            at, cause, detail = json.loads(file.read(_MAX_MEMORY_OCTETS))
        return Refused(float(at), str(cause), str(detail))
    except (OSError, ValueError, TypeError):
        return None
