"""Columns hold what headers say, and find in it what a look into each header would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.mime import columns, record, scan
from mssmail.mime.columns import FIELDS, MAX_SHARE_OCTETS, Columns, ColumnsFormatError, Entry
from mssmail.mime.text import normalise
from mssmail.mime.words import header_values


def read(header: bytes) -> record.Record:
    scanner = scan.Scanner()
    scanner.feed(header + b"\r\nx")
    return record.build(scanner.finish())


def entry(header: bytes, body: int = 1) -> Entry:
    found = columns.entry(body, read(header))
    assert found is not None
    return found


LINES = st.lists(
    st.tuples(
        st.sampled_from((b"From", b"SUBJECT", b"To", b"X-Other")),
        st.sampled_from(
            (b"", b"a", b"ab", b"b\r\n a", b"=?utf-8?q?=C3=89a?=", b"=?utf-8?q?a=00b?=", "é".encode(), b"\xe9")
        ),
    ),
    max_size=4,
)


@given(
    st.lists(LINES, max_size=6),
    st.sampled_from(("from", "Subject", "TO")),
    st.sampled_from(("", "a", "ab", "É", "e", "e\u0301", "ba", "b", "ç")),
)
def test_matching(mails: list[list[tuple[bytes, bytes]]], name: str, text: str) -> None:
    """The messages found are those one of whose values of that name has the text; for none, any value at all."""
    headers = [b"".join(n + b": " + v + b"\r\n" for n, v in lines) for lines in mails]
    packed = Columns(columns.pack([entry(h, at) for at, h in enumerate(headers)]))
    expected = [
        at
        for at, header in enumerate(headers)
        if any(normalise(text) in normalise(value) for value in header_values(header, name.encode()))
    ]
    assert packed.matching(name, text) == expected
    assert columns.pack(packed.entries()) == columns.pack([entry(h, at) for at, h in enumerate(headers)])


def test_what_it_knows() -> None:
    """Other fields, and needles with NUL, are left to the header itself."""
    packed = Columns(columns.pack([entry(b"From: a\r\nX-Other: b\r\n")]))
    assert packed.knows("FROM", "a")
    assert not packed.knows("from", "a\0")
    assert not packed.knows("x-other", "b")
    assert not packed.knows("ſubject", "b")


def test_days() -> None:
    """The day is the one that the Date header names; 0 where there is none."""
    packed = Columns(
        columns.pack([entry(b"Date: 2 Jan 0001 23:00:00 -0800\r\n", 1 << 62), entry(b"Date: x\r\n"), entry(b"")])
    )
    assert (list(packed.days), packed.bodies[0]) == ([2, 0, 0], 1 << 62)


def test_long_headers_have_no_entry() -> None:
    """Fields beyond the limit aren't kept."""
    line = b"To: " + b"a" * 60 + b"\r\n"
    count = MAX_SHARE_OCTETS // 61
    assert columns.entry(1, read(line * count)) is not None
    assert columns.entry(1, read(line * (count + 1))) is None


def test_damage_is_noticed() -> None:
    """Whatever is cut off, lengthened or of another version isn't taken for columns."""
    packed = columns.pack([entry(b"From: a\r\n"), entry(b"Subject: b\r\n", 2)])
    for damaged in (*(packed[:end] for end in range(len(packed))), packed + b"\0", b"\2" + packed[1:]):
        with pytest.raises(ColumnsFormatError):
            Columns(damaged)


def test_what_lies_on_disk() -> None:
    """The layout is final."""
    one = columns.pack([Entry(5, 738_000, tuple(b"\0" + name for name in FIELDS))])
    assert one[:18] == b"\x01\x08" + b"\1\0\0\0" + b"\5" + bytes(7) + (738_000).to_bytes(4, "little")
    assert one[18:].startswith(b"\4from" + b"\5\0\0\0" + b"\5\0\0\0" + b"\0from" + b"\2to")
    assert one.endswith(b"\x08reply-to" + b"\x09\0\0\0" * 2 + b"\0reply-to")


@given(LINES, st.sampled_from(("", "a", "ab", "B", "ba", "b ", "z", "É")), st.sampled_from((b"\r\n", b"\n")))
def test_lacks(lines: list[tuple[bytes, bytes]], text: str, end: bytes) -> None:
    """What a glance at the whole header rules out stands in no field."""
    header = b"".join(name + b": " + value.replace(b"\r\n", end) + end for name, value in lines)
    if columns.lacks(header, text):
        for name, _ in lines:
            assert not any(normalise(text) in normalise(value) for value in header_values(header, name.lower()))


def test_lacks_something() -> None:
    """A plain header without the text is told at a glance; one that has it, or any text at all, isn't."""
    header = b"From: medecin05@demo.mssante.fr\r\nSubject: Compte\r\n rendu\r\n\r\n"
    assert columns.lacks(header, "medecin03")
    assert not any(columns.lacks(header, text) for text in ("MEDECIN05", "compte rendu", ""))
