"""The end of a message, dot-stuffing, and what may not stand in it, however the octets are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.servers.smtp.data import MAX_LINE_OCTETS, Chunks, Decoder

PIECES = st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"..", b"\r\n.", b"\r\n..\r\n", b"xyz" * 30])
CUTS = st.lists(st.integers(0, 400), max_size=12)


def decode(octets: bytes, cuts: list[int]) -> tuple[bytes, Decoder]:
    """Feed `octets` cut at `cuts`, until the end is found; what is left of them is put to `rest`."""
    out: list[bytes] = []
    decoder = Decoder()
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    for start, end in pairwise(edges):
        if start < end:
            if decoder.rest is None:
                out.append(decoder.feed(octets[start:end]))
            else:
                decoder.rest += octets[start:end]
    return b"".join(out), decoder


def reference(octets: bytes) -> tuple[bytes, bytes | None]:
    """RFC 5321 §4.5.2 by lines: the message and what is behind it, or all lines that are whole."""
    at = 0
    out: list[bytes] = []
    while (end := octets.find(b"\r\n", at)) >= 0:
        line = octets[at : end + 2]
        at = end + 2
        if line == b".\r\n":
            return b"".join(out), octets[at:]
        out.append(line[1:] if line.startswith(b".") else line)
    return b"".join(out), None


@given(st.lists(PIECES, max_size=40).map(b"".join), CUTS, st.binary(max_size=10))
def test_as_by_lines(octets: bytes, cuts: list[int], behind: bytes) -> None:
    """Any octets, cut anywhere, give what reading them line by line gives."""
    octets += b"\r\n.\r\n" + behind
    expected, rest = reference(octets)
    body, decoder = decode(octets, cuts)
    assert (body, decoder.rest) == (expected, rest)
    assert decoder.octets == len(expected)
    raw = octets[: len(octets) - len(rest or b"") - 3]
    bare = raw.replace(b"\r\n", b"")
    assert decoder.bare_newline == (b"\r" in bare or b"\n" in bare)


@given(st.lists(PIECES, max_size=40).map(b"".join), CUTS)
def test_nothing_ends_early(octets: bytes, cuts: list[int]) -> None:
    """What lacks its end is never taken for whole, and never handed out beyond what is sure."""
    expected, rest = reference(octets)
    body, decoder = decode(octets, cuts)
    assert decoder.rest == rest
    assert body.startswith(expected[: len(body)])
    assert len(body) >= len(expected) - 4


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"..a\r\n...b\r\n.\r\n", b".a\r\n..b\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
    ],
)
def test_stuffing(octets: bytes, body: bytes) -> None:
    """One dot goes from a line's start, at the very start of the message too."""
    for cut in range(len(octets)):
        assert decode(octets, [cut])[0] == body


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r.\r", b"\r\n.\r", b"\n.\r", b"\0.\r\n"]
)
def test_smuggling(end: bytes) -> None:
    """What other programs might take for an end is none, and all but the last is noticed."""
    octets = b"a" + end + b"MAIL FROM:<x@y>\r\n.\r\n"
    for cut in range(len(octets)):
        body, decoder = decode(octets, [cut])
        assert decoder.rest == b""
        assert b"MAIL FROM" in body
        assert decoder.bare_newline == (end != b"\0.\r\n")


@given(st.lists(st.integers(0, 3 * MAX_LINE_OCTETS), max_size=4), st.lists(st.integers(0, 500_000), max_size=6))
def test_long_lines(lengths: list[int], cuts: list[int]) -> None:
    """A line over the limit is noticed wherever it is cut; one at the limit passes."""
    octets = b"".join(b"x" * length + b"\r\n" for length in lengths) + b".\r\n"
    _, decoder = decode(octets, cuts)
    assert decoder.line_too_long == any(length > MAX_LINE_OCTETS for length in lengths)


def test_bounded() -> None:
    """However much comes, no more than an end's beginning is held back."""
    decoder = Decoder()
    fed = sum(len(decoder.feed(b"\r\n.\r" + b"x" * 100_000)) for _ in range(10))
    assert fed == decoder.octets == 10 * 100_003


EVEN = st.builds(
    lambda head, lines, bare, at, tail: (octets := head + b"".join(lines) + tail)[:at] + bare + octets[at:],
    st.binary(max_size=5),
    st.integers(0, 6).flatmap(lambda n: st.lists(st.just(b"x" * n + b"\r\n"), max_size=6)),
    st.sampled_from([b"", b"\r", b"\n", b"\n\r", b"\r\n", b"ab"]),
    st.integers(0, 60),
    st.sampled_from([b"", b"y", b"yyyyyyyy", b"y\r\n", b"\n", b"\r"]),
)
"""Lines of one length, as in base64, and what may disturb them."""


@given(EVEN, CUTS)
def test_even_lines(octets: bytes, cuts: list[int]) -> None:
    """Lines of equal length are judged by their places, with the same outcome."""
    chunks = Chunks()
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    out = b"".join(chunks.feed(octets[start:end]) for start, end in pairwise(edges))
    chunks.finish()
    bare = octets.replace(b"\r\n", b"")
    assert chunks.bare_newline == (b"\r" in bare or b"\n" in bare)
    assert octets.startswith(out)
    assert len(out) >= len(octets) - 1
