"""Searching a folder: what flags and UIDs decide first, then what stands in clear, then what must be opened.

Only messages that the cheaper steps leave undecided are looked at further, in a read lane's thread, the loop never
held: columns of header fields, search texts, and where a message has none of these yet, what is in memory of mail just
kept, else its record and its body. The answer is the same whichever of them gave it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, assert_never

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.base.search import Arrived, Header, Key, Larger, Smaller, Text, When
from mssmail.crypto.body import open_columns, open_record, open_search_text, seal_search_text
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.answers import Clear, Columned, Leaf, Stretch, Texted, ViewJudge, leaves
from mssmail.flow.fresh import FreshMessage
from mssmail.flow.house import House
from mssmail.flow.index import has_room, new_columns
from mssmail.flow.opened import Opened, by_date, by_record
from mssmail.flow.permit import require
from mssmail.flow.read import BATCH_MESSAGES, BodyGone, OpenedBody, body_key
from mssmail.flow.view import View
from mssmail.mime import columns as columns_of_fields
from mssmail.mime import text as texts
from mssmail.mime.columns import Columns, ColumnsFormatError, Entry
from mssmail.mime.record import Record, RecordFormatError
from mssmail.store import messages, searches
from mssmail.store.interface import Row, Transaction
from mssmail.store.messages import SealedMessage
from mssmail.store.searches import NewColumns

MAX_TEXT_KEYS = 100
"""Keys of one search that open messages; each is looked for in every message."""
_STRETCH = 8_192
"""Messages judged at once: some milliseconds."""
_JUDGED_A_TURN = 400_000
"""Keys judged, over all messages of a stretch, before others get their turn on the loop: some five milliseconds."""
_SPARSE = 8
"""Ranges of messages are read one by one where they hold less than one in so many; else all that lies between."""

_WORTH_COLUMNS = 50
"""Of fewer messages, opened together, columns would be small, and are left to the indexer."""

_UNREADABLE = (Unsealable, KeyDestroyed, BodyGone, RecordFormatError)


async def search(house: House, view: View, key: Key, on_progress: Callable[[int], None] = lambda _: None) -> list[int]:
    """Indexes of the messages that match, ascending.

    Raises Refusal(UNAVAILABLE) where the store can't answer, and NO_RIGHT.

    A message that is gone or can't be opened doesn't match.
    """
    every = list(leaves(key))
    if sum(isinstance(leaf, Columned | Texted) for leaf in every) > MAX_TEXT_KEYS:
        raise Refusal(Reason.SEARCH_TOO_WIDE, f"over {MAX_TEXT_KEYS} keys that open messages")
    if view.principal.person != view.principal.account:
        await house.read.run(lambda tx: require(tx, view.principal, Right.READ))
    judge, looker = ViewJudge(view), _Looker(house, view, key, tuple(dict.fromkeys(every)))
    found: list[int] = []
    opened = 0
    step = max(256, min(_STRETCH, _JUDGED_A_TURN // max(1, len(every))))
    for start in range(0, view.told_exists, step):
        await asyncio.sleep(0)
        stretch = Stretch(start, min(start + step, view.told_exists))
        for leaf in looker.leaves:
            if not isinstance(leaf, Clear | Columned | Texted):
                stretch.learn(leaf, judge.mask(leaf, start, start + stretch.count))
        undecided = stretch.undecided(key)
        if undecided and looker.looks:
            undecided = await house.read.run(lambda tx, s=stretch, u=undecided: looker.by_rows(tx, s, u))  # type: ignore[misc]
            opened += looker.opened(stretch, undecided)
            for at in range(0, len(undecided), BATCH_MESSAGES):
                part = undecided[at : at + BATCH_MESSAGES]
                await house.read.run(lambda tx, s=stretch, p=part: looker.by_opening(tx, s, p))  # type: ignore[misc]
                on_progress(part[-1])
        found += stretch.found(key)
    if opened:
        await _trace(house, view, opened)
    return found


async def _trace(house: House, view: View, opened: int) -> None:
    principal = view.principal
    details: dict[str, Value] = {"folder": int(view.folder), "opened": opened, "person": int(principal.person)}
    event = Event(Kind.SEARCHED, principal.account, details=details)
    await house.write.run(lambda tx: tx.trail(event))


def _clear_mask(key: Clear, rows: Sequence[Row], places: Sequence[int], count: int) -> bytearray:
    """Which of the rows match, each at its place."""
    match key:
        case Arrived(when, day):
            from_s = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
            low = from_s if when is not When.BEFORE else -(1 << 63)
            high = 1 << 63 if when is When.SINCE else from_s if when is When.BEFORE else from_s + 86_400
            matching = [low <= row[2] + 60 * row[3] < high for row in rows]
        case Larger(octets):
            matching = [row[4] > octets for row in rows]
        case Smaller(octets):
            matching = [row[4] < octets for row in rows]
        case _:
            assert_never(key)
    out = bytearray(count)
    for place, matches in zip(places, matching, strict=True):
        out[place] = matches
    return out


class _Looker:
    """Looks at what a search leaves undecided, in a read lane's thread."""

    def __init__(self, house: House, view: View, key: Key, every: Sequence[Leaf]) -> None:
        self._house = house
        self._view = view
        self._key = key
        self._account: AccountId = view.principal.account
        self.leaves = every
        self._clear: list[Clear] = [leaf for leaf in every if isinstance(leaf, Clear)]
        self._columned: list[Columned] = [leaf for leaf in every if isinstance(leaf, Columned)]
        self._texted: list[tuple[Texted, bytes]] = [
            (leaf, texts.needle(leaf.text)) for leaf in every if isinstance(leaf, Texted)
        ]
        self.looks = bool(self._clear or self._columned or self._texted)
        self._by_columns = 0
        self._held: dict[int, FreshMessage] = {}
        """The messages of a stretch that are in memory, by index."""

    def opened(self, stretch: Stretch, undecided: Sequence[int]) -> int:
        """How many messages of the stretch were, or are about to be, looked into by what is sealed."""
        by_columns, self._by_columns = self._by_columns, 0
        return max(by_columns, len(undecided))

    # --- a stretch at a time ---

    def by_rows(self, tx: Transaction, stretch: Stretch, undecided: list[int]) -> list[int]:
        """Judge by what stands in clear, then by columns; what still is undecided."""
        view, start = self._view, stretch.start
        read = searches.facts_with_columns if self._columned else searches.facts
        uids = view.uids[start : start + stretch.count]
        place_of = dict(zip(uids, range(stretch.count), strict=True))
        rows = [row for row in read(tx, view.folder, self._ranges(undecided)) if row[0] in place_of]
        places = [place_of[row[0]] for row in rows]
        stretch.keep_alive(undecided, [start + place for place in places])
        known = bytearray(stretch.count)
        for place in places:
            known[place] = 1
        for leaf in self._clear:
            stretch.learn(leaf, _clear_mask(leaf, rows, places, stretch.count), known)
        undecided = stretch.undecided(self._key)
        self._held.clear()
        if undecided and len(self._house.fresh):
            found = self._house.fresh.find(self._account, [(row[1], row[5]) for row in rows], tx.now)
            self._held.update((start + place, each) for place, each in zip(places, found, strict=True) if each)
        if undecided and self._columned:
            self._by_columns = len(undecided)
            wanted = stretch.mask(undecided)
            by_number: dict[int, list[tuple[int, int]]] = defaultdict(list)
            for row, place in zip(rows, places, strict=True):
                if row[6] is not None and wanted[place]:
                    by_number[row[6]].append((row[1], place))
            for number, members in by_number.items():
                self._look_in(tx, stretch, BodyId(number), members)
            undecided = stretch.undecided(self._key)
            if undecided and self._held:
                undecided = self._look_in_memory(stretch, undecided)
        return undecided

    def _look_in_memory(self, stretch: Stretch, undecided: list[int]) -> list[int]:
        """Judge header fields of messages just kept: by what would stand in columns, else by their headers."""
        held, entry = self._held, self._house.fresh.entry
        undecided = self._passed_over(stretch, [i for i in undecided if i in held])
        _judge_entries(stretch, self._columned, {i: entry(held[i]) for i in undecided})
        undecided = stretch.undecided(self._key)
        _ask(stretch, self._columned, {i: by_record(held[i].record) for i in undecided if i in held})
        return stretch.undecided(self._key)

    def _passed_over(self, stretch: Stretch, undecided: list[int]) -> list[int]:
        """Judge those whose headers show at a glance that they don't match; what still is undecided of them."""
        headers = {index: self._held[index].record.header for index in undecided}
        for leaf in self._columned:
            if isinstance(leaf, Header):
                text = leaf.text
                lacking = [
                    i for i, header in headers.items() if header is not None and columns_of_fields.lacks(header, text)
                ]
                stretch.learn(leaf, stretch.mask([]), stretch.mask(lacking))
        return self._still(stretch, undecided)

    def _ranges(self, indexes: Sequence[int]) -> list[tuple[int, int]]:
        ranges = self._view.uid_ranges(indexes)
        if len(ranges) * _SPARSE > indexes[-1] - indexes[0] + 1:
            return [(ranges[0][0], ranges[-1][1])]
        return ranges

    def _look_in(self, tx: Transaction, stretch: Stretch, number: BodyId, members: list[tuple[int, int]]) -> None:
        """Judge the messages that some columns hold; `members`: their bodies and places."""
        columns = _columns(tx, self._house, self._account, number)
        if columns is None:
            return
        places: dict[int, list[int]] = defaultdict(list)
        for body, place in members:
            places[body].append(place)
        known = _at(stretch.count, places, columns.bodies)
        for leaf in self._columned:
            if isinstance(leaf, Header):
                if not columns.knows(leaf.name, leaf.text):
                    continue
                try:
                    found: Iterable[int] = columns.matching(leaf.name, leaf.text)
                except ColumnsFormatError:
                    return
            else:
                day = leaf.day
                found = [at for at, n in enumerate(columns.days) if n and by_date(leaf.when, day, date.fromordinal(n))]
            stretch.learn(leaf, _at(stretch.count, places, [columns.bodies[at] for at in found]), known)

    # --- a batch at a time ---

    def by_opening(self, tx: Transaction, stretch: Stretch, part: list[int]) -> None:
        """Judge by what is in memory, then by search texts; what neither decides, by opening it."""
        if self._texted:
            if self._held:
                self._judge_texts(stretch, self._texts_in_memory(part))
                part = self._still(stretch, part)
            self._judge_texts(stretch, self._texts_of(tx, part))
            part = self._still(stretch, part)
        if not part:
            return
        index_of = {self._view.uids[index]: index for index in part}
        opened: dict[int, Opened] = {}
        for row in messages.sealed(tx, self._view.folder, self._account, self._ranges(part)):
            index = index_of.get(row.facts.uid)
            if index is not None and (found := self._open(tx, row)) is not None:
                opened[index] = found
        every = list(opened.values())
        for chosen in (self._columned, [leaf for leaf, _ in self._texted]):
            if chosen:
                _ask(stretch, chosen, {index: message.matches for index, message in opened.items()})
                opened = {index: opened[index] for index in self._still(stretch, part) if index in opened}
        if every and has_room(self._house):
            self._keep(every)

    def _keep(self, opened: "list[Opened]") -> None:
        """Keep what was made on the way, so that the next search finds it; columns only of many messages."""
        account = self._account
        made = [
            (message.body, message.period, seal_search_text(message.key, message.body, packed))
            for message in opened
            if (packed := message.packed) is not None
        ]
        columns: list[NewColumns] = []
        if len(opened) >= _WORTH_COLUMNS:
            by_period: dict[Period, dict[BodyId, Entry]] = defaultdict(dict)
            for message in opened:
                if (entry := message.entry()) is not None:
                    by_period[message.period][message.body] = entry
            for period, entries in by_period.items():
                new = new_columns(self._house, account, period, list(entries), list(entries.values()))
                if new is not None:
                    columns.append(new)
        if made or columns:
            self._house.write.post(lambda tx: searches.keep(tx, account, made, columns))

    def _still(self, stretch: Stretch, part: Sequence[int]) -> list[int]:
        undecided = set(stretch.undecided(self._key))
        return [index for index in part if index in undecided]

    def _texts_in_memory(self, part: list[int]) -> Iterator[tuple[int, bytes]]:
        """Search texts of messages just kept, with their indexes."""
        held, text_of = self._held, self._house.fresh.text
        for index in part:
            if (message := held.get(index)) is not None and (text := text_of(message)) is not None:
                yield index, text

    def _judge_texts(self, stretch: Stretch, made: Iterable[tuple[int, bytes]]) -> None:
        """Judge by search texts, given with their messages' indexes."""
        known: list[int] = []
        matching: list[list[int]] = [[] for _ in self._texted]
        tests = [
            (texts.in_text if isinstance(leaf, Text) else texts.in_body, wanted, hits.append)
            for (leaf, wanted), hits in zip(self._texted, matching, strict=True)
        ]
        for index, packed in made:
            known.append(index)
            for matches, wanted, hit in tests:
                if matches(packed, wanted):
                    hit(index)
        mask = stretch.mask(known)
        for (leaf, _), hits in zip(self._texted, matching, strict=True):
            stretch.learn(leaf, stretch.mask(hits), mask)

    def _texts_of(self, tx: Transaction, part: list[int]) -> Iterator[tuple[int, bytes]]:
        """Search texts that are kept, opened, with their messages' indexes."""
        if not part:
            return
        index_of = {self._view.uids[index]: index for index in part}
        unwrap, account = self._house.keys.unwrap, self._account
        for uid, body, period, wrapped, sealed in searches.texts(tx, self._view.folder, account, self._ranges(part)):
            index = index_of.get(uid)
            if index is None:
                continue
            try:
                packed = open_search_text(unwrap(account, body, period, wrapped), body, sealed)
            except (Unsealable, KeyDestroyed):
                continue
            yield index, packed

    def _open(self, tx: Transaction, row: SealedMessage) -> "Opened | None":
        try:
            key = body_key(self._house, self._account, row)
            record = Record(open_record(key, row.facts.body_id, row.record))
        except _UNREADABLE:
            return None
        return Opened(record, OpenedBody(tx, self._house.bodies, row.facts.body_id, key), row.facts, key)


def _ask(stretch: Stretch, chosen: Sequence[Columned | Texted], asked: dict[int, Callable[[Any], bool]]) -> None:
    """Judge by asking messages. One that can't be read is left undecided, and so doesn't match."""
    known: list[int] = []
    matching: dict[Columned | Texted, list[int]] = {leaf: [] for leaf in chosen}
    for index, matches in asked.items():
        try:
            hits = [leaf for leaf in chosen if matches(leaf)]
        except _UNREADABLE:
            continue
        known.append(index)
        for leaf in hits:
            matching[leaf].append(index)
    mask = stretch.mask(known)
    for leaf, found in matching.items():
        stretch.learn(leaf, stretch.mask(found), mask)


def _judge_entries(stretch: Stretch, chosen: Sequence[Columned], entries: dict[int, Entry | None]) -> None:
    """Judge by what would stand in columns; what can't is left undecided."""
    for leaf in chosen:
        known = [(index, entry) for index, entry in entries.items() if entry is not None]
        if isinstance(leaf, Header):
            at = columns_of_fields.place(leaf.name, leaf.text)
            if at is None:
                continue
            wanted = columns_of_fields.wanted(leaf.text)
            found = [index for index, entry in known if wanted in entry.shares[at]]
        else:
            when, day = leaf.when, leaf.day
            found = [i for i, entry in known if entry.day and by_date(when, day, date.fromordinal(entry.day))]
        stretch.learn(leaf, stretch.mask(found), stretch.mask([index for index, _ in known]))


def _at(count: int, places: dict[int, list[int]], bodies: Iterable[int]) -> bytearray:
    """A mask of the places where these bodies stand."""
    out = bytearray(count)
    for body in bodies:
        for place in places.get(body, ()):
            out[place] = 1
    return out


def _columns(tx: Transaction, house: House, account: AccountId, number: BodyId) -> Columns | None:
    found = searches.columns(tx, number)
    if found is None:
        return None
    period, wrapped, sealed = found
    try:
        key = house.keys.unwrap(account, number, Period(period), wrapped)
        return Columns(open_columns(key, number, sealed))
    except (Unsealable, KeyDestroyed, ColumnsFormatError):
        return None
