"""Header blocks are split, decoded and edited without touching what isn't meant."""

import email
import email.header
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.mime import words
from mssmail.mime.headers import HeaderBlock, edit, fields, first, header_fields, split, unfold, unfolded

BLOCK = b"From: a@b\r\nSubject : one\r\n two\r\nBCC: secret@x,\r\n\tother@x\r\njunk line\r\nTo:c@d\r\nbcc:z@x\r\n\r\n"
OCTETS = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"Bcc", b"a", b"From", b"\0", b"\xe9"])
).map(b"".join)


def test_fields_in_order() -> None:
    """Fields come in order with their names as written, folded lines included, malformed lines without a name."""
    found = [(field.name, field.value) for field in fields(BLOCK)]
    assert found == [
        (b"From", b"a@b"),
        (b"Subject", b"one two"),
        (b"BCC", b"secret@x,\tother@x"),
        (b"", b"junk line"),
        (b"To", b"c@d"),
        (b"bcc", b"z@x"),
    ]


@given(OCTETS)
def test_fields_tile_the_block(block: bytes) -> None:
    """The raw fields and what follows them, joined, are the block; offsets say where each lies."""
    found = list(fields(block))
    end = found[-1].end if found else 0
    assert b"".join(field.raw for field in found) + block[end:] == block
    assert all(block[field.start : field.end] == field.raw for field in found)
    assert edit(block, drop=()) == block


def test_values_by_name() -> None:
    """Names match without case; `first` gives the first value, `all` each, absent names nothing."""
    block = HeaderBlock(BLOCK)
    assert block.first(b"subject") == b"one two"
    assert block.all(b"bcc") == [b"secret@x,\tother@x", b"z@x"]
    assert (block.count(b"bcc"), block.count(b"cc"), block.first(b"cc"), b"to" in block) == (2, 0, None, True)
    assert first(BLOCK, b"SUBJECT") == b"one two"


def test_nothing_after_the_blank_line_counts() -> None:
    """What follows the blank line is body, whatever it looks like."""
    assert HeaderBlock(b"To: x\r\n\r\nFrom: y\r\n").first(b"from") is None


def test_edit_drops_prepends_and_appends() -> None:
    """Submission takes Bcc out and adds whole fields; each other octet stays."""
    assert edit(BLOCK, prepend=b"Received: r\r\n", append=[b"Date: d\r\n", b"Message-ID: m\r\n"]) == (
        b"Received: r\r\nFrom: a@b\r\nSubject : one\r\n two\r\njunk line\r\nTo:c@d\r\nDate: d\r\nMessage-ID: m\r\n\r\n"
    )
    assert edit(b"To: x", append=[b"Date: d\r\n"]) == b"To: x\r\nDate: d\r\n"
    assert edit(b"\r\n", append=[b"Date: d\r\n"]) == b"Date: d\r\n\r\n"


@given(OCTETS)
def test_edit_leaves_no_bcc(block: bytes) -> None:
    """However malformed the block is, no Bcc field is left, and what else is there stays."""
    edited = edit(block)
    assert HeaderBlock(edited).count(b"bcc") == 0
    assert [f.raw for f in fields(edited)] == [f.raw for f in fields(block) if f.name.lower() != b"bcc"]


@pytest.mark.parametrize(
    ("names", "exclude", "expected"),
    [
        ((b"FROM", b"to"), False, b"From: a@b\r\nTo:c@d\r\n\r\n"),
        ((b"FROM", b"bcc", b"subject"), True, b"junk line\r\nTo:c@d\r\n\r\n"),
        ((b"x-none",), False, b"\r\n"),
    ],
)
def test_header_fields(names: tuple[bytes, ...], exclude: bool, expected: bytes) -> None:
    """HEADER.FIELDS and its NOT keep the octets of what they choose, and the blank line (RFC 3501 §6.4.5)."""
    assert header_fields(BLOCK, names, exclude=exclude) == expected


def test_header_fields_without_a_blank_line() -> None:
    """A message that has no blank line gets none."""
    assert header_fields(b"A: 1\r\nB: 2\r\n", [b"a"], exclude=False) == b"A: 1\r\n"


@pytest.mark.parametrize(
    ("message", "header"),
    [
        (b"A: 1\r\n\r\nx", b"A: 1\r\n\r\n"),
        (b"\r\nx", b"\r\n"),
        (b"\n\nx", b"\n"),
        (b"A: 1\n\nx", b"A: 1\n\n"),
        (b"A: 1", b"A: 1"),
    ],
)
def test_split(message: bytes, header: bytes) -> None:
    """A message is cut after its first blank line."""
    assert split(message) == (header, message[len(header) :])


def test_unfold() -> None:
    """Line breaks go, the blanks after them stay, and a bare CR becomes a blank."""
    assert unfold(b" a\r\n b\r\n\tc\rd \r\n") == b"a b\tc d"


WORDS = [
    (b"plain", "plain"),
    (b"=?utf-8?q?caf=C3=A9?=", "café"),
    (b"=?UTF-8?B?Y2Fmw6k=?= x", "café x"),
    (b"a =?iso-8859-1?Q?=E9_=E8?= b", "a é è b"),
    (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
    (b"=?utf-8?q?a?=\r\n =?iso-8859-15?q?=A4?=", "a€"),
    (b"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"),
    (b"=?utf-8?b?Y2Fmww==?= =?utf-8?b?qQ==?=", "café"),
    (b"=?utf-8*fr?q?caf=C3=A9?=", "café"),
    (b"=?x-unknown?q?caf=E9?=", "café"),
    (b"=?idna?q?xn--caf-dma?=", "xn--caf-dma"),
    (b"=?utf-8?b?!!!?=", ""),
    (b"=?utf-8?q?unclosed", "=?utf-8?q?unclosed"),
    (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    ("caf\xe9".encode(), "café"),
    ("caf\xe9".encode("latin-1"), "café"),
    (b"=?us-ascii?q?caf=C3=A9?=", "café"),
    (b"=?iso-2022-jp?b?GyRCJDMbKEI=?=", "こ"),
]


@pytest.mark.parametrize(("value", "text"), WORDS)
def test_encoded_words(value: bytes, text: str) -> None:
    """Encoded words become text; broken ones stay as they are; nothing fails (RFC 2047)."""
    assert words.decode(value) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=200))
def test_encoded_words_of_the_standard_library(text: str) -> None:
    """What the standard library encodes, we decode."""
    encoded = email.header.Header(text, "utf-8", maxlinelen=76).encode()
    assert words.decode(encoded.encode()) == text


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"=?", b"?=", b"?", b"utf-8", b"q", b"b", b" ", b"=C3", b"*"])).map(b"".join)
)
def test_decoding_never_fails(value: bytes) -> None:
    """Any octets give some text."""
    assert isinstance(words.decode(value), str)


PIECES = st.sampled_from(
    [b"Subject", b"X-y", b":", b": ", b" ", b"\t", b"a", b"b c", b"\r\n", b"\r\n ", b"\n", b"\r", b"=?", b"("]
)


@given(st.lists(PIECES, max_size=14).map(b"".join), st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\n\n"]))
def test_header_text_of_plain_blocks(block: bytes, end: bytes) -> None:
    """The short way for usual blocks gives what the fields give one by one."""
    expected = "\n".join(
        (name + b": " + value if name else value).decode("latin-1") for name, value in unfolded(block + end)
    )
    if b"=?" not in block:
        assert words.header_text(block + end) == expected


def test_header_text_and_values() -> None:
    """SEARCH TEXT sees names and decoded values; SEARCH HEADER the decoded values of one name."""
    block = b"Subject: =?utf-8?q?=C3=A9?=\r\nX: 1\r\njunk\r\nsubject: two\r\n\r\n"
    assert words.header_text(block) == "Subject: é\nX: 1\njunk\nsubject: two"
    assert words.header_values(block, b"Subject") == ["é", "two"]


def test_fields_as_the_standard_library_sees_them() -> None:
    """On a well-formed header the standard library finds the same names and values."""
    block = b"Received: a\r\n\tb; c\r\nFrom: A <a@b>\r\nX-Empty:\r\nSubject: x:y\r\n\r\n"
    message = email.message_from_bytes(block, policy=email.policy.compat32)
    assert [(f.name.decode(), f.raw[len(f.name) + 1 :].strip()) for f in fields(block)] == [
        (name, value.replace("\n", "\r\n").replace("\r\r", "\r").encode().strip()) for name, value in message.items()
    ]
