"""FETCH responses (RFC 3501 §7.4.2), the hot path: a hundred thousand of them answer one command.

Items are `Rendered` octets, made here only, so that raw octets of a message can't slip between parentheses by
accident. The octets of a section may be streamed: `section_head`, the octets, then the rest of the line. The caller
vouches for what `envelope` and `structure` are given: nstrings and lists as §7.4.2 spells them, literals included.
"""

from collections.abc import Iterable, Mapping
from typing import NewType

from mssmail.wire.imap import encode
from mssmail.wire.imap.encode import SYSTEM_FLAGS

Rendered = NewType("Rendered", bytes)
"""A data item as it goes onto the wire."""

MAX_RENDERED_FLAGS = 8_192
"""Combinations kept at once; mailboxes have dozens."""

_RECENT = 1 << 5
"""The bit above base.search.Flag's, in a rendered combination's key."""
_KEYWORD_SHIFT = 6


class FlagWriter:
    """Write the FLAGS item of a folder's messages; each combination is spelt once.

    `keywords` gives each keyword's name by its bit's number; when a folder gains one, make a new writer.
    """

    __slots__ = ("_keywords", "_known")

    def __init__(self, keywords: Mapping[int, str]) -> None:
        self._keywords = tuple((1 << number, encode.atom(name)) for number, name in sorted(keywords.items()))
        self._known: dict[int, Rendered] = {}

    def item(self, system: int, keywords: int = 0, *, recent: bool = False) -> Rendered:
        """`FLAGS (…)`: `system` of base.search.Flag's bits, `keywords` by number; bits without a name are left out."""
        key = system | (_RECENT if recent else 0) | keywords << _KEYWORD_SHIFT
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_RENDERED_FLAGS:
                self._known.clear()
            known = self._known[key] = self._spell(system, keywords, recent=recent)
        return known

    def _spell(self, system: int, keywords: int, *, recent: bool) -> Rendered:
        words = [name for bit, name in SYSTEM_FLAGS if system & bit]
        words += [name for bit, name in self._keywords if keywords & bit]
        if recent:
            words.append(b"\\Recent")
        return Rendered(b"FLAGS (" + b" ".join(words) + b")")


def flags_line(number: int, flags: Rendered) -> bytes:
    """`* n FETCH (FLAGS (…))`: what a session says of itself when flags change."""
    return b"* %d FETCH (%b)\r\n" % (number, flags)


def uid_flags_line(number: int, uid: int, flags: Rendered) -> bytes:
    """`* n FETCH (UID u FLAGS (…))`"""
    return b"* %d FETCH (UID %d %b)\r\n" % (number, uid, flags)


def modseq_flags_line(number: int, uid: int, flags: Rendered, modseq: int) -> bytes:
    """`* n FETCH (UID u FLAGS (…) MODSEQ (m))`: the same, to a session that follows mod-sequences."""
    return b"* %d FETCH (UID %d %b MODSEQ (%d))\r\n" % (number, uid, flags, modseq)


def line(number: int, items: Iterable[Rendered]) -> bytes:
    """message-data = nz-number SP "FETCH" SP msg-att"""
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(items))


def head(number: int, items: Iterable[Rendered]) -> bytes:
    """Open a response that goes on: `* n FETCH (` and what is ready; then a space or not is the caller's `joint`."""
    return b"* %d FETCH (%b" % (number, b" ".join(items))


JOINT = b" "
"""Between two items of a response sent in pieces."""
END = b")\r\n"
"""Ends a response sent in pieces."""


def uid(number: int) -> Rendered:
    return Rendered(b"UID %d" % number)


def modseq(number: int) -> Rendered:
    """fetch-mod-resp = "MODSEQ" SP "(" permsg-modsequence ")" ; RFC 7162 §7"""
    return Rendered(b"MODSEQ (%d)" % number)


def size(octets: int) -> Rendered:
    return Rendered(b"RFC822.SIZE %d" % octets)


def envelope(octets: bytes) -> Rendered:
    return Rendered(b"ENVELOPE " + octets)


def structure(octets: bytes) -> Rendered:
    return Rendered(b"BODYSTRUCTURE " + octets)


def body(octets: bytes) -> Rendered:
    """BODY: the structure without extension data."""
    return Rendered(b"BODY " + octets)


def section(label: bytes, octets: bytes | None) -> Rendered:
    """Octets of a message under a FetchSection's label, as a literal; NIL where there is no such part."""
    if octets is None:
        return Rendered(label + b" NIL")
    return Rendered(b"%b {%d}\r\n%b" % (label, len(octets), octets))


def section_head(label: bytes, size_octets: int) -> bytes:
    """What goes before exactly `size_octets` octets that the caller then sends."""
    return b"%b {%d}\r\n" % (label, size_octets)
