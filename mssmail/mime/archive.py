"""A zip archive's table of contents, and some of its files, out of octets that may be anything. Pure.

Nothing is unpacked but what is asked for, in memory, up to a bound. The archive comes as a stream that is gone through
twice, so that its size needs no memory: first for its end, where the table stands, then for the files. What two
programs might read in two ways is refused: a table that isn't where its end says, files that overlap, a file whose own
header differs from the table's (the format: PKWARE's APPNOTE 6.3, §4.3).
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

Stream = Callable[[], Iterator[bytes]]
"""Gives the octets from their first on, in pieces, as often as it is called."""

MAX_ENTRIES: Final = 2_000
MAX_TABLE_OCTETS: Final = 512 * 1024
"""Names of some 200 characters in each entry."""
_MAX_COMMENT: Final = 65_535
_TAIL: Final = MAX_TABLE_OCTETS + _MAX_COMMENT + 22
MAX_RATIO: Final = 200
"""Metadata, which repeats themselves as little else, pack to a twentieth."""
_RATIO_FROM: Final = 256 * 1024
"""What unpacks to less harms nobody."""

_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENCRYPTED: Final = 0x2041
"""Bits 0, 6 and 13: encrypted, strongly so, or the table is."""
_UTF8: Final = 0x0800
_STORED, _DEFLATED = 0, 8
_WIDE: Final = 0xFFFF_FFFF
_MAX_LOCAL: Final = _LOCAL.size + 2 * 65_535
_LINK: Final = 0xA000


@unique
class Flaw(Enum):
    """Why an archive can't be read."""

    DAMAGED = "damaged"
    """It is cut, contradicts itself, or is no archive."""
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"
    """Over 4 GiB, in several volumes, or packed in a way that isn't known."""
    TRAVERSAL = "traversal"
    """A file's name leads out of the archive."""
    OVERLAP = "overlap"
    """Two of its files are made of the same octets."""
    BOMB = "bomb"
    """A file unpacks to far more than is plausible."""
    TOO_MANY = "too-many"
    """It holds too many files, or too many patients."""
    NESTED = "nested"
    """What is looked for lies in an archive within it."""
    NO_METADATA = "no-metadata"
    DOCTYPE = "doctype"
    """The metadata declare a document type, by which entities could come."""
    DEEP = "deep"
    """Elements within elements without end."""
    MALFORMED = "malformed"
    """The metadata are no well-formed XML."""


class Unread(Exception):
    """It can't be read, or mustn't be."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the table has it."""

    path: tuple[str, ...]
    """The parts of its name; one that leads out isn't read."""
    encrypted: bool
    method: int
    crc: int
    packed_octets: int
    octets: int
    start: int
    """Of its own header, in the archive."""
    limit: int
    """Where the next one's begins, or the table."""
    raw: bytes
    """Its name as it stands there."""


class Archive:
    """An archive's table. Raises Unread where it hasn't one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        size, tail = _tail(stream)
        self.entries = _entries(size, tail)

    def read(self, chosen: Sequence[Entry], most_octets: int) -> list[bytes]:
        """Some of its files, which may unpack to so many octets together. Raises Unread."""
        if any(entry.encrypted for entry in chosen):
            raise Unread(Flaw.ENCRYPTED)
        if sum(entry.octets for entry in chosen) > most_octets:
            raise Unread(Flaw.BOMB)
        if sum(entry.packed_octets for entry in chosen) > most_octets + 1024:
            raise Unread(Flaw.DAMAGED)  # deflate makes nothing that much longer
        ordered = sorted(chosen, key=lambda entry: entry.start)
        spans = [(e.start, min(e.limit, e.start + _MAX_LOCAL + e.packed_octets)) for e in ordered]
        found = dict(zip([e.start for e in ordered], _cut(self._stream, spans), strict=True))
        return [_unpack(entry, found[entry.start]) for entry in chosen]


def _tail(stream: Stream) -> tuple[int, bytes]:
    """How many octets there are, and the last of them."""
    size, tail = 0, bytearray()
    for piece in stream():
        size += len(piece)
        tail += piece
        if len(tail) > 2 * _TAIL:
            del tail[:-_TAIL]
    return size, bytes(tail[-_TAIL:])


def _cut(stream: Stream, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """The octets of these spans, which ascend and don't overlap."""
    found = [bytearray() for _ in spans]
    at = turn = 0
    for piece in stream():
        end = at + len(piece)
        while turn < len(spans) and spans[turn][0] < end:
            low, high = spans[turn]
            found[turn] += piece[max(low - at, 0) : high - at]
            if high > end:
                break
            turn += 1
        at = end
        if turn == len(spans):
            break
    return [bytes(each) for each in found]


def _entries(size: int, tail: bytes) -> tuple[Entry, ...]:
    at = _end_of(tail)
    _, disk, table_disk, here, count, table_octets, table_start, _ = _END.unpack_from(tail, at)
    if disk or table_disk or here != count or _WIDE in (table_octets, table_start):
        raise Unread(Flaw.UNSUPPORTED)
    if count > MAX_ENTRIES or table_octets > MAX_TABLE_OCTETS:
        raise Unread(Flaw.TOO_MANY)
    base = size - len(tail)
    if table_start + table_octets != base + at or table_start < base:
        raise Unread(Flaw.DAMAGED)
    table = tail[table_start - base : at]
    found: list[Entry] = []
    place = 0
    for _ in range(count):
        entry, place = _entry(table, place)
        found.append(entry)
    if place != len(table):
        raise Unread(Flaw.DAMAGED)
    return _apart(found, table_start)


def _end_of(tail: bytes) -> int:
    """Where the end record begins, whose comment is the archive's last octets."""
    at = len(tail)
    while (at := tail.rfind(b"PK\x05\x06", max(0, len(tail) - _MAX_COMMENT - _END.size), at)) >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            return at
    raise Unread(Flaw.DAMAGED)


def _entry(table: bytes, at: int) -> tuple[Entry, int]:
    """The entry there, and where the next one begins."""
    if at + _CENTRAL.size > len(table):
        raise Unread(Flaw.DAMAGED)
    head = _CENTRAL.unpack_from(table, at)
    flags, method, crc, packed, octets = head[3], head[4], head[7], head[8], head[9]
    name, extra, comment, disk, start = head[10], head[11], head[12], head[13], head[16]
    end = at + _CENTRAL.size + name + extra + comment
    if head[0] != b"PK\x01\x02" or end > len(table):
        raise Unread(Flaw.DAMAGED)
    if disk or _WIDE in (packed, octets, start):
        raise Unread(Flaw.UNSUPPORTED)
    raw = table[at + _CENTRAL.size : at + _CENTRAL.size + name]
    path = _path(raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace"))
    if head[15] >> 16 & 0xF000 == _LINK:
        raise Unread(Flaw.TRAVERSAL)
    return Entry(path, bool(flags & _ENCRYPTED), method, crc, packed, octets, start, 0, raw), end


def _path(name: str) -> tuple[str, ...]:
    """A name's parts; Windows' separators are taken for what they are meant. Raises Unread(TRAVERSAL)."""
    parts = name.replace("\\", "/").split("/")
    if "\0" in name or ".." in parts or not parts[0] or ":" in parts[0]:
        raise Unread(Flaw.TRAVERSAL)
    return tuple(part for part in parts if part not in ("", "."))


def _apart(found: Sequence[Entry], table_start: int) -> tuple[Entry, ...]:
    """The entries, each with where the next begins. Raises Unread(OVERLAP)."""
    ordered = sorted(found, key=lambda entry: entry.start)
    limits = [entry.start for entry in ordered[1:]] + [table_start]
    placed = []
    for entry, limit in zip(ordered, limits, strict=False):
        if entry.start + _LOCAL.size + len(entry.raw) + entry.packed_octets > limit:
            raise Unread(Flaw.OVERLAP)
        shown = (entry.path, entry.encrypted, entry.method, entry.crc, entry.packed_octets, entry.octets)
        placed.append(Entry(*shown, entry.start, limit, entry.raw))
    return tuple(placed)


def _unpack(entry: Entry, found: bytes) -> bytes:
    """A file's octets, out of those from its own header on."""
    if len(found) < _LOCAL.size:
        raise Unread(Flaw.DAMAGED)
    mark, _, flags, method, _, _, _, _, _, name, extra = _LOCAL.unpack_from(found)
    start = _LOCAL.size + name + extra
    packed = found[start : start + entry.packed_octets]
    same = found[_LOCAL.size : _LOCAL.size + name] == entry.raw and method == entry.method
    if mark != b"PK\x03\x04" or not same or len(packed) != entry.packed_octets or flags & _ENCRYPTED:
        raise Unread(Flaw.DAMAGED)
    if method == _STORED:
        plain = packed
    elif method == _DEFLATED:
        plain = _inflate(packed, entry.octets)
    else:
        raise Unread(Flaw.UNSUPPORTED)
    if len(plain) != entry.octets or zlib.crc32(plain) != entry.crc:
        raise Unread(Flaw.DAMAGED)
    return plain


def _inflate(packed: bytes, octets: int) -> bytes:
    """Unpack no more than was announced."""
    if octets > _RATIO_FROM and octets > MAX_RATIO * len(packed):
        raise Unread(Flaw.BOMB)
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(packed, octets + 1)
    except zlib.error:
        raise Unread(Flaw.DAMAGED) from None
    if len(plain) > octets:
        raise Unread(Flaw.BOMB)
    if not unpacking.eof:
        raise Unread(Flaw.DAMAGED)
    return plain
