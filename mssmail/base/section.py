"""What a reader asks of a message's bytes: a part, or some of it, as IMAP's FETCH names it (RFC 3501 §6.4.5)."""

from dataclasses import dataclass
from enum import Enum, unique


@unique
class Part(Enum):
    """Which bytes of a message or of one of its parts."""

    ALL = ""
    """The whole message, or with a path the part's content (BODY[1.2])."""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[path.part (fields)]; `path` is empty for the message itself."""

    path: tuple[int, ...] = ()
    part: Part = Part.ALL
    fields: tuple[bytes, ...] = ()
    """Field names as the client spelt them; compared without case."""


@dataclass(frozen=True, slots=True)
class Span:
    """`<start.count>`: octets from `start`, at most `count` (RFC 3501 §6.4.5 partial)."""

    start: int
    count: int
