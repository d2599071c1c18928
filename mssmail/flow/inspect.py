"""Looking into the trail: the latest events, a search, verification, an export. Each look is itself an event.

Knows the trail's events, opened; never mail. An event of a look says who looked and how it was narrowed, and carries
the address looked for as its subject, sealed like any other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TextIO

from mssmail.audit.events import Event, Kind, Value
from mssmail.audit.export import Opened, lines, opened
from mssmail.audit.verify import Report
from mssmail.audit.verify import verify as follow
from mssmail.flow.house import House
from mssmail.store import trail as rows
from mssmail.store.interface import Transaction
from mssmail.store.trail import EventRow

__all__ = ["Opened", "Report", "Wanted", "export", "kind_labels", "kinds_named", "search", "since", "tail", "verify"]

PAGE: Final = 2_000
MAX_PAGE: Final = 1 << 20
"""A page grows to hold all events of one millisecond; more than a million of them are no work of ours."""
MAX_FOUND: Final = 100_000
_ALWAYS: Final = 1 << 60

OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is narrowed to; None and empty: anything. Times are epoch seconds, [since, until)."""

    address: str | None = None
    account: int | None = None
    kinds: frozenset[Kind] = frozenset()
    outcome: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 1_000


def kinds_named(labels: Iterable[str]) -> frozenset[Kind]:
    """Kinds by their labels, as `signed-in`. Raises KeyError with a label that is none."""
    found = {label: Kind.named(label) for label in labels}
    for label, kind in found.items():
        if kind is None:
            raise KeyError(label)
    return frozenset(kind for kind in found.values() if kind is not None)


def kind_labels() -> list[str]:
    return sorted(kind.label for kind in Kind)


async def tail(house: House, count: int, by: str) -> list[Opened]:
    """The latest events, oldest first. Raises Refusal(UNAVAILABLE)."""
    await _trace(house, Event(Kind.TRAIL_READ, details={"by": by, "look": "tail", "count": count}))
    return await house.read.run(lambda tx: _found(tx, house, Wanted(limit=count)))


async def since(house: House, at: tuple[float, int, int]) -> list[Opened]:
    """Events after one that a `tail` ended with, oldest first: for a screen that follows; not traced again.

    `at`: its time in epoch seconds, chain and sequence.
    """

    def work(tx: Transaction) -> list[Opened]:
        return [e for e in _found(tx, house, Wanted(since=at[0])) if (e.chain, e.sequence) != at[1:]]

    return await house.read.run(work)


async def search(house: House, wanted: Wanted, by: str) -> list[Opened]:
    """The latest events that fit, oldest first, `wanted.limit` at most. Raises Refusal(UNAVAILABLE)."""
    details: dict[str, Value] = {"by": by, "look": "search", "kinds": sorted(int(k) for k in wanted.kinds)}
    for name, value in (("outcome", wanted.outcome), ("since", wanted.since), ("until", wanted.until)):
        if value is not None:
            details[name] = value
    await _trace(house, Event(Kind.TRAIL_READ, wanted.account or 0, wanted.address, details=details))
    return await house.read.run(lambda tx: _found(tx, house, wanted))


async def verify(house: House, by: str, progress: OnProgress = lambda _: None) -> Report:
    """Follow all of the trail in one snapshot; `progress` hears of the events followed so far, on another thread.

    What verification found is then written to the trail.
    """
    report = await house.read.run(lambda tx: follow(tx, house.trail, progress))
    outcome = "ok" if report.sound else "faults"
    details: dict[str, Value] = {"by": by, "look": "verify", "events": report.events, "faults": len(report.faults)}
    await _trace(house, Event(Kind.TRAIL_READ, outcome=outcome, details=details))
    return report


async def export(
    house: House, out: TextIO, by: str, *, sealed_only: bool, progress: OnProgress = lambda _: None
) -> int:
    """Write the whole trail as JSON lines, enough to verify it elsewhere; how many lines. Raises OSError of `out`."""
    await _trace(house, Event(Kind.TRAIL_EXPORTED, details={"by": by, "sealed_only": sealed_only}))

    def work(tx: Transaction) -> int:
        count = 0
        for line in lines(tx, house.trail, sealed_only=sealed_only):
            out.write(line + "\n")
            count += 1
            if not count % PAGE:
                progress(count)
        progress(count)
        return count

    return await house.read.run(work)


async def _trace(house: House, event: Event) -> None:
    await house.write.run(lambda tx: tx.trail(event))


def _found(tx: Transaction, house: House, wanted: Wanted) -> list[Opened]:
    """The latest that fit, oldest first: rows that can be told by their clear columns are never opened."""
    digest = None if wanted.address is None else house.trail.digest(wanted.address)
    limit = max(1, min(wanted.limit, MAX_FOUND))
    found: list[Opened] = []
    for row in _backwards(tx, wanted, min(PAGE, limit) if digest is None and not wanted.kinds else PAGE):
        if digest is not None and row.subject != digest:
            continue
        if wanted.kinds and row.kind not in wanted.kinds:
            continue
        event = opened(house.trail, row)
        if wanted.outcome is not None and event.outcome != wanted.outcome:
            continue
        found.append(event)
        if len(found) == limit:
            break
    found.reverse()
    return found


def _backwards(tx: Transaction, wanted: Wanted, page: int) -> Iterator[EventRow]:
    """Every row of the time and account wanted, newest first.

    Pages overlap by a millisecond, since many events share one; what was seen of it is left out.
    """
    since_ms = 0 if wanted.since is None else int(wanted.since * 1000)
    until_ms = _ALWAYS if wanted.until is None else int(wanted.until * 1000)
    seen: set[tuple[int, int]] = set()
    while True:
        got = rows.latest(tx, page, since_ms=since_ms, until_ms=until_ms, account=wanted.account)
        for row in got:
            if (row.chain_id, row.sequence) not in seen:
                yield row
        if len(got) < page:
            return
        last_ms = got[-1].at_ms
        if until_ms == last_ms + 1 and got[0].at_ms == last_ms:
            page = min(page * 2, MAX_PAGE)  # one millisecond fills a page
        until_ms = last_ms + 1
        seen = {(row.chain_id, row.sequence) for row in got if row.at_ms == last_ms}
