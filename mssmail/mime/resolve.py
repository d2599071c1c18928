"""Which octets of a message a section names (RFC 3501 §6.4.5), from its record alone."""

from dataclasses import dataclass

from mssmail.base.section import Part as What
from mssmail.base.section import Section
from mssmail.mime.headers import header_fields
from mssmail.mime.parts import Kind, Part
from mssmail.mime.record import Record


@dataclass(frozen=True, slots=True)
class Range:
    """The answer is message[start:end]."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Octets:
    """The answer itself: the message need not be opened."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer is `of(message[start:end])`: some fields of a header that lies there."""

    start: int
    end: int
    names: tuple[bytes, ...]
    exclude: bool

    def of(self, block: bytes) -> bytes:
        """The chosen fields of that header block, and its blank line."""
        return header_fields(block, self.names, exclude=self.exclude)


def resolve(record: Record, section: Section) -> Range | Octets | Chosen | None:
    """Say where a section lies; None where the message has no such section.

    BODY[1] of a message that isn't a multipart is its text. HEADER, its subsets and TEXT after a path belong to a
    message/rfc822 part alone; MIME needs a path. Raises RecordFormatError.
    """
    what = section.part
    if not section.path and (record.header is not None) and what in _HEADERS:
        return _of_known_header(record.header, section)
    parts = record.parts
    if not section.path:
        return _of_message(parts[0], section)
    index = _find(parts, section.path)
    if index is None:
        return None
    part = parts[index]
    match what:
        case What.ALL:
            return Range(part.body_start, part.end)
        case What.MIME:
            return Range(part.header_start, part.body_start)
        case _:
            if part.kind is not Kind.MESSAGE or not part.children:
                return None
            return _of_message(parts[part.children[0]], section)


_HEADERS = frozenset({What.HEADER, What.HEADER_FIELDS, What.HEADER_FIELDS_NOT})


def _of_known_header(header: bytes, section: Section) -> Octets:
    if section.part is What.HEADER:
        return Octets(header)
    return Octets(header_fields(header, section.fields, exclude=section.part is What.HEADER_FIELDS_NOT))


def _of_message(part: Part, section: Section) -> Range | Chosen | None:
    """A section of a message, outermost or embedded, as a whole."""
    match section.part:
        case What.ALL:
            return Range(part.header_start, part.end)
        case What.HEADER:
            return Range(part.header_start, part.body_start)
        case What.TEXT:
            return Range(part.body_start, part.end)
        case What.MIME:
            return None
        case _:
            exclude = section.part is What.HEADER_FIELDS_NOT
            return Chosen(part.header_start, part.body_start, section.fields, exclude)


def _find(parts: tuple[Part, ...], path: tuple[int, ...]) -> int | None:
    """The part that a path of numbers leads to.

    Numbers count the parts of a multipart. A message that is no multipart has one part, its own body. A message/rfc822
    part is stepped through as the message that it embeds.
    """
    index, as_message = 0, True
    for number in path:
        part = parts[index]
        if not as_message and part.kind is Kind.MESSAGE and part.children:
            index, as_message = part.children[0], True
            part = parts[index]
        if part.kind is Kind.MULTIPART:
            if not 1 <= number <= len(part.children):
                return None
            index, as_message = part.children[number - 1], False
        elif as_message and number == 1:
            as_message = False
        else:
            return None
    return index
