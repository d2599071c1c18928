"""A record answers listings and sections without the message, and its format stays."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mssmail.base.section import Part as What
from mssmail.base.section import Section
from mssmail.mime import structure
from mssmail.mime.node import Node
from mssmail.mime.parts import Kind
from mssmail.mime.record import HEADER_MAX, Record, RecordFormatError, Sent, Tag, build, encode
from mssmail.mime.resolve import Chosen, Octets, Range, resolve
from mssmail.mime.scan import Scanner


def scan(message: bytes) -> Node:
    scanner = Scanner()
    scanner.feed(message)
    return scanner.finish()


def record_of(message: bytes) -> Record:
    return build(scan(message))


def fetch(message: bytes, section: Section) -> bytes | None:
    """The octets of a section, as a reader gets them."""
    match resolve(record_of(message), section):
        case None:
            return None
        case Octets(data):
            return data
        case Range(start, end):
            return message[start:end]
        case Chosen() as chosen:
            return chosen.of(message[chosen.start : chosen.end])


def multipart(boundary: str, *parts: str, kind: str = "mixed", header: str = "") -> str:
    head = f"{header}Content-Type: multipart/{kind}; boundary={boundary}\n\n"
    return head + "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n"


THIRD = multipart("t", "\nthree one", "Content-Type: application/octet-stream\n\nthree two", header="Subject: third\n")
INNER = multipart("m", "\nplain", "Content-Type: text/richtext\n\nrich", kind="alternative")
FOURTH = multipart("f", "\nfour two one", INNER, header="Subject: fourth\n")
WHOLE = multipart(
    "w",
    "Content-Type: text/plain\n\none",
    "Content-Type: application/octet-stream\n\ntwo",
    "Content-Type: message/rfc822\n\n" + THIRD,
    multipart("x", "Content-Type: image/gif\n\ngif", "Content-Type: message/rfc822\n\n" + FOURTH),
    header="Subject: whole\nFrom: a@b\nDate: 5 Jan 2026 23:30:00 -0500\n",
).replace("\n", "\r\n")
"""The example of RFC 3501 §6.4.5."""


def lines(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def of(path: str) -> Section:
    """`1.2.MIME`, `HEADER`, `` as a section."""
    numbers = tuple(int(word) for word in path.split(".") if word.isdigit())
    word = ".".join(word for word in path.split(".") if not word.isdigit())
    return Section(numbers, What(word))


SECTIONS: list[tuple[str, str | None]] = [
    ("1", "one"),
    ("1.MIME", "Content-Type: text/plain\n\n"),
    ("1.HEADER", None),
    ("1.TEXT", None),
    ("1.1", None),
    ("2", "two"),
    ("3", THIRD),
    ("3.MIME", "Content-Type: message/rfc822\n\n"),
    ("3.HEADER", THIRD.partition("--t")[0]),
    ("3.TEXT", "--t" + THIRD.partition("--t")[2]),
    ("3.1", "three one"),
    ("3.2", "three two"),
    ("3.2.MIME", "Content-Type: application/octet-stream\n\n"),
    ("3.3", None),
    ("4.1", "gif"),
    ("4.1.MIME", "Content-Type: image/gif\n\n"),
    ("4.HEADER", None),
    ("4.2.HEADER", "Subject: fourth\nContent-Type: multipart/mixed; boundary=f\n\n"),
    ("4.2.1", "four two one"),
    ("4.2.2.1", "plain"),
    ("4.2.2.2", "rich"),
    ("4.2.2.2.1", None),
    ("5", None),
    ("0", None),
    ("MIME", None),
]


@pytest.mark.parametrize(("path", "expected"), SECTIONS)
def test_sections_of_the_rfc(path: str, expected: str | None) -> None:
    """Every part specifier of the RFC's example gives its octets, and what isn't there nothing."""
    assert fetch(WHOLE.encode(), of(path)) == (None if expected is None else lines(expected))


def test_the_message_itself() -> None:
    """The empty section is the message; HEADER and TEXT, joined, too."""
    message = WHOLE.encode()
    header, text = fetch(message, of("HEADER")), fetch(message, of("TEXT"))
    assert header is not None
    assert text is not None
    assert header + text == fetch(message, of("")) == message
    assert header.endswith(b"boundary=w\r\n\r\n")


def test_a_message_of_one_part() -> None:
    """BODY[1] of a message that is no multipart is its text, BODY[1.MIME] its header (RFC 3501 §6.4.5)."""
    message = b"Subject: x\r\n\r\nhello"
    assert fetch(message, of("1")) == b"hello"
    assert fetch(message, of("1.MIME")) == b"Subject: x\r\n\r\n"
    assert [fetch(message, of(path)) for path in ("1.1", "2", "1.HEADER")] == [None, None, None]


def test_a_message_that_is_a_message() -> None:
    """Where the outermost type is message/rfc822, part 1 is that message."""
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhello"
    assert fetch(message, of("1.HEADER")) == b"Subject: in\r\n\r\n"
    assert fetch(message, of("1.1")) == fetch(message, of("1.TEXT")) == b"hello"
    assert fetch(message, of("TEXT")) == b"Subject: in\r\n\r\nhello"


@pytest.mark.parametrize("padding", [0, HEADER_MAX], ids=["kept", "too-long-to-keep"])
def test_header_fields(padding: int) -> None:
    """Chosen fields are the same, whether the record has the header or the message must be opened for it."""
    message = b"X-Pad: " + b"x" * padding + b"\r\n" + WHOLE.encode()
    kept = record_of(message).header is not None
    assert kept is (padding == 0)
    section = Section((), What.HEADER_FIELDS, (b"FROM", b"x-none", b"subject"))
    assert isinstance(resolve(record_of(message), section), Octets if kept else Chosen)
    assert fetch(message, section) == b"Subject: whole\r\nFrom: a@b\r\n\r\n"
    without = Section((), What.HEADER_FIELDS_NOT, (b"X-PAD", b"content-type", b"Date"))
    assert fetch(message, without) == b"Subject: whole\r\nFrom: a@b\r\n\r\n"
    assert fetch(message, Section((4, 2), What.HEADER_FIELDS, (b"subject",))) == b"Subject: fourth\r\n\r\n"


def test_sections_of_a_record() -> None:
    """A record gives back what it was built of."""
    node = scan(WHOLE.encode())
    record = Record(build(node, preview="aperçu").octets)
    assert record.bodystructure == structure.bodystructure(node)
    assert record.body == structure.body(node)
    assert record.envelope.startswith(b'("5 Jan 2026 23:30:00 -0500" "whole"')
    assert record.preview == "aperçu"
    assert record.sent == Sent(1767673800, date(2026, 1, 5))
    assert node.block is not None
    assert record.header == node.block.raw
    kinds = [(part.kind, part.type + b"/" + part.subtype, len(part.children)) for part in record.parts[:5]]
    assert kinds == [
        (Kind.MULTIPART, b"multipart/mixed", 4),
        (Kind.LEAF, b"text/plain", 0),
        (Kind.LEAF, b"application/octet-stream", 0),
        (Kind.MESSAGE, b"message/rfc822", 1),
        (Kind.MULTIPART, b"multipart/mixed", 2),
    ]


def test_a_record_of_little() -> None:
    """What isn't known is absent: date, preview."""
    record = record_of(b"")
    assert (record.sent, record.preview, record.header) == (None, "", b"")


def test_the_format_stays() -> None:
    """Format 1 is fixed: these octets are written for this message, today and by every later version."""
    text = b'"TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 5 0'
    sections = (
        b'(NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL)',
        b"(" + text + b" NIL NIL NIL NIL)",
        b"(" + text + b")",
        bytes.fromhex("0000" + "00" + "0000000000000000" + "000000000000000e" + "0000000000000013" + "04050400")
        + b"textplain7BIT",
        b"Subject: x\r\n\r\n",
    )
    table = "0105" + "0100000029" + "020000004a" + "030000003a" + "040000002c" + "060000000e"
    assert record_of(b"Subject: x\r\n\r\nhello").octets == bytes.fromhex(table) + b"".join(sections)
    dated = record_of(b"Date: 1 Jan 1970 00:00:01 +0000\r\n\r\n")
    assert dated.section(Tag.DATE) == bytes.fromhex("0000000000000001" + "000af93b")


def test_unknown_sections_are_skipped() -> None:
    """A section that a later version adds doesn't disturb this one."""
    record = Record(encode({200: b"new", Tag.ENVELOPE: b"()", 201: b"", Tag.BODY: b"(b)"}))
    assert (record.envelope, record.body, record.bodystructure) == (b"()", b"(b)", b"")


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\x02\x00", b"\x01\x02\x01\x00\x00\x00\x00"])
def test_what_is_no_record(octets: bytes) -> None:
    """Another version or cut octets are refused."""
    with pytest.raises(RecordFormatError):
        Record(octets)


@given(st.binary(max_size=120), st.lists(st.integers(0, 3), max_size=4), st.sampled_from(list(What)))
def test_damage_has_one_error(tail: bytes, path: list[int], what: What) -> None:
    """Whatever a record's octets are, reading them gives an answer or RecordFormatError."""
    for octets in (b"\x01\x01\x04" + len(tail).to_bytes(4, "big") + tail, b"\x01\x02" + tail):
        try:
            record = Record(octets)
            resolve(record, Section(tuple(path), what, (b"x",)))
            assert isinstance(record.preview, str)
            assert record.sent is None or record.sent.epoch_s is not None
        except RecordFormatError:
            pass


_LINES = st.sampled_from(
    ["--a", "--b", "--a--", "--b--", "", "", "x", "Subject: é", "From: a@b, c", "Date: 5 Jan 2026 10:00"]
    + [f"Content-Type: multipart/mixed; boundary={boundary}" for boundary in "ab"]
    + ["Content-Type: message/rfc822", 'Content-Type: a/b; c="\x00é"', "Content-Disposition: x; y=z"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINES, max_size=40), st.lists(st.integers(0, 4), max_size=5), st.sampled_from(list(What)))
def test_every_section_of_any_message(rows: list[str], path: list[int], what: What) -> None:
    """A section of any message lies within it, and records survive their octets."""
    message = "\r\n".join(rows).encode()
    node = scan(message)
    record = build(node)
    assert len(record.parts) == len(Record(record.octets).parts)
    found = resolve(record, Section(tuple(path), what, (b"from",)))
    if isinstance(found, Range | Chosen):
        assert 0 <= found.start <= found.end <= len(message)
    elif isinstance(found, Octets):
        assert len(found.data) <= len(message)
    waiting, index = [node], 0
    while waiting:
        part, packed = waiting.pop(), record.parts[index]
        assert (packed.header_start, packed.body_start, packed.end) == (part.header_start, part.body_start, part.end)
        assert len(packed.children) == len(part.children)
        waiting.extend(reversed(part.children))
        index += 1
    assert index == len(record.parts)
