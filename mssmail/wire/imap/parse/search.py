"""Arguments of SEARCH: keys into base.search's tree, without recursion, bounded in depth and number.

Chains of OR, which clients build to ask for many Message-IDs at once, become a balanced tree: only other nesting
counts as depth. Strings are UTF-8 whatever CHARSET says or leaves out: US-ASCII is part of it, and clients send it so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import assert_never

from mssmail.base.search import (
    All,
    And,
    Arrived,
    Body,
    Changed,
    Flag,
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
from mssmail.wire.imap import commands
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.grammar import (
    Cursor,
    astring,
    atom,
    day,
    keyword,
    mod_sequence,
    number,
    sequence_set,
    string,
    syntax,
    text,
)
from mssmail.wire.imap.parse.fetch import field_name
from mssmail.wire.imap.values import Numbering, SearchResult

MAX_DEPTH = 50
"""Parentheses, NOTs, and ORs that stand in something else than an OR, inside each other."""
MAX_KEYS = 2_048
"""Keys of one search, connectives included: each may be asked of every message."""
CHARSETS = (b"US-ASCII", b"UTF-8")

_RESULTS = {result.value.encode(): result for result in SearchResult}
_ENTRY_TYPES = (b"PRIV", b"SHARED", b"ALL")


def search(numbering: Numbering) -> Callable[[Cursor], commands.Search]:
    """search = "SEARCH" [SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"]
    [SP "CHARSET" SP astring] 1*(SP search-key) ; RFC 4466 §2.6.1

    search-return-opt = "MIN" / "MAX" / "ALL" / "COUNT" ; RFC 4731 §4

    Raises ProtocolError: CHARSET for one that isn't known, before any key is looked at.
    """

    def read(cursor: Cursor) -> commands.Search:
        cursor.space()
        results = _results(cursor)
        if _word(cursor, b"CHARSET "):
            if astring(cursor).upper() not in CHARSETS:
                raise ProtocolError(Fault.CHARSET)
            cursor.space()
        key = search_keys(cursor)
        return commands.Search(key, numbering, results, _looks_for(key, Changed))

    return read


def _word(cursor: Cursor, word: bytes) -> bool:
    """Step over a word, in any case, if it is next."""
    if cursor.line[cursor.at : cursor.at + len(word)].upper() != word:
        return False
    cursor.at += len(word)
    return True


def _results(cursor: Cursor) -> frozenset[SearchResult] | None:
    """["RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP] ; none is ALL (RFC 4731 §3.1)"""
    if not _word(cursor, b"RETURN "):
        return None
    cursor.expect(b"(")
    found: set[SearchResult] = set()
    while not cursor.skip(b")"):
        if found:
            cursor.space()
        result = _RESULTS.get(keyword(cursor))
        if result is None:
            raise syntax("unknown result of SEARCH")
        found.add(result)
    cursor.space()
    return frozenset(found or {SearchResult.ALL})


def _looks_for(key: Key, kind: type) -> bool:
    """Whether a key of that kind stands anywhere in the tree."""
    rest = [key]
    while rest:
        match rest.pop():
            case And(keys):
                rest += keys
            case Or(left, right):
                rest += (left, right)
            case Not(inner):
                rest.append(inner)
            case leaf:
                if isinstance(leaf, kind):
                    return True
    return False


class _Kind(Enum):
    TOP = auto()
    """The command's own keys, up to its end."""
    GROUP = auto()
    """Keys up to a closing parenthesis."""
    NOT = auto()
    OR = auto()


@dataclass(slots=True)
class _Open:
    """A connective whose operands are still coming."""

    kind: _Kind
    keys: list[Key] = field(default_factory=list)
    operands: int = 0
    """How many came; an OR of ORs has more keys than operands."""

    @property
    def full(self) -> bool:
        return (self.kind is _Kind.NOT and self.operands == 1) or (self.kind is _Kind.OR and self.operands == 2)

    def build(self) -> Key:
        match self.kind:
            case _Kind.TOP | _Kind.GROUP:
                return self.keys[0] if len(self.keys) == 1 else And(tuple(self.keys))
            case _Kind.NOT:
                return Not(self.keys[0])
            case _Kind.OR:
                return _balanced(self.keys)
            case _:
                assert_never(self.kind)


def _balanced(keys: list[Key]) -> Key:
    """Join two keys or more by ORs, as flat as a binary tree can be."""
    while len(keys) > 1:
        pairs: list[Key] = [Or(left, right) for left, right in zip(keys[::2], keys[1::2], strict=False)]
        keys = pairs + keys[len(pairs) * 2 :]
    return keys[0]


def search_keys(cursor: Cursor) -> Key:
    """search-key *(SP search-key), to the command's end

    search-key = … / "NOT" SP search-key / "OR" SP search-key SP search-key / "(" search-key *(SP search-key) ")"
    """
    stack = [_Open(_Kind.TOP)]
    depth = 0
    for _ in range(MAX_KEYS):
        kind = _opening(cursor)
        if kind is not None:
            depth += not (kind is _Kind.OR and stack[-1].kind is _Kind.OR)
            if depth > MAX_DEPTH:
                raise ProtocolError(Fault.TOO_DEEP, "search keys are nested too deep")
            stack.append(_Open(kind))
            continue
        stack[-1].keys.append(leaf(cursor))
        stack[-1].operands += 1
        while _closes(stack[-1], cursor):
            done = stack.pop()
            if not stack:
                return done.build()
            chained = done.kind is _Kind.OR and stack[-1].kind is _Kind.OR
            depth -= not chained
            stack[-1].keys.extend(done.keys if chained else (done.build(),))
            stack[-1].operands += 1
        cursor.space()
    raise ProtocolError(Fault.TOO_MANY, "too many search keys")


def _opening(cursor: Cursor) -> _Kind | None:
    """Step over what opens a connective, if that is next."""
    if cursor.skip(b"("):
        return _Kind.GROUP
    for word, kind in ((b"NOT ", _Kind.NOT), (b"OR ", _Kind.OR)):
        if _word(cursor, word):
            return kind
    return None


def _closes(top: _Open, cursor: Cursor) -> bool:
    if top.kind is _Kind.TOP:
        return cursor.ended
    return cursor.skip(b")") if top.kind is _Kind.GROUP else top.full


def _flag(flag: Flag, _: Cursor) -> Key:
    return HasFlag(flag)


def _without_flag(flag: Flag, _: Cursor) -> Key:
    return Not(HasFlag(flag))


def _constant(key: Key, _: Cursor) -> Key:
    return key


def _field(name: str, cursor: Cursor) -> Key:
    """("BCC" / "CC" / "FROM" / "SUBJECT" / "TO") SP astring"""
    cursor.space()
    return Header(name, text(astring(cursor)))


def _header(cursor: Cursor) -> Key:
    """ "HEADER" SP header-fld-name SP astring"""
    cursor.space()
    name = field_name(cursor).decode()
    cursor.space()
    return Header(name, text(astring(cursor)))


def _body(cursor: Cursor) -> Key:
    """ "BODY" SP astring"""
    cursor.space()
    return Body(text(astring(cursor)))


def _text(cursor: Cursor) -> Key:
    """ "TEXT" SP astring"""
    cursor.space()
    return Text(text(astring(cursor)))


def _arrived(when: When, cursor: Cursor) -> Key:
    """("BEFORE" / "ON" / "SINCE") SP date"""
    cursor.space()
    return Arrived(when, day(cursor))


def _sent(when: When, cursor: Cursor) -> Key:
    """("SENTBEFORE" / "SENTON" / "SENTSINCE") SP date"""
    cursor.space()
    return Sent(when, day(cursor))


def _keyword(cursor: Cursor) -> Key:
    """ "KEYWORD" SP flag-keyword"""
    cursor.space()
    return HasKeyword(atom(cursor).decode())


def _without_keyword(cursor: Cursor) -> Key:
    """ "UNKEYWORD" SP flag-keyword"""
    return Not(_keyword(cursor))


def _larger(cursor: Cursor) -> Key:
    """ "LARGER" SP number"""
    cursor.space()
    return Larger(number(cursor))


def _smaller(cursor: Cursor) -> Key:
    """ "SMALLER" SP number"""
    cursor.space()
    return Smaller(number(cursor))


def _uid(cursor: Cursor) -> Key:
    """ "UID" SP sequence-set"""
    cursor.space()
    return UidSet(sequence_set(cursor))


def _changed(cursor: Cursor) -> Key:
    """ "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer

    A message has one mod-sequence: which entry is asked about makes no difference (RFC 7162 §3.1.5).
    """
    cursor.space()
    if not cursor.peek().isdigit():
        string(cursor)
        cursor.space()
        if keyword(cursor) not in _ENTRY_TYPES:
            raise syntax("expected priv, shared or all")
        cursor.space()
    return Changed(mod_sequence(cursor))


_LEAVES: dict[bytes, Callable[[Cursor], Key]] = {
    b"ALL": partial(_constant, All()),
    b"NEW": partial(_constant, And((Recent(), Not(HasFlag(Flag.SEEN))))),
    b"OLD": partial(_constant, Not(Recent())),
    b"RECENT": partial(_constant, Recent()),
    **{flag.name.encode(): partial(_flag, flag) for flag in Flag},
    **{b"UN" + flag.name.encode(): partial(_without_flag, flag) for flag in Flag},
    **{name.upper().encode(): partial(_field, name) for name in ("Bcc", "Cc", "From", "Subject", "To")},
    **{when.name.encode(): partial(_arrived, when) for when in When},
    **{b"SENT" + when.name.encode(): partial(_sent, when) for when in When},
    b"HEADER": _header,
    b"BODY": _body,
    b"TEXT": _text,
    b"KEYWORD": _keyword,
    b"UNKEYWORD": _without_keyword,
    b"LARGER": _larger,
    b"SMALLER": _smaller,
    b"UID": _uid,
    b"MODSEQ": _changed,
}


def leaf(cursor: Cursor) -> Key:
    """search-key, of those that hold no other: a word with its arguments, or a sequence-set"""
    if cursor.peek() == b"*" or cursor.peek().isdigit():
        return SequenceSet(sequence_set(cursor))
    read = _LEAVES.get(keyword(cursor))
    if read is None:
        raise syntax("unknown search key")
    return read(cursor)
