"""The small record that is kept, sealed, beside each message, so that a listing never opens a body.

The format lies on disk and is final. Octet 0 is the version (1), octet 1 the number of sections; then a table of (tag:
1 octet, length: 4 octets, big-endian) for each; then the sections, in the order of the table. A reader skips tags
that it doesn't know; a writer of a later day adds tags, never changes one. An absent tag says that this isn't known.

| tag | section |
| --- | --- |
| 1 | ENVELOPE, as IMAP spells it |
| 2 | BODYSTRUCTURE, as IMAP spells it |
| 3 | BODY, as IMAP spells it |
| 4 | the part index: `parts` says how |
| 5 | Date header: epoch seconds (8 octets, signed), day number of the date as written (4; 1 is 0001-01-01) |
| 6 | the outermost header block, where it is no longer than 64 KiB |
| 7 | preview, UTF-8 |
"""

import struct
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, unique

from mssmail.mime import dates, envelope, structure
from mssmail.mime.limits import DEFAULT, Limits
from mssmail.mime.node import Node
from mssmail.mime.parts import Part, pack, unpack

VERSION = 1
HEADER_MAX = 64 * 1024
"""A longer header block is read from the body when asked for: the record stays small enough to be listed."""

_ENTRY = struct.Struct(">BI")
_DATE = struct.Struct(">qi")


@unique
class Tag(IntEnum):
    """Sections of a record; numbers are on disk, never reused."""

    ENVELOPE = 1
    BODYSTRUCTURE = 2
    BODY = 3
    PARTS = 4
    DATE = 5
    HEADER = 6
    PREVIEW = 7


class RecordFormatError(ValueError):
    """These octets are no record, or one of a version that this program doesn't know."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The Date header: the moment, and the day as the sender wrote it (SENTSINCE disregards time and zone)."""

    epoch_s: int
    day: date


class Record:
    """A record over its octets; each section is cut out when it is asked for."""

    __slots__ = ("_parts", "octets")

    def __init__(self, octets: bytes) -> None:
        """Take octets as `octets` gave them. Raises RecordFormatError; inner damage shows when a section is read."""
        if len(octets) < 2 or octets[0] != VERSION or len(octets) < 2 + 5 * octets[1]:
            raise RecordFormatError("not a record of version 1")
        self.octets = octets
        self._parts: tuple[Part, ...] = ()

    def section(self, tag: int) -> bytes | None:
        """The octets of a section, None where it is absent."""
        octets = self.octets
        start = 2 + 5 * octets[1]
        for each, length in _ENTRY.iter_unpack(octets[2:start]):
            if each == tag:
                return octets[start : start + length]
            start += length
        return None

    @property
    def envelope(self) -> bytes:
        return self.section(Tag.ENVELOPE) or b""

    @property
    def body(self) -> bytes:
        return self.section(Tag.BODY) or b""

    @property
    def bodystructure(self) -> bytes:
        return self.section(Tag.BODYSTRUCTURE) or b""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, each before its children; the first is the message itself. Raises RecordFormatError."""
        if self._parts:
            return self._parts
        try:
            found = unpack(self.section(Tag.PARTS) or b"")
        except (struct.error, IndexError) as damage:
            raise RecordFormatError("part index") from damage
        if not found:
            raise RecordFormatError("part index")
        self._parts = found
        return found

    @property
    def sent(self) -> Sent | None:
        """The Date header, None where there is none that can be read. Raises RecordFormatError."""
        section = self.section(Tag.DATE)
        if section is None:
            return None
        try:
            epoch_s, day = _DATE.unpack_from(section)
            return Sent(epoch_s, date.fromordinal(day))
        except (struct.error, ValueError) as damage:
            raise RecordFormatError("date") from damage

    @property
    def header(self) -> bytes | None:
        """The outermost header block, octet for octet; None where the message has to be opened for it."""
        return self.section(Tag.HEADER)

    @property
    def preview(self) -> str:
        return (self.section(Tag.PREVIEW) or b"").decode("utf-8", "replace")


def encode(sections: dict[int, bytes]) -> bytes:
    """The octets of a record of these sections, in their order."""
    table = b"".join([_ENTRY.pack(tag, len(octets)) for tag, octets in sections.items()])
    return b"".join((bytes((VERSION, len(sections))), table, *sections.values()))


def build(node: Node, *, preview: str = "", limits: Limits = DEFAULT) -> Record:
    """The record of a scanned message."""
    block = node.block
    if block is None:
        raise ValueError("only an outermost message has a record")
    body, bodystructure = structure.render(node)
    sections: dict[int, bytes] = {
        Tag.ENVELOPE: envelope.render(block, limit=limits.addresses),
        Tag.BODYSTRUCTURE: bodystructure,
        Tag.BODY: body,
        Tag.PARTS: pack(node),
    }
    written = block.first(b"date")
    if written and (at := dates.parse(written)) is not None:
        sections[Tag.DATE] = _DATE.pack(int(at.timestamp()), at.toordinal())
    if node.body_start == len(block.raw) <= HEADER_MAX:
        sections[Tag.HEADER] = block.raw
    if preview:
        sections[Tag.PREVIEW] = preview.encode("utf-8", "replace")
    return Record(encode(sections))
