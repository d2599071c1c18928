"""Searching a folder: what flags and UIDs decide first, then what stands in clear, then what must be opened.

A key is judged in three values: yes, no, or not known without more. Only messages that flags, UIDs and dates leave
undecided are opened, in a read lane's thread, a batch at a time; the loop is never held.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import assert_never

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.clock import utc
from mssmail.base.ranges import resolve
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.search import (
    All,
    And,
    Arrived,
    Body,
    Changed,
    HasFlag,
    HasKeyword,
    Header,
    Key,
    Larger,
    Not,
    Or,
    Recent,
    Sent,
    SequenceSet,
    Smaller,
    Text,
    UidSet,
    When,
)
from mssmail.crypto.body import open_record
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.house import House
from mssmail.flow.read import BATCH_MESSAGES, BodyGone, Sealed, body_key, open_body, read_sealed
from mssmail.flow.view import View
from mssmail.mime import text as texts
from mssmail.mime.record import Record, RecordFormatError
from mssmail.mime.words import header_values
from mssmail.store import messages
from mssmail.store.interface import Transaction
from mssmail.store.messages import Facts, SealedMessage

Verdict = bool | None

MAX_TEXT_KEYS = 100
"""Keys of one search that open messages; each is looked for in every message."""
_JUDGED_A_TURN = 20_000
"""Keys judged before others get their turn on the loop: some five milliseconds."""


class _Judge:
    """Judges a key for one message, from what is at hand so far."""

    __slots__ = ("_index", "_keywords", "_opened", "_sets", "_view", "facts")

    def __init__(self, view: View) -> None:
        self._view = view
        self._index = 0
        self.facts: Facts | None = None
        self._opened: _Opened | None = None
        self._sets: dict[int, tuple[list[int], list[int]]] = {}
        """By a set's id, while the key lives: where its ranges begin, and end. A set may have thousands."""
        self._keywords: dict[str, int] = {}

    def at(self, index: int, facts: Facts | None = None, opened: "_Opened | None" = None) -> "_Judge":
        self._index, self.facts, self._opened = index, facts, opened
        return self

    def judge(self, key: Key) -> Verdict:
        """Yes, no, or None: not known without facts, or without opening the message."""
        match key:
            case And(keys):
                return self._all(keys)
            case Or(left, right):
                first = self.judge(left)
                if first:
                    return True
                second = self.judge(right)
                return True if second else (None if first is None or second is None else False)
            case Not(inner):
                found = self.judge(inner)
                return None if found is None else not found
            case All():
                return True
            case HasFlag(flag):
                return bool(self._view.flags[self._index] & flag.value)
            case HasKeyword(keyword):
                return self._has_keyword(keyword)
            case Recent():
                return bool(self._view.uids[self._index] >= self._view.recent_uid)
            case Changed(modseq):
                return bool(self._view.modseqs[self._index] >= modseq)
            case SequenceSet():
                return self._within(key, self._index + 1, self._view.told_exists)
            case UidSet():
                highest = self._view.uids[self._view.told_exists - 1]
                return self._within(key, self._view.uids[self._index], highest)
            case Arrived() | Larger() | Smaller():
                return None if self.facts is None else _by_facts(key, self.facts)
            case Sent() | Header() | Body() | Text():
                return None if self._opened is None else self._opened.matches(key)
            case _:
                assert_never(key)

    def _all(self, keys: Sequence[Key]) -> Verdict:
        verdict: Verdict = True
        for key in keys:
            found = self.judge(key)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict

    def _has_keyword(self, keyword: str) -> bool:
        mask = self._keywords.get(keyword)
        if mask is None:
            wanted = keyword.lower()
            mask = sum(1 << n for name, n in self._view.keyword_names.items() if name.lower() == wanted)
            self._keywords[keyword] = mask
        return bool(self._view.keywords[self._index] & mask)

    def _within(self, key: SequenceSet | UidSet, number: int, last: int) -> bool:
        found = self._sets.get(id(key))
        if found is None:
            closed = resolve(key.ranges, last)
            found = self._sets[id(key)] = [low for low, _ in closed], [high for _, high in closed]
        lows, highs = found
        at = bisect_right(lows, number) - 1
        return at >= 0 and number <= highs[at]


def _by_date(when: When, day: date, given: date) -> bool:
    match when:
        case When.BEFORE:
            return given < day
        case When.ON:
            return given == day
        case When.SINCE:
            return given >= day


def _by_facts(key: Arrived | Larger | Smaller, facts: Facts) -> bool:
    match key:
        case Arrived(when, day):
            local = utc(facts.internal_date) + timedelta(minutes=facts.zone_minutes)
            return _by_date(when, day, local.date())
        case Larger(octets):
            return facts.size_octets > octets
        case Smaller(octets):
            return facts.size_octets < octets


class _Opened:
    """A message opened for a search; its body only where a key asks for it."""

    def __init__(self, tx: Transaction, house: House, row: SealedMessage, key: bytes, record: Record) -> None:
        self._tx = tx
        self._house = house
        self._row = row
        self._key = key
        self._record = record
        self._sealed: Sealed | None = None
        self._header: bytes | None = None
        self._texts: tuple[str, str] | None = None

    def _read(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        if self._sealed is None:
            self._sealed = open_body(self._tx, self._row.facts.body_id, self._key)
        return read_sealed(self._tx, self._house.bodies, self._sealed, start, end)

    @property
    def header(self) -> bytes:
        if self._header is None:
            header = self._record.header
            if header is None:
                root = self._record.parts[0]
                header = self._read(root.header_start, root.body_start)
            self._header = header
        return self._header

    @property
    def texts(self) -> tuple[str, str]:
        """Header and body, normalised."""
        if self._texts is None:
            self._texts = texts.searchable(self._record, self._read)
        return self._texts

    def matches(self, key: Sent | Header | Body | Text) -> bool:
        match key:
            case Sent(when, day):
                sent = self._record.sent
                return sent is not None and _by_date(when, day, sent.day)
            case Header(name, text):
                values = header_values(self.header, name.encode("utf-8", "replace"))
                if not text:
                    return bool(values)
                needle = texts.normalise(text)
                return any(needle in texts.normalise(value) for value in values)
            case Body(text):
                return texts.normalise(text) in self.texts[1]
            case Text(text):
                needle = texts.normalise(text)
                header, body = self.texts
                return needle in header or needle in body


def _needs(key: Key, wanted: tuple[type, ...]) -> int:
    """How many keys of these kinds stand in it."""
    match key:
        case And(keys):
            return sum(_needs(k, wanted) for k in keys)
        case Or(left, right):
            return _needs(left, wanted) + _needs(right, wanted)
        case Not(inner):
            return _needs(inner, wanted)
        case _:
            return int(isinstance(key, wanted))


_FACTS = (Arrived, Larger, Smaller)
_OPENED = (Sent, Header, Body, Text)


async def search(house: House, view: View, key: Key, on_progress: Callable[[int], None] = lambda _: None) -> list[int]:
    """Indexes of the messages that match, ascending. Raises Refusal(UNAVAILABLE) where the store can't answer.

    A message that is gone or can't be opened doesn't match.
    """
    if _needs(key, _OPENED) > MAX_TEXT_KEYS:
        raise Refusal(Reason.SEARCH_TOO_WIDE, f"over {MAX_TEXT_KEYS} keys that open messages")
    judge = _Judge(view)
    found: list[int] = []
    undecided: list[int] = []
    step = max(1, _JUDGED_A_TURN // max(1, _needs(key, (object,))))
    for index in range(view.told_exists):
        if index % step == 0:
            await asyncio.sleep(0)
        verdict = judge.at(index).judge(key)
        if verdict:
            found.append(index)
        elif verdict is None:
            undecided.append(index)
    if undecided and _needs(key, _FACTS):
        undecided = await _by_the_facts(house, view, key, undecided, found)
    for start in range(0, len(undecided), BATCH_MESSAGES):
        found += await _opened(house, view, key, undecided[start : start + BATCH_MESSAGES])
        on_progress(start)
    if undecided:
        principal = view.principal
        details: dict[str, Value] = {
            "folder": int(view.folder),
            "opened": len(undecided),
            "person": int(principal.person),
        }
        event = Event(Kind.SEARCHED, principal.account, details=details)
        await house.write.run(lambda tx: tx.trail(event))
    return sorted(found)


async def _by_the_facts(house: House, view: View, key: Key, undecided: list[int], found: list[int]) -> list[int]:
    """Judge with what stands in clear; what still must be opened."""
    rest: list[int] = []
    judge = _Judge(view)
    for start in range(0, len(undecided), 10_000):
        ranges = view.uid_ranges(undecided[start : start + 10_000])
        rows = await house.read.run(lambda tx, r=ranges: messages.facts(tx, view.folder, r))  # type: ignore[misc]
        for facts in rows:
            index = view.index_of(facts.uid)
            if index is None:
                continue
            verdict = judge.at(index, facts).judge(key)
            if verdict:
                found.append(index)
            elif verdict is None:
                rest.append(index)
    return rest


async def _opened(house: House, view: View, key: Key, part: Sequence[int]) -> list[int]:
    """Open a batch, in a read lane's thread, and judge."""
    account = view.principal.account
    ranges, by_uid = view.uid_ranges(part), {view.uids[index]: index for index in part}

    def work(tx: Transaction) -> list[int]:
        judge = _Judge(view)
        out: list[int] = []
        for row in messages.sealed(tx, view.folder, account, ranges):
            index = by_uid.get(row.facts.uid)
            if index is None:
                continue
            try:
                body = body_key(house, account, row)
                record = Record(open_record(body, row.facts.body_id, row.record))
                if judge.at(index, row.facts, _Opened(tx, house, row, body, record)).judge(key):
                    out.append(index)
            except (Unsealable, KeyDestroyed, BodyGone, RecordFormatError):
                continue
        return out

    return await house.read.run(work)
