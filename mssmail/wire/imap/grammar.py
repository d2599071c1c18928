"""The words that all commands are spelt in (RFC 3501 §9): a cursor over a frame, and a reader for each production.

Readers raise ProtocolError and leave nothing half read to anyone. Each looks at an octet a bounded number of times;
none calls itself. Octets become text here: what leaves is str, save what a client is told back as it came.
"""

import re
from datetime import date, datetime, timedelta, timezone

from mssmail.base.ranges import Ranges
from mssmail.base.search import Flag
from mssmail.wire.imap import mutf7, sequence
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import UINT32_MAX, Frame, Literal
from mssmail.wire.imap.values import FlagList

MAX_MAILBOX_OCTETS = 1_024
"""A mailbox's name as spelt on the wire; the store's own limit is lower."""
INT63_MAX = (1 << 63) - 1
MAX_FLAGS = 1_000
"""Flags in one list; how many a folder takes is another matter."""

_ATOM_CHARS = rb"!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~"
ATOM = re.compile(rb"[" + _ATOM_CHARS + rb"]+")
ASTRING_ATOM = re.compile(rb"[" + _ATOM_CHARS + rb"\]]+")
LIST_ATOM = re.compile(rb"[" + _ATOM_CHARS + rb"\]%*]+")
_QUOTED = re.compile(rb'"([^"\\\r\n\0]*(?:\\["\\][^"\\\r\n\0]*)*)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{[0-9]{1,20}\+?\}\Z")
_DIGITS = re.compile(rb"[0-9]+")
_SEQUENCE = re.compile(rb"[0-9*:,]+")
_MONTHS = {name: i for i, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_DATE = re.compile(rb'(")?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})(?(1)")')
_DATE_TIME = re.compile(
    rb'"( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_SYSTEM_FLAGS = {flag.name.encode(): flag.value for flag in Flag}


def syntax(detail: str) -> ProtocolError:
    return ProtocolError(Fault.SYNTAX, detail)


class Cursor:
    """A place in a frame: a line, an offset in it, and how many literals lie behind."""

    __slots__ = ("_frame", "_index", "at", "line")

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._index = 0
        self.line = frame.texts[0]
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at == len(self.line) and self._index == len(self._frame.literals)

    def finish(self) -> None:
        if not self.ended:
            raise syntax("something follows the command")

    def peek(self) -> bytes:
        """Return the next octet, or nothing at a line's end."""
        return self.line[self.at : self.at + 1]

    def skip(self, octets: bytes) -> bool:
        """Step over `octets` if they are next."""
        if not self.line.startswith(octets, self.at):
            return False
        self.at += len(octets)
        return True

    def expect(self, octets: bytes) -> None:
        if not self.skip(octets):
            raise syntax(f"expected {'a space' if octets == b' ' else octets.decode()}")

    def space(self) -> None:
        self.expect(b" ")

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Match `pattern` here and step over it."""
        m = pattern.match(self.line, self.at)
        if m is not None:
            self.at = m.end()
        return m

    def take(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        m = self.match(pattern)
        if m is None:
            raise syntax(f"expected {what}")
        return m[0]

    def literal(self) -> Literal | None:
        """Step over a literal if it is next: literal = "{" number ["+"] "}" CRLF *CHAR8"""
        if self._index == len(self._frame.literals) or _LITERAL.match(self.line, self.at) is None:
            return None
        literal = self._frame.literals[self._index]
        self._index += 1
        self.line = self._frame.texts[self._index]
        self.at = 0
        return literal


def atom(cursor: Cursor) -> bytes:
    """atom = 1*ATOM-CHAR"""
    return cursor.take(ATOM, "an atom")


def keyword(cursor: Cursor) -> bytes:
    """A word of the grammar, compared without case: returned in upper case."""
    return cursor.take(ATOM, "a word").upper()


def string(cursor: Cursor) -> bytes:
    """string = quoted / literal

    quoted = DQUOTE *QUOTED-CHAR DQUOTE. Departs from RFC 3501 §9, which keeps quoted strings to 7 bits, because
    clients send UTF-8 in them, as RFC 9051 has it; who decodes refuses what isn't UTF-8.
    """
    m = cursor.match(_QUOTED)
    if m is not None:
        octets = m[1]
        return _ESCAPE.sub(rb"\1", octets) if b"\\" in octets else octets
    literal = cursor.literal()
    if literal is None or literal.octets is None:
        raise syntax("expected a string")
    if b"\0" in literal.octets:
        raise syntax("a literal holds NUL")  # CHAR8 = %x01-ff
    return literal.octets


def astring(cursor: Cursor) -> bytes:
    """astring = 1*ASTRING-CHAR / string"""
    m = cursor.match(ASTRING_ATOM)
    return m[0] if m is not None else string(cursor)


def nstring(cursor: Cursor) -> bytes | None:
    """nstring = string / nil"""
    return None if _nil(cursor) else string(cursor)


def _nil(cursor: Cursor) -> bool:
    if cursor.line[cursor.at : cursor.at + 3].upper() != b"NIL":
        return False
    cursor.at += 3
    return True


def text(octets: bytes) -> str:
    """Decode what a client typed, UTF-8 (US-ASCII is part of it).

    Raises ProtocolError: SYNTAX.
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise syntax("a string isn't UTF-8") from None


def number(cursor: Cursor) -> int:
    """number = 1*DIGIT ; 0 <= n < 4,294,967,296"""
    digits = cursor.take(_DIGITS, "a number")
    if len(digits) > 10 or int(digits) > UINT32_MAX:
        raise syntax("a number exceeds 32 bits")
    return int(digits)


def mod_sequence(cursor: Cursor) -> int:
    """mod-sequence-valzer = "0" / 1*DIGIT ; 0 <= n < 2^63 (RFC 7162 §7)"""
    digits = cursor.take(_DIGITS, "a mod-sequence")
    if len(digits) > 19 or int(digits) > INT63_MAX:
        raise syntax("a mod-sequence exceeds 63 bits")
    return int(digits)


def nz_number(cursor: Cursor) -> int:
    """nz-number = digit-nz *DIGIT ; 0 < n < 4,294,967,296"""
    if cursor.peek() == b"0":
        raise syntax("expected a number above zero")
    return number(cursor)


def sequence_set(cursor: Cursor) -> Ranges:
    """sequence-set = (seq-number / seq-range) *("," sequence-set)"""
    return sequence.parse(cursor.take(_SEQUENCE, "a sequence set"))


def mailbox(cursor: Cursor) -> str:
    """mailbox = "INBOX" / astring ; modified UTF-7, decoded; INBOX in any case is `INBOX`

    Raises ProtocolError: MAILBOX_NAME where it can't be a name, which is a NO, not a BAD.
    """
    return _mailbox_name(astring(cursor))


def list_mailbox(cursor: Cursor) -> str:
    """list-mailbox = 1*list-char / string ; decoded, wildcards as they are"""
    m = cursor.match(LIST_ATOM)
    return _mailbox_name(m[0] if m is not None else string(cursor))


def _mailbox_name(octets: bytes) -> str:
    if octets.upper() == b"INBOX":
        return "INBOX"
    name = mutf7.decode(octets) if len(octets) <= MAX_MAILBOX_OCTETS else None
    if name is None:
        raise ProtocolError(Fault.MAILBOX_NAME, "not a mailbox name in modified UTF-7")
    return name


def flag_list(cursor: Cursor) -> FlagList:
    """flag-list = "(" [flag *(SP flag)] ")" """
    cursor.expect(b"(")
    if cursor.skip(b")"):
        return FlagList()
    flags = bare_flags(cursor)
    cursor.expect(b")")
    return flags


def bare_flags(cursor: Cursor) -> FlagList:
    """flag *(SP flag)

    flag = "\\Answered" / "\\Flagged" / "\\Deleted" / "\\Seen" / "\\Draft" / flag-keyword / flag-extension
    flag-keyword = atom
    flag-extension = "\\" atom
    """
    system = 0
    keywords: dict[bytes, str] = {}
    for _ in range(MAX_FLAGS):
        if cursor.skip(b"\\"):
            system |= _SYSTEM_FLAGS.get(keyword(cursor), 0)
        else:
            name = atom(cursor)
            keywords.setdefault(name.upper(), name.decode())
        if not cursor.skip(b" "):
            return FlagList(system, tuple(keywords.values()))
    raise ProtocolError(Fault.TOO_MANY, "too many flags")


def day(cursor: Cursor) -> date:
    """date = date-text / DQUOTE date-text DQUOTE

    date-text = date-day "-" date-month "-" date-year
    """
    m = cursor.match(_DATE)
    month = _MONTHS.get(m[3].lower()) if m else None
    if m is None or month is None:
        raise syntax("expected a date")
    try:
        return date(int(m[4]), month, int(m[2]))
    except ValueError:
        raise syntax("there is no such day") from None


def date_time(cursor: Cursor) -> datetime:
    """date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE ; aware

    A leap second counts as the second before it.
    """
    m = cursor.match(_DATE_TIME)
    month = _MONTHS.get(m[2].lower()) if m else None
    if m is None or month is None:
        raise syntax("expected a date and time")
    offset = timedelta(hours=int(m[8]), minutes=int(m[9]))
    if offset >= timedelta(days=1) or int(m[9]) > 59:
        raise syntax("there is no such zone")
    second = min(int(m[6]), 59) if int(m[6]) <= 60 else 60
    try:
        zone = timezone(-offset if m[7] == b"-" else offset)
        return datetime(int(m[3]), month, int(m[1]), int(m[4]), int(m[5]), second, tzinfo=zone)
    except ValueError:
        raise syntax("there is no such time") from None
