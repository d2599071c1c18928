"""What a reader looks for, as a tree of keys (RFC 3501 §6.4.4). Protocols parse into it; flow evaluates it."""

from dataclasses import dataclass
from datetime import date
from enum import Enum, unique


@unique
class Flag(Enum):
    """System flags a message can carry, by their bit in the store."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: Flag


@dataclass(frozen=True, slots=True)
class HasKeyword:
    keyword: str


@dataclass(frozen=True, slots=True)
class Recent:
    """RECENT."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Messages whose mod-sequence is this one or a later one (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Message numbers: inclusive (low, high) pairs with low <= high; 0 stands for `*` until resolved."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class UidSet:
    """UIDs, as SequenceSet."""

    ranges: tuple[tuple[int, int], ...]


@unique
class When(Enum):
    """How a date is compared."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Arrived:
    """BEFORE, ON, SINCE on INTERNALDATE, disregarding time and zone (RFC 3501 §6.4.4)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Sent:
    """SENTBEFORE, SENTON, SENTSINCE on the Date header, disregarding time and zone."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Larger:
    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    octets: int


@dataclass(frozen=True, slots=True)
class Header:
    """HEADER name text; FROM, TO, CC, BCC and SUBJECT too. An empty text matches a field that is there."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """Text in the body, decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Text in header or body, decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    key: "Key"


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple["Key", ...]


@dataclass(frozen=True, slots=True)
class Or:
    left: "Key"
    right: "Key"


Key = (
    All
    | HasFlag
    | HasKeyword
    | Recent
    | Changed
    | SequenceSet
    | UidSet
    | Arrived
    | Sent
    | Larger
    | Smaller
    | Header
    | Body
    | Text
    | Not
    | And
    | Or
)
