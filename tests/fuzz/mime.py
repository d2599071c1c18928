"""Messages under fuzz: what is scanned, recorded, resolved, searched; whole and in pieces alike."""

import re

from mssmail.base.section import Part as What
from mssmail.base.section import Section
from mssmail.mime import columns
from mssmail.mime.headers import HeaderBlock, header_fields
from mssmail.mime.limits import Limits
from mssmail.mime.node import Node
from mssmail.mime.parts import Kind
from mssmail.mime.record import Record, build
from mssmail.mime.resolve import Chosen, Octets, Range, resolve
from mssmail.mime.scan import Scanner
from mssmail.mime.text import body_texts, in_body, in_text, is_long, needle, octets, pack, pieces, pieces_of, searchable
from tests.fuzz.target import Target, cut

SMALL = Limits(header_octets=200, headers_octets=500, depth=4, parts=12, boundary_octets=20, false_boundaries=30)
_TOKEN = re.compile(rb'\(|\)|"(?:[^"\\\r\n\0\x80-\xff]|\\["\\])*"|\{(\d+)\}\r\n|[^\s(){"\\\0\r\n\x80-\xff]+| ')
_FIELDS = (b"from", b"Subject", b"x")


def _scan(message: bytes, chunks: list[bytes], limits: Limits) -> Node:
    scanner = Scanner(limits)
    for each in chunks:
        scanner.feed(each)
    return scanner.finish()


def message(data: bytes) -> None:
    """The first octet says how many octets cut the rest."""
    many = data[0] % 4 if data else 0
    sizes, octets = data[1 : 1 + many], data[1 + many :]
    for limits in (SMALL, Limits()):
        node = _scan(octets, [octets], limits)
        assert node == _scan(octets, cut(octets, sizes or b"\0"), limits)
        record = build(node, limits=limits)
        assert [piece[:3] for piece in pieces(record)] == [piece[:3] for piece in pieces_of(node)]
        _check(octets, Record(record.octets), limits)


def _check(message: bytes, record: Record, limits: Limits) -> None:
    parts = record.parts
    assert len(parts) <= 2 * limits.parts
    assert (parts[0].header_start, parts[0].end) == (0, len(message))
    for part in parts:
        assert 0 <= part.header_start <= part.body_start <= part.end <= len(message)
        if part.parent >= 0:
            above = parts[part.parent]
            assert above.body_start <= part.header_start
            assert part.end <= above.end
        for child in part.children:
            assert parts[child].parent >= 0
    for spelt in (record.envelope, record.body, record.bodystructure):
        _well_spelt(spelt)
    _sections(message, record)
    _searched(message, record)


def _well_spelt(octets: bytes) -> None:
    """One balanced list of strings, atoms and literals (RFC 3501 §9)."""
    at = depth = 0
    while at < len(octets):
        m = _TOKEN.match(octets, at)
        assert m is not None, "a sign that no string may hold in clear"
        at = m.end() + (int(m[1]) if m[1] is not None else 0)
        depth += {b"(": 1, b")": -1}.get(m[0], 0)
        assert depth > 0 or at == len(octets)
    assert depth == 0
    assert at == len(octets)


def _sections(message: bytes, record: Record) -> None:
    paths = {(), (1,), (2,), (1, 1), (1, 2), (1, 1, 1), (9,), (1,) * 60}
    for path in paths:
        for what in What:
            found = resolve(record, Section(path, what, _FIELDS))
            match found:
                case Range(start, end) | Chosen(start, end):
                    assert 0 <= start <= end <= len(message)
                    if isinstance(found, Chosen):
                        found.of(message[start:end])
                case Octets(data):
                    assert what is not What.HEADER or message.startswith(data)
    header = message[: record.parts[0].body_start]
    assert HeaderBlock(header).raw == header
    for exclude in (False, True):
        chosen = header_fields(header, _FIELDS, exclude=exclude)
        assert header_fields(chosen, _FIELDS, exclude=exclude) == chosen


def _searched(message: bytes, record: Record) -> None:
    list(body_texts(record, lambda start, end: message[start:end]))
    header, body = searchable(record, lambda start, end: message[start:end])
    assert not is_long(record)
    packed = pack(octets(header), octets(body))
    if packed is not None:
        for text in (header[:9], header[-5:], body[:7], body[-9:]):
            wanted = needle(text)
            assert in_text(packed, wanted) or wanted not in packed[4:]
            assert in_body(packed, needle(body[:3]))
    assert record.parts[0].kind in Kind
    entry = columns.entry(1, record)
    if entry is not None:
        found = columns.Columns(columns.pack([entry, entry]))
        assert found.entries() == [entry, entry]
        if entry.shares[0]:
            assert found.matching("From", "") == [0, 1]


_WORDS = b"""Content-Type:\x20 multipart/mixed; multipart/digest; message/rfc822 text/plain text/html;
boundary=b boundary="b\x20c" boundary="" --b --b-- --bc -- charset=utf-7 charset=utf-16 charset=iso-2022-jp
Content-Transfer-Encoding: base64 quoted-printable =E9 =C3=A9 4pyT Content-Disposition: attachment;
filename*=utf-7''%2B2AA-%3D%3F filename*0= name= =?utf-8?q?a?= From: a@b To: Subject: Date: Mon,\x205\x20Jan\x202026
Content-ID: Content-Language: <p> <!-- &#233; &#xD800; &eacute; </script> \0 \xff ( )""".split()
TARGETS = (
    Target("message", message, (*_WORDS, b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"Content-Type: ", b"\r\n--b\r\n")),
)
