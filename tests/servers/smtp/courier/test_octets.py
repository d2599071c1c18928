"""A message's octets as they leave: unchanged but for doubled dots, wherever the pieces part, or not at all."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.servers.smtp.courier.octets import BadLineEnd, LineEnds, Stuffed

SOUP = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\r\n.\r\n", b"\r", b"\n", b"MAIL"]), max_size=12).map(b"".join)
CLEAN = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"\r\n.\r\n", b"\xff\x00"]), max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 40), max_size=6)


def through(ends: LineEnds, octets: bytes, cuts: list[int]) -> bytes:
    """All that leaves of octets which come in pieces."""
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    sent = [ends.feed(octets[a:b]) for a, b in itertools.pairwise(places)]
    return b"".join(sent) + ends.end()


def read(sent: bytes) -> bytes:
    """What a server that goes by RFC 5321 §4.5.2 takes; what follows its end of data would be a command."""
    lines: list[bytes] = []
    while True:
        line, ended, sent = sent.partition(b"\r\n")
        assert ended
        if line == b".":
            assert sent == b""
            return b"".join(lines)
        lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")


@given(CLEAN, CUTS)
def test_stuffed(octets: bytes, cuts: list[int]) -> None:
    """By DATA exactly the message arrives, ended by CRLF, and nothing is left to be a command."""
    ended = octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"
    assert read(through(Stuffed(), octets, cuts)) == ended


@given(CLEAN, CUTS)
def test_plain(octets: bytes, cuts: list[int]) -> None:
    """By BDAT exactly the message arrives."""
    ends = LineEnds()
    assert through(ends, octets, cuts) == octets
    assert ends.octets == len(octets)


@pytest.mark.parametrize("kind", [LineEnds, Stuffed])
@given(octets=SOUP, cuts=CUTS)
def test_bare(kind: type[LineEnds], octets: bytes, cuts: list[int]) -> None:
    """It is refused exactly where a CR or an LF stands alone, and none such ever leaves."""
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", octets) is not None
    sent = b""
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    ends, refused = kind(), False
    try:
        for a, b in itertools.pairwise(places):
            sent += ends.feed(octets[a:b])
        ends.end()
    except BadLineEnd:
        refused = True
    assert refused is bare
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", sent) is None
