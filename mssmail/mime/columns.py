"""Header fields of some hundred messages side by side, so that SEARCH FROM or SUBJECT reads them at a stretch.

Knows texts and their places; never keys or rows. The format lies on disk and is final: version (1 octet: 1), number of
columns (1), number of messages (4); then 8 octets for each message's body number, 4 for the day its Date header
names (day 1 is 0001-01-01; 0: none); then the columns. A column is: length of its name (1), the name in lower case,
length of its text (4), 4 octets for the length of each message's share, and the text. A share is the values of all
fields of that name in order, each after a NUL, normalised, in UTF-8; it is empty where there is no such field.
Numbers are little-endian. A reader skips columns that it doesn't know.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from mssmail.mime.headers import HeaderBlock
from mssmail.mime.record import Record
from mssmail.mime.text import needle
from mssmail.mime.words import decode

VERSION = 1
FIELDS = (b"from", b"to", b"cc", b"bcc", b"subject", b"message-id", b"in-reply-to", b"reply-to")
"""What clients search by: RFC 3501 §6.4.4 has keys for five; by Message-ID they look for what they appended."""
MAX_SHARE_OCTETS = 8 * 1024
"""Of a message whose fields are longer, together, no entry is kept: its record is opened instead."""


class ColumnsFormatError(ValueError):
    """These octets are no columns, or of a version that this program doesn't know."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message's part: its body's number, its day, and its share of each of FIELDS."""

    body: int
    day: int
    shares: tuple[bytes, ...]

    @property
    def octets(self) -> int:
        """What it takes in memory, about."""
        return sum(map(len, self.shares)) + 33 * len(self.shares)


def entry(body: int, record: Record) -> Entry | None:
    """A message's part of the columns; None where its header is too long. Raises RecordFormatError."""
    header = record.header
    if header is None:
        return None
    block = HeaderBlock(header)
    fold = bytes.lower if header.isascii() and b"=?" not in header else _fold
    shares = tuple([b"".join([b"\0" + fold(v) for v in block.all(name)]) for name in FIELDS])
    if sum(map(len, shares)) > MAX_SHARE_OCTETS:
        return None
    sent = record.sent
    return Entry(body, 0 if sent is None else sent.day.toordinal(), shares)


def _fold(value: bytes) -> bytes:
    return needle(decode(value))


def place(name: str, text: str) -> int | None:
    """Which share says whether such a field holds that text; None where none does: another field, or a NUL."""
    field = name.encode("utf-8", "replace").lower()
    return FIELDS.index(field) if field in FIELDS and "\0" not in text else None


def wanted(text: str) -> bytes:
    """What to look for in shares: any field of the name where the text is empty."""
    return needle(text) or b"\0"


def lacks(header: bytes, text: str) -> bool:
    """Whether no field of a header holds that text, as a look at its octets shows at once: a tenth of `entry`'s cost.

    False where only its fields tell.
    """
    if not text or not header.isascii() or b"=?" in header:
        return False
    unfolded = header.replace(b"\r\n", b"")
    return needle(text) not in unfolded.lower() and b"\n" not in unfolded and b"\r" not in unfolded


def _little(code: str, numbers: Iterable[int]) -> bytes:
    out = array(code, numbers)
    if sys.byteorder != "little":
        out.byteswap()
    return out.tobytes()


def pack(entries: Sequence[Entry]) -> bytes:
    """The octets of columns that hold these messages."""
    out = [
        bytes((VERSION, len(FIELDS))),
        len(entries).to_bytes(4, "little"),
        _little("Q", [e.body for e in entries]),
        _little("I", [e.day for e in entries]),
    ]
    for at, name in enumerate(FIELDS):
        shares = [e.shares[at] for e in entries]
        out += (
            bytes((len(name),)),
            name,
            sum(map(len, shares)).to_bytes(4, "little"),
            _little("I", map(len, shares)),
            *shares,
        )
    return b"".join(out)


class Columns:
    """Columns as `pack` made them."""

    __slots__ = ("_columns", "_octets", "bodies", "days")

    def __init__(self, packed: bytes) -> None:
        """Raises ColumnsFormatError."""
        if len(packed) < 6 or packed[0] != VERSION:
            raise ColumnsFormatError("not columns of version 1")
        self._octets = packed
        count = int.from_bytes(packed[2:6], "little")
        self._columns: dict[bytes, tuple[int, int, int]] = {}
        """Name: where the lengths stand, where the text begins, and where it ends."""
        at = 6 + 12 * count
        try:
            self.bodies = self._numbers("Q", 6, 8 * count)
            self.days = self._numbers("I", 6 + 8 * count, 4 * count)
            for _ in range(packed[1]):
                name_end = at + 1 + packed[at]
                length = int.from_bytes(packed[name_end : name_end + 4], "little")
                text = name_end + 4 + 4 * count
                self._columns[packed[at + 1 : name_end]] = name_end + 4, text, text + length
                at = text + length
        except (IndexError, ValueError) as damage:
            raise ColumnsFormatError("cut short") from damage
        if at != len(packed):
            raise ColumnsFormatError("cut short")

    def _numbers(self, code: str, start: int, size: int) -> "array[int]":
        out = array(code)
        out.frombytes(self._octets[start : start + size])
        if sys.byteorder != "little":
            out.byteswap()
        return out

    def __len__(self) -> int:
        return len(self.bodies)

    def knows(self, name: str, text: str) -> bool:
        """Whether `matching` can answer: there is such a column, and no NUL in what is looked for."""
        return name.encode("utf-8", "replace").lower() in self._columns and "\0" not in text

    def matching(self, name: str, text: str) -> list[int]:
        """Which messages, by place, have a field of that name with that text; any such field where it is empty.

        Raises ColumnsFormatError.
        """
        lengths_at, start, end = self._columns[name.encode("utf-8", "replace").lower()]
        looked_for = wanted(text)
        found: list[int] = []
        packed = self._octets
        at = packed.find(looked_for, start, end)
        if at < 0:
            return found
        ends = self._ends(lengths_at, start, end)
        while at >= 0:
            place = bisect_right(ends, at) - 1
            found.append(place)
            at = packed.find(looked_for, ends[place + 1], end)
        return found

    def _ends(self, lengths_at: int, start: int, end: int) -> list[int]:
        """Where each message's share begins, and where the last one ends."""
        ends = list(accumulate(self._numbers("I", lengths_at, start - lengths_at), initial=start))
        if ends[-1] != end:
            raise ColumnsFormatError("shares that don't make up their text")
        return ends

    def entries(self) -> list[Entry]:
        """Its messages, to be packed anew. Raises ColumnsFormatError."""
        shares: list[list[bytes]] = []
        for name in FIELDS:
            if name not in self._columns:
                raise ColumnsFormatError("a column is missing")
            ends = self._ends(*self._columns[name])
            shares.append([self._octets[a:b] for a, b in pairwise(ends)])
        rows = zip(*shares, strict=True)
        return [Entry(body, day, row) for body, day, row in zip(self.bodies, self.days, rows, strict=True)]
