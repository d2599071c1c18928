"""Arguments of FETCH: data items, macros, sections and partial spans."""

import re
from collections.abc import Callable

from mssmail.base.section import Part, Section, Span
from mssmail.wire.imap import commands
from mssmail.wire.imap.encode import astring as spell
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.grammar import Cursor, astring, keyword, mod_sequence, number, nz_number, syntax
from mssmail.wire.imap.parse.message import messages
from mssmail.wire.imap.values import FetchAttribute, FetchItem, FetchSection, Numbering

MAX_ATTRIBUTES = 128
"""Each may send a whole message; clients ask for ten or so."""
MAX_FIELDS = 256
"""Header fields named in one section."""
MAX_PATH = 64
"""Depth of a part's number; deeper nesting is shown by no one."""

_WORD = re.compile(rb"[A-Z0-9.]+", re.IGNORECASE)
_SECTION_WORD = re.compile(rb"[A-Z.]+", re.IGNORECASE)
_FIELD_NAME = re.compile(rb"[!-9;-~]+\Z")
"""RFC 5322 §3.6.8 ftext: a name with anything else names no field."""

_FAST: tuple[FetchAttribute, ...] = (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.SIZE)
_ALL = (*_FAST, FetchItem.ENVELOPE)
_MACRO = re.compile(rb"(ALL|FULL|FAST)(?= |\Z)", re.IGNORECASE)
_MACROS = {b"FAST": _FAST, b"ALL": _ALL, b"FULL": (*_ALL, FetchItem.BODY)}

_ITEMS: dict[bytes, FetchAttribute] = {item.value.encode(): item for item in FetchItem} | {
    b"RFC822": FetchSection(Section(), None, peek=False, label=b"RFC822"),
    b"RFC822.HEADER": FetchSection(Section(part=Part.HEADER), None, peek=True, label=b"RFC822.HEADER"),
    b"RFC822.TEXT": FetchSection(Section(part=Part.TEXT), None, peek=False, label=b"RFC822.TEXT"),
}

_SECTION_PARTS = {part.value.encode(): part for part in Part if part is not Part.ALL}


def fetch(numbering: Numbering) -> Callable[[Cursor], commands.Fetch]:
    """fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
    [SP "(" fetch-modifier ")"]

    fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value ; RFC 7162 §7, of 0 too: some clients begin so
    """

    def read(cursor: Cursor) -> commands.Fetch:
        cursor.space()
        which = messages(cursor, numbering)
        cursor.space()
        attributes = _attributes(cursor)
        since = None
        if cursor.skip(b" "):
            since = _changed_since(cursor)
            if FetchItem.MODSEQ not in attributes:
                attributes = (*attributes, FetchItem.MODSEQ)  # RFC 7162 §3.1.4.1
        if numbering is Numbering.UID and FetchItem.UID not in attributes:
            attributes = (FetchItem.UID, *attributes)  # RFC 3501 §6.4.8
        return commands.Fetch(which, attributes, since)

    return read


def _changed_since(cursor: Cursor) -> int:
    cursor.expect(b"(")
    if keyword(cursor) != b"CHANGEDSINCE":
        raise syntax("unknown modifier of FETCH")
    cursor.space()
    since = mod_sequence(cursor)
    cursor.expect(b")")
    return since


def _attributes(cursor: Cursor) -> tuple[FetchAttribute, ...]:
    if not cursor.skip(b"("):
        macro = cursor.match(_MACRO)
        return (attribute(cursor),) if macro is None else _MACROS[macro[1].upper()]
    found: dict[FetchAttribute, None] = {}
    for _ in range(MAX_ATTRIBUTES):
        found[attribute(cursor)] = None
        if not cursor.skip(b" "):
            cursor.expect(b")")
            return tuple(found)
    raise ProtocolError(Fault.TOO_MANY, "too many items in FETCH")


def attribute(cursor: Cursor) -> FetchAttribute:
    """fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
    "BODY" ["STRUCTURE"] / "UID" / "MODSEQ" / ("BODY" / "BODY.PEEK") section ["<" number "." nz-number ">"]
    """
    word = cursor.take(_WORD, "an item of FETCH").upper()
    if cursor.peek() == b"[" and word in (b"BODY", b"BODY.PEEK"):
        part = section(cursor)
        bounds = span(cursor)
        return FetchSection(part, bounds, peek=word == b"BODY.PEEK", label=_label(part, bounds))
    item = _ITEMS.get(word)
    if item is None:
        raise syntax("unknown item of FETCH")
    return item


def section(cursor: Cursor) -> Section:
    """section = "[" [section-spec] "]"

    section-spec = section-msgtext / (section-part ["." section-text])
    section-part = nz-number *("." nz-number)
    section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
    section-text = section-msgtext / "MIME"
    """
    cursor.expect(b"[")
    path: list[int] = []
    while cursor.peek().isdigit():
        if len(path) == MAX_PATH:
            raise ProtocolError(Fault.TOO_DEEP, "a part's number is too deep")
        path.append(nz_number(cursor))
        if not cursor.skip(b"."):
            cursor.expect(b"]")
            return Section(tuple(path))
    if not path and cursor.skip(b"]"):
        return Section()
    part = _SECTION_PARTS.get(cursor.take(_SECTION_WORD, "a section").upper())
    if part is None or (part is Part.MIME and not path):
        raise syntax("unknown section")
    fields: tuple[bytes, ...] = ()
    if part in (Part.HEADER_FIELDS, Part.HEADER_FIELDS_NOT):
        cursor.space()
        fields = _header_list(cursor)
    cursor.expect(b"]")
    return Section(tuple(path), part, fields)


def _header_list(cursor: Cursor) -> tuple[bytes, ...]:
    """header-list = "(" header-fld-name *(SP header-fld-name) ")" """
    cursor.expect(b"(")
    names: list[bytes] = []
    for _ in range(MAX_FIELDS):
        names.append(field_name(cursor))
        if not cursor.skip(b" "):
            cursor.expect(b")")
            return tuple(names)
    raise ProtocolError(Fault.TOO_MANY, "too many header fields in a section")


def field_name(cursor: Cursor) -> bytes:
    """header-fld-name = astring ; of the octets a field's name may have"""
    name = astring(cursor)
    if _FIELD_NAME.match(name) is None:
        raise syntax("not the name of a header field")
    return name


def span(cursor: Cursor) -> Span | None:
    """["<" number "." nz-number ">"]"""
    if not cursor.skip(b"<"):
        return None
    start = number(cursor)
    cursor.expect(b".")
    count = nz_number(cursor)
    cursor.expect(b">")
    return Span(start, count)


def _label(part: Section, bounds: Span | None) -> bytes:
    """Spell a section as its answer names it: msg-att-static, "BODY" section ["<" number ">"]"""
    words = [b"%d" % n for n in part.path]
    if part.part is not Part.ALL:
        words.append(part.part.value.encode())
    label = b"BODY[" + b".".join(words)
    if part.fields:
        label += b" (" + b" ".join(map(spell, part.fields)) + b")"
    return label + (b"]" if bounds is None else b"]<%d>" % bounds.start)
