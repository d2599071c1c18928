"""The values that commands are made of, beyond base's nouns. A value that exists is valid."""

from dataclasses import dataclass
from enum import Enum, unique

from mssmail.base.section import Section, Span


@unique
class Numbering(Enum):
    """How a command counts messages and is answered: by sequence number, or by UID (the UID variants)."""

    SEQUENCE = "sequence"
    UID = "uid"


@dataclass(frozen=True, slots=True)
class FlagList:
    """Flags as a client names them. Unknown `\\Flags` and `\\Recent` are left out: nobody can set them."""

    system: int = 0
    """Bits of base.search.Flag."""
    keywords: tuple[str, ...] = ()
    """Atoms, as first spelt; of those that differ only in case, one."""


@unique
class StoreMode(Enum):
    """What STORE does with the flags it names (RFC 3501 §6.4.6)."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@unique
class StatusItem(Enum):
    """What STATUS can be asked (RFC 3501 §6.3.10)."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    """RFC 7162 §3.1.7."""
    SIZE = "SIZE"
    """Octets of all messages (RFC 8438 §3)."""
    DELETED_STORAGE = "DELETED-STORAGE"
    """Octets that EXPUNGE would free (RFC 9208 §4.1.4)."""
    APPENDLIMIT = "APPENDLIMIT"
    """Octets of the largest message that is taken (RFC 7889 §3.1)."""


@unique
class ListSelection(Enum):
    """Which names LIST is for (RFC 5258 §3.1, RFC 6154 §2)."""

    SUBSCRIBED = "SUBSCRIBED"
    REMOTE = "REMOTE"
    """Mailboxes of other servers too: there are none."""
    RECURSIVEMATCH = "RECURSIVEMATCH"
    SPECIAL_USE = "SPECIAL-USE"


@unique
class ListReturn(Enum):
    """What LIST tells of each name (RFC 5258 §3.2, RFC 6154 §2, RFC 5819 §2)."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"
    STATUS = "STATUS"


@unique
class SearchResult(Enum):
    """What SEARCH can return instead of a list of numbers (RFC 4731 §3.1)."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"


@unique
class FetchItem(Enum):
    """The data items of FETCH that have no section (RFC 3501 §6.4.5), under the name they are answered by."""

    ENVELOPE = "ENVELOPE"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    BODY = "BODY"
    """The structure without extension data."""
    BODYSTRUCTURE = "BODYSTRUCTURE"
    UID = "UID"
    MODSEQ = "MODSEQ"
    """RFC 7162 §3.1.4.2."""


@dataclass(frozen=True, slots=True)
class FetchSection:
    """Octets of a message: BODY[…], BODY.PEEK[…], RFC822, RFC822.HEADER, RFC822.TEXT."""

    section: Section
    span: Span | None
    peek: bool
    """Whether \\Seen stays as it is."""
    label: bytes
    """What it is called in the answer, ready: `BODY[HEADER]<0>`, `RFC822.TEXT`."""


FetchAttribute = FetchItem | FetchSection
