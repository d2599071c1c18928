"""Making mail searchable after it was taken: search texts and columns, out of what `searches.due` names.

Knows no search. One worker at a time does it, under a lease, in small pieces, in a read lane's thread; while the loop
is late it pauses, so that deliveries come first. Each turn's rows are written in one transaction with the news that
they are no longer due: a killed worker loses a turn's work and nothing else. What this worker took lately is made of
what is in memory (`fresh`); the rest is opened. A message not yet done, or too long, is opened by searches instead.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.base.refusal import Refusal
from mssmail.crypto.body import new_key, open_columns, open_record, seal_columns, seal_search_text
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.fresh import FreshMessage
from mssmail.flow.house import House
from mssmail.flow.read import BodyGone, OpenedBody
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import counter
from mssmail.mime import columns as columns_of_fields
from mssmail.mime import text as texts
from mssmail.mime.columns import Columns, ColumnsFormatError, Entry
from mssmail.mime.record import Record, RecordFormatError
from mssmail.store import leases, searches
from mssmail.store.interface import Transaction
from mssmail.store.leases import Lease
from mssmail.store.searches import Due, NewColumns

LEASE = "search"
LEASE_TERM_S = 30
EVERY_S = 0.25
"""How long a new message may wait; an idle turn costs one look at an empty table."""
_ASK_AGAIN_S = 10.0
"""After another had the lease, or the store couldn't answer."""
SPARED_OCTETS = 256 << 20
"""Space on the disk below which nothing is made searchable: what is left is for mail."""
_TURN = 256
"""Messages whose rows are written in one commit."""
_PIECE = 16
"""Messages done at a time: about a millisecond where they are in memory, some three where they are opened."""
MAX_ENTRIES = 512
"""Of columns: more make each rewrite longer than what a search saves."""
_WORTH = 4
"""Columns are rewritten together with new entries where they hold at most so many times as many: each entry is
rewritten a few times, and an account and period has few columns."""
_LOOKS = 8
_LATE_S = 0.001
"""So late after so many turns of the loop and an empty unit of reading, there is better to do; idle, it is a fifth."""
_MAX_PAUSE_S = 0.5
QUIET_S = 0.1
_PATIENCE_S = 2.0
"""A turn of 256 messages every two seconds keeps up with 128 a second without a pause; more catches up later."""

_indexed = counter("mssmail_messages_indexed_total", "Messages made searchable without being opened.")
_failed = counter("mssmail_messages_unindexed_total", "Messages that couldn't be made searchable.")
_log = get_logger("index")


@dataclass(frozen=True, slots=True)
class _Made:
    """What came of one message: its sealed search text and its entry, each only where it was asked for and can be."""

    due: Due
    text: bytes | None = None
    entry: Entry | None = None


class Indexer:
    """The standing task of one worker."""

    def __init__(self, house: House, *, quiet_s: float = 0.0) -> None:
        """`quiet_s`: for how long nothing must have been written before a turn, which waits `_PATIENCE_S` at most."""
        self._house = house
        self._quiet_s = quiet_s
        self._holder = f"worker {house.slot}"
        """The same after a restart, so that a killed worker's lease is taken up at once."""
        self._lease: Lease | None = None
        self._ask_at = 0.0
        self._first = 0
        """The account to go on with: none is starved by one that gets much mail."""
        self._pause_s = 0.0

    async def run(self) -> int:
        """Make searchable what is due; how many messages. Returns at once where another worker does it.

        Raises Refusal(UNAVAILABLE, STORAGE_FULL).
        """
        now = self._house.clock.monotonic()
        if (self._lease is None and now < self._ask_at) or not has_room(self._house):
            return 0
        count = 0
        try:
            while (due := await self._due()) and (lease := await self._lead(now)) and has_room(self._house):
                count += await self._turn(lease, due)
        except Refusal:
            self._lease, self._ask_at = None, now + _ASK_AGAIN_S
            raise
        return count

    async def _lead(self, now: float) -> Lease | None:
        """The lease, if it can be had. It is kept between runs: mail that comes one by one costs one commit each."""
        if self._lease is None:
            self._ask_at, holder = now + _ASK_AGAIN_S, self._holder
            self._lease = await self._house.write.run(lambda tx: leases.take(tx, LEASE, holder, LEASE_TERM_S))
        return self._lease

    async def _due(self) -> list[Due]:
        first = self._first
        found = await self._house.read.run(lambda tx: searches.due(tx, first, _TURN))
        if not found and first:
            found = await self._house.read.run(lambda tx: searches.due(tx, 0, _TURN))
        if found:
            full, last = len(found) == _TURN, found[-1].account
            self._first = last if full and found[0].account != last else last + 1
        return found

    async def _turn(self, lease: Lease, due: Sequence[Due]) -> int:
        """Take some messages from due to done, in one commit."""
        await self._until_quiet()
        house, made, sealed = self._house, list[_Made](), dict[BodyId, bytes]()
        for at in range(0, len(due), _PIECE):
            await self._give_way()
            part = due[at : at + _PIECE]
            made += await house.read.run(lambda tx, p=part: self._make_all(tx, p, sealed))  # type: ignore[misc]
        groups: dict[tuple[AccountId, Period], list[Entry]] = defaultdict(list)
        for each in made:
            if each.text is not None:
                sealed[each.due.body] = each.text
            if each.entry is not None:
                groups[each.due.account, each.due.period].append(each.entry)
        columns: list[NewColumns] = []
        for (account, period), entries in groups.items():
            new = await house.read.run(lambda tx, a=account, p=period, e=entries: self._join(tx, a, p, e))  # type: ignore[misc]
            if new is not None:
                columns.append(new)

        def write(tx: Transaction) -> int:
            leases.hold(tx, lease)
            return searches.write(tx, due, sealed, columns)

        waiting = await house.write.run(write)
        if waiting:
            await asyncio.sleep(_MAX_PAUSE_S)
        for done in due:
            house.fresh.done(done.account, done.body, done.period)
        _indexed.inc(len(sealed))
        return len(due)

    async def _until_quiet(self) -> None:
        """Let a burst of mail pass first: on one core, each message indexed meanwhile is one delivered later."""
        clock, write = self._house.clock, self._house.write
        until = clock.monotonic() + _PATIENCE_S
        # The lane commits in a thread of its own, and has no event to wait for.
        while (now := clock.monotonic()) < until and (left := write.committed_at + self._quiet_s - now) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)

    async def _give_way(self) -> None:
        """See whether the loop or the readers are kept busy; if so, pause, the longer the longer it lasts."""
        clock = self._house.clock
        before = clock.monotonic()
        for _ in range(_LOOKS):
            await asyncio.sleep(0)
        await self._house.read.run(lambda _: None)
        if clock.monotonic() - before < _LATE_S:
            self._pause_s /= 4
            return
        self._pause_s = min(_MAX_PAUSE_S, max(0.02, self._pause_s * 2))
        await asyncio.sleep(self._pause_s)

    # --- in a read lane's thread ---

    def _make_all(self, tx: Transaction, part: Sequence[Due], known: dict[BodyId, bytes]) -> list[_Made]:
        """`known`: texts made already in this turn; a body is often due for several accounts."""
        out: list[_Made] = []
        fresh: set[BodyId] = set()
        for due in part:
            wants_text = not due.has_text and due.body not in known and due.body not in fresh
            made = self._make(tx, due, wants_text=wants_text)
            if made.text is not None:
                fresh.add(due.body)
            out.append(made)
        return out

    def _make(self, tx: Transaction, due: Due, *, wants_text: bool) -> _Made:
        if due.wrapped is None or (due.has_entry and not wants_text):
            return _Made(due)
        fresh = self._house.fresh.get(due.body)
        try:
            if fresh is not None:
                return self._make_fresh(due, fresh, wants_text=wants_text)
            key = self._house.keys.unwrap(due.account, due.body, due.period, due.wrapped)
            sealed = searches.record(tx, due.body)
            if sealed is None:
                return _Made(due)
            record = Record(open_record(key, due.body, sealed))
            entry = None if due.has_entry else columns_of_fields.entry(due.body, record)
            text = None
            if wants_text:
                text = texts.search_text(record, OpenedBody(tx, self._house.bodies, due.body, key).read)
            return _Made(due, None if text is None else seal_search_text(key, due.body, text), entry)
        except (Unsealable, KeyDestroyed, BodyGone, RecordFormatError):
            _failed.inc()
        return _Made(due)

    def _make_fresh(self, due: Due, message: FreshMessage, *, wants_text: bool) -> _Made:
        """Of what is in memory; nothing need be opened."""
        entry = None if due.has_entry else self._house.fresh.entry(message)
        text = self._house.fresh.text(message) if wants_text else None
        return _Made(due, None if text is None else seal_search_text(message.key, due.body, text), entry)

    def _join(self, tx: Transaction, account: AccountId, period: Period, new: list[Entry]) -> NewColumns | None:
        """New columns of these entries and of such as are worth rewriting; None where the keys are gone."""
        entries, replaced = list(new), list[tuple[BodyId, int]]()
        keys = self._house.keys
        for number, count in searches.columns_of(tx, account, period):
            if count > _WORTH * len(entries) or count + len(entries) > MAX_ENTRIES:
                break
            found = searches.columns(tx, number)
            if found is None:
                continue
            try:
                key = keys.unwrap(account, number, period, found[1])
                entries += Columns(open_columns(key, number, found[2])).entries()
            except KeyDestroyed:
                return None
            except (Unsealable, ColumnsFormatError) as damage:
                failure(_log, "damaged columns", damage, number=int(number))
                continue
            replaced.append((number, count))
        return new_columns(self._house, account, period, [BodyId(e.body) for e in new], entries, replaced)


def has_room(house: House) -> bool:
    """Whether the disk has space for more than mail."""
    try:
        space = os.statvfs(house.settings.server.data)
    except OSError:
        return False
    return space.f_bavail * space.f_frsize >= SPARED_OCTETS


def new_columns(
    house: House,
    account: AccountId,
    period: Period,
    bodies: Sequence[BodyId],
    entries: Sequence[Entry],
    replaced: Sequence[tuple[BodyId, int]] = (),
) -> NewColumns | None:
    """Columns of these entries, sealed; `bodies` are those of the new ones. None where the keys are gone."""
    number, key = house.body_numbers.take(), new_key()
    try:
        wrapped = house.keys.wrap(account, number, period, key)
    except KeyDestroyed:
        return None
    sealed = seal_columns(key, number, columns_of_fields.pack(entries))
    return NewColumns(number, account, period, len(entries), wrapped, sealed, bodies, replaced)
