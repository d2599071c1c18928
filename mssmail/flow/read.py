"""Reading messages: records and bodies opened at the last moment, in bounded memory, each command traced once.

What a command reads goes out in batches: a batch is read in one snapshot, opened in a read lane's thread, and holds
about a megabyte. A part beyond that is streamed chunk by chunk.
"""

import sys
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from mssmail.audit.events import Event, Kind
from mssmail.base.ids import AccountId, BodyId, Uid
from mssmail.base.rights import Right
from mssmail.base.search import Flag
from mssmail.base.section import Part, Section, Span
from mssmail.crypto.body import BodyOpener, chunks_of, open_record
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.format import CHUNK_OCTETS
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.flow.permit import require
from mssmail.flow.view import View
from mssmail.metrics.registry import counter
from mssmail.mime.limits import DEFAULT
from mssmail.mime.record import Record, RecordFormatError, encode
from mssmail.mime.resolve import Chosen, Octets, Range, resolve
from mssmail.store import accounts, messages
from mssmail.store.bodies import Bodies
from mssmail.store.interface import Transaction
from mssmail.store.messages import Facts, FlagChange, SealedBody, SealedMessage

BATCH_MESSAGES = 200
_WITH_BODIES = 25
"""Rows read at a time where bodies are asked for too: a batch is full after few of them."""
BATCH_OCTETS = 1 << 20
WHOLE_OCTETS = 512 * 1024
"""Parts of a message up to this size, together, are opened with its batch; what is more is streamed."""
_HEADER_OCTETS = DEFAULT.headers_octets
"""Of a header that isn't in the record, what chosen fields are looked for in: a message may be nothing but header."""

_opened = counter("mssmail_messages_opened_total", "Records opened.")
_unreadable = counter("mssmail_messages_unreadable_total", "Messages that couldn't be opened.", labels=("reason",))


class BodyGone(Exception):
    """The body was erased while it was being read."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets that a section gave: `data`, or where that is None, octets [start, end) of the body, to be streamed."""

    size_octets: int
    data: bytes | None
    start: int = 0
    origin: "Sealed | None" = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A body that can be opened."""

    body: BodyId
    key: bytes
    inline: bool
    lengths: "array[int]"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message as read: what stands in clear, its record, and a piece for each section (None: no such part)."""

    index: int
    facts: Facts
    record: Record
    pieces: Sequence[Piece | None] = field(default=())

    @property
    def held_octets(self) -> int:
        """What it takes in memory."""
        return len(self.record.octets) + sum(len(p.data or b"") for p in self.pieces if p is not None)


Wanted = tuple[Section, Span | None]
_NO_RECORD = Record(encode({}))
"""Stands where no record was asked for."""


def offsets_of(lengths: bytes) -> "array[int]":
    """Chunk lengths as stored, as an array. Raises Unsealable where they are damaged."""
    out = array("I")
    try:
        out.frombytes(lengths)
    except ValueError as damage:
        raise Unsealable from damage
    if sys.byteorder != "little":
        out.byteswap()
    return out


def read_sealed(tx: Transaction, bodies: Bodies, sealed: Sealed, start: int, end: int) -> bytes:
    """Open octets [start, end) of a body, in a thread that may block. Raises BodyGone, Unsealable."""
    if not sealed.inline:
        return _read_file(bodies, sealed, start, end)
    return _read_with(lambda first, count: messages.body_data(tx, sealed.body, first, count), sealed, start, end)


def _read_file(bodies: Bodies, sealed: Sealed, start: int, end: int) -> bytes:
    return _read_with(lambda first, count: bodies.read(sealed.body, first, count), sealed, start, end)


def _read_with(read: Callable[[int, int], bytes | None], sealed: Sealed, start: int, end: int) -> bytes:
    """Read the sealed chunks that hold octets [start, end), and open them."""
    numbers = chunks_of(start, end)
    chosen = sealed.lengths[numbers.start : numbers.stop]
    data = read(sum(sealed.lengths[: numbers.start]), sum(chosen))
    if data is None or len(data) != sum(chosen):
        raise BodyGone
    return _opened_range(sealed, numbers, chosen, data, start, end)


def _opened_range(sealed: Sealed, numbers: range, chosen: Sequence[int], data: bytes, start: int, end: int) -> bytes:
    opener = BodyOpener(sealed.key, sealed.body, len(sealed.lengths))
    out, at = [], 0
    for number, length in zip(numbers, chosen, strict=False):
        out.append(opener.open(number, data[at : at + length]))
        at += length
    plain = out[0] if len(out) == 1 else b"".join(out)
    base = numbers.start * CHUNK_OCTETS
    return plain if base == start and end - base >= len(plain) else plain[start - base : end - base]


async def stream(house: House, sealed: Sealed, start: int, end: int) -> AsyncIterator[bytes]:
    """Octets [start, end) of a body, about 256 KiB at a time. Raises BodyGone, Unsealable."""
    at = start
    while at < end:
        upto = min(end, (at // CHUNK_OCTETS + 4) * CHUNK_OCTETS)
        yield await _read(house, sealed, at, upto)
        at = upto


async def _read(house: House, sealed: Sealed, start: int, end: int) -> bytes:
    if sealed.inline:
        return await house.read.run(lambda tx: read_sealed(tx, house.bodies, sealed, start, end))
    return await off_loop(house, lambda: _read_file(house.bodies, sealed, start, end))


class Reader:
    """Opens messages of one account, for commands of one session."""

    def __init__(self, house: House, view: View) -> None:
        self._house = house
        self._view = view
        self.lost = 0
        """Messages that were gone or couldn't be opened when they were read."""
        self._shelved = True
        """Whether records may be at hand: not after a slice of which none was."""

    async def facts(self, indexes: Sequence[int]) -> AsyncIterator[tuple[int, Facts]]:
        """What stands in clear of these messages, with their indexes, a thousand at a time."""
        view = self._view
        for start in range(0, len(indexes), 5 * BATCH_MESSAGES):
            part = indexes[start : start + 5 * BATCH_MESSAGES]
            ranges, folder = view.uid_ranges(part), view.folder
            found = await self._house.read.run(lambda tx, f=folder, r=ranges: messages.facts(tx, f, r))  # type: ignore[misc]
            for facts in found:
                at = view.index_of(facts.uid)
                if at is not None:
                    yield at, facts
            self.lost += len(part) - len(found)

    async def messages(
        self, indexes: Sequence[int], wanted: Sequence[Wanted], *, records: bool = True
    ) -> AsyncIterator[Fetched]:
        """These messages in order, each with a piece for every wanted section.

        Without `records`, a message that is wanted whole is read without its record, which is empty then.
        """
        whole = not records and all(not section.path and section.part is Part.ALL for section, _ in wanted)
        batch = self._bodies if whole and wanted else self._batch
        at = 0
        while at < len(indexes):
            part = indexes[at : at + BATCH_MESSAGES]
            found, done = await batch(part, wanted)
            at += done
            for fetched in found:
                yield fetched

    async def _batch(self, part: Sequence[int], wanted: Sequence[Wanted]) -> tuple[list[Fetched], int]:
        """As many of `part` as make a batch, and how many that was."""
        view, house, account = self._view, self._house, self._view.principal.account
        if not wanted:
            return await self._records(part)
        by_uid = {view.uids[index]: index for index in part}
        slices = [view.uid_ranges(part[at : at + _WITH_BODIES]) for at in range(0, len(part), _WITH_BODIES)]

        def work(tx: Transaction) -> tuple[list[Fetched], int]:
            out: list[Fetched] = []
            octets = 0
            for ranges in slices:
                for row in messages.sealed(tx, view.folder, account, ranges):
                    index = by_uid.get(row.facts.uid)
                    if index is None:
                        continue
                    fetched = _open(tx, house, account, index, row, wanted)
                    if fetched is None:
                        continue
                    out.append(fetched)
                    octets += fetched.held_octets
                    if octets >= BATCH_OCTETS:
                        return out, part.index(index) + 1
            return out, len(part)

        found, done = await house.read.run(work)
        _opened.inc(len(found))
        self.lost += done - len(found)
        return found, done

    async def _bodies(self, part: Sequence[int], wanted: Sequence[Wanted]) -> tuple[list[Fetched], int]:
        """A batch of whole messages: one row each, and no record opened."""
        view, house, account = self._view, self._house, self._view.principal.account
        by_uid, ranges = {view.uids[index]: index for index in part}, view.uid_ranges(part)

        def work(tx: Transaction) -> tuple[list[Fetched], int]:
            out: list[Fetched] = []
            octets = 0
            for row in messages.with_bodies(tx, view.folder, account, ranges):
                index = by_uid.get(row.facts.uid)
                if index is None or (fetched := _open_whole(tx, house, account, index, row, wanted)) is None:
                    continue
                out.append(fetched)
                octets += fetched.held_octets
                if octets >= BATCH_OCTETS:
                    return out, part.index(index) + 1
            return out, len(part)

        found, done = await house.read.run(work)
        self.lost += done - len(found)
        return found, done

    async def _records(self, part: Sequence[int]) -> tuple[list[Fetched], int]:
        """A batch of records alone: those on the shelf need no opening, only their message's row."""
        view, house, account = self._view, self._house, self._view.principal.account
        by_uid, ranges, probe = {view.uids[index]: index for index in part}, view.uid_ranges(part), self._shelved

        def work(tx: Transaction) -> tuple[list[Fetched], int]:
            shelved = _shelved(tx, house, view, ranges) if probe else {}
            self._shelved = bool(shelved)
            missing = messages.ranges_of(uid for uid in by_uid if uid not in shelved) if shelved else ranges
            rows = {row.facts.uid: row for row in messages.sealed(tx, view.folder, account, missing)}
            out: list[Fetched] = []
            fresh: list[Fetched] = []
            octets, done = 0, len(part)
            for uid, index in by_uid.items():
                fetched: Fetched | None = None
                if (known := shelved.get(uid)) is not None:
                    fetched = Fetched(index, *known)
                elif (row := rows.get(Uid(uid))) is not None:
                    fetched = _open(tx, house, account, index, row, ())
                    fresh += () if fetched is None else (fetched,)
                if fetched is not None:
                    out.append(fetched)
                    octets += len(fetched.record.octets)
                    if octets >= BATCH_OCTETS:
                        done = part.index(index) + 1
                        break
            house.shelf.put(account, (((f.facts.body_id, f.facts.period), f.record) for f in fresh), tx.now)
            _opened.inc(len(fresh))
            return out, done

        found, done = await house.read.run(work)
        self.lost += done - len(found)
        return found, done

    async def stream(self, piece: Piece) -> AsyncIterator[bytes]:
        """The octets of a large piece, about 256 KiB at a time. Raises BodyGone, Unsealable."""
        assert piece.origin is not None
        async for octets in stream(self._house, piece.origin, piece.start, piece.start + piece.size_octets):
            yield octets

    async def trace(self, indexes: Sequence[int], wanted: Sequence[Wanted], *, mark_seen: bool) -> None:
        """Before any octet leaves: write the command's event, and set \\Seen where asked, in one transaction.

        Raises Refusal(NO_RIGHT).
        """
        view, principal = self._view, self._view.principal
        kind = Kind.READ if any(_shows_content(section) for section, _ in wanted) else Kind.LISTED
        unseen = [i for i in indexes if not view.flags[i] & Flag.SEEN.value] if mark_seen else []
        ranges, seen_ranges = view.uid_ranges(indexes), view.uid_ranges(unseen)
        event = Event(
            kind,
            principal.account,
            details={
                "folder": int(view.folder),
                "uids": [list(r) for r in ranges[:_TRACED_RANGES]],
                "count": len(indexes),
                "person": int(principal.person),
                "client": principal.client,
                "protocol": principal.protocol,
            },
        )

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.READ | Right.WRITE if seen_ranges else Right.READ)
            if seen_ranges:
                modseq = accounts.change(tx, principal.account)
                messages.store_flags(tx, view.folder, seen_ranges, FlagChange(flags_on=Flag.SEEN.value), modseq)
            tx.trail(event)

        await self._house.write.run(work)
        if unseen:
            await view.refresh()


_TRACED_RANGES = 1000
"""UID ranges in one event; a set more scattered than that is told by its count and first ranges."""


def _shows_content(section: Section) -> bool:
    return section.part in (Part.ALL, Part.TEXT)


def body_key(house: House, account: AccountId, row: SealedMessage) -> bytes:
    """Raises KeyDestroyed, Unsealable."""
    return house.keys.unwrap(account, row.facts.body_id, row.facts.period, row.wrapped)


def open_body(tx: Transaction, body: BodyId, key: bytes) -> Sealed:
    """Where a body lies and how it is cut. Raises BodyGone."""
    found = messages.body(tx, body)
    if found is None:
        raise BodyGone
    return Sealed(body, key, found[1], offsets_of(found[2]))


class OpenedBody:
    """Octets of one body, opened as they are asked for; the chunks opened last are kept, since parts lie together."""

    __slots__ = ("_bodies", "_body", "_held", "_key", "_sealed", "_start", "_tx")

    def __init__(self, tx: Transaction, bodies: Bodies, body: BodyId, key: bytes) -> None:
        self._tx = tx
        self._bodies = bodies
        self._body = body
        self._key = key
        self._sealed: Sealed | None = None
        self._start = 0
        self._held = b""

    def read(self, start: int, end: int) -> bytes:
        """Octets [start, end), in a thread that may block. Raises BodyGone, Unsealable."""
        if start >= end:
            return b""
        if start < self._start or end > self._start + len(self._held):
            if self._sealed is None:
                self._sealed = open_body(self._tx, self._body, self._key)
            self._start = start - start % CHUNK_OCTETS
            upto = -(-end // CHUNK_OCTETS) * CHUNK_OCTETS
            self._held = read_sealed(self._tx, self._bodies, self._sealed, self._start, upto)
        return self._held[start - self._start : end - self._start]


def _shelved(
    tx: Transaction, house: House, view: View, ranges: Sequence[tuple[int, int]]
) -> dict[int, tuple[Facts, Record]]:
    """By UID, the messages of these ranges whose record is on the shelf."""
    rows = messages.facts(tx, view.folder, ranges)
    records = house.shelf.find(view.principal.account, [(row.body_id, row.period) for row in rows], tx.now)
    return {row.uid: (row, record) for row, record in zip(rows, records, strict=True) if record is not None}


def _open(
    tx: Transaction, house: House, account: AccountId, index: int, row: SealedMessage, wanted: Sequence[Wanted]
) -> Fetched | None:
    """A message's record and pieces; None where it is gone or can't be opened."""
    try:
        key = body_key(house, account, row)
        record = Record(open_record(key, row.facts.body_id, row.record))
        if not wanted:
            return Fetched(index, row.facts, record)
        return Fetched(index, row.facts, record, _Pieces(tx, house, row, key, record).all(wanted))
    except KeyDestroyed:
        _unreadable.labels(reason="erased").inc()
    except BodyGone:
        _unreadable.labels(reason="gone").inc()
    except (Unsealable, RecordFormatError):
        _unreadable.labels(reason="damaged").inc()
    return None


def _open_whole(
    tx: Transaction, house: House, account: AccountId, index: int, row: SealedBody, wanted: Sequence[Wanted]
) -> Fetched | None:
    """A message's octets, or some of them; None where it is gone or can't be opened."""
    facts = row.facts
    try:
        key = house.keys.unwrap(account, facts.body_id, facts.period, row.wrapped)
        sealed = Sealed(facts.body_id, key, row.data is not None, offsets_of(row.lengths))
        size = facts.size_octets
        if size * len(wanted) > WHOLE_OCTETS:
            return Fetched(index, facts, _NO_RECORD, [_streamed(sealed, size, span) for _, span in wanted])
        if row.data is None:
            plain = read_sealed(tx, house.bodies, sealed, 0, size)
        else:
            plain = _opened_range(sealed, range(len(sealed.lengths)), sealed.lengths, row.data, 0, size)
        return Fetched(index, facts, _NO_RECORD, [_whole(plain, span) for _, span in wanted])
    except KeyDestroyed:
        _unreadable.labels(reason="erased").inc()
    except BodyGone:
        _unreadable.labels(reason="gone").inc()
    except Unsealable:
        _unreadable.labels(reason="damaged").inc()
    return None


def _streamed(sealed: Sealed, size: int, span: Span | None) -> Piece:
    """A piece of a large body."""
    start = 0 if span is None else min(size, span.start)
    end = size if span is None else min(size, start + span.count)
    return Piece(end - start, b"" if start == end else None, start, sealed)


class _Pieces:
    """The wanted sections of one message; its body is looked up once, and only where the record doesn't do."""

    def __init__(self, tx: Transaction, house: House, row: SealedMessage, key: bytes, record: Record) -> None:
        self._tx = tx
        self._house = house
        self._row = row
        self._key = key
        self._record = record
        self._sealed: Sealed | None = None
        self._held = 0

    def all(self, wanted: Sequence[Wanted]) -> list[Piece | None]:
        return [self._piece(section, span) for section, span in wanted]

    def _body(self) -> Sealed:
        if self._sealed is None:
            self._sealed = open_body(self._tx, self._row.facts.body_id, self._key)
        return self._sealed

    def _read(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        return read_sealed(self._tx, self._house.bodies, self._body(), start, end)

    def _piece(self, section: Section, span: Span | None) -> Piece | None:
        if not section.path and section.part is Part.ALL:
            place: Range | Octets | Chosen | None = Range(0, self._row.facts.size_octets)
        else:
            place = resolve(self._record, section)
        match place:
            case None:
                return None
            case Octets(data):
                return _whole(data, span)
            case Chosen():
                end = min(place.end, place.start + _HEADER_OCTETS)
                return _whole(place.of(self._read(place.start, end)), span)
            case Range(start, end):
                if span is not None:
                    start = min(end, start + span.start)
                    end = min(end, start + span.count)
                self._held += end - start
                if self._held > WHOLE_OCTETS:
                    self._held -= end - start
                    return Piece(end - start, None, start, self._body())
                data = self._read(start, end)
                return Piece(len(data), data)


def _whole(data: bytes, span: Span | None) -> Piece:
    if span is not None:
        data = data[span.start : span.start + span.count]
    return Piece(len(data), data)
