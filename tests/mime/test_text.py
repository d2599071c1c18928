"""The text of a message is found whatever it is wrapped in, and compares without case."""

import base64
import quopri
import sys
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.mime import html, transfer
from mssmail.mime.charset import codec, decode
from mssmail.mime.record import build
from mssmail.mime.scan import Scanner
from mssmail.mime.text import (
    MAX_SEARCH_TEXT_OCTETS,
    SEPARATOR,
    body_texts,
    in_body,
    in_text,
    needle,
    normalise,
    octets,
    pack,
    search_text,
    searchable,
)


def search(message: bytes) -> tuple[str, str]:
    scanner = Scanner()
    scanner.feed(message)
    return searchable(build(scanner.finish()), lambda start, end: message[start:end])


MESSAGE = (
    (
        """From: =?utf-8?q?Ren=C3=A9?= <a@b>
Subject: Compte =?iso-8859-1?q?=E9lectronique?=
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

trait=C3=A9 par zopi=
clone
--b
Content-Type: text/html; charset=iso-8859-15
Content-Transfer-Encoding: base64

"""
        + base64.b64encode("<p>Payé <b>12</b>&nbsp;€ &eacute;".encode("iso-8859-15")).decode()
        + """
--b
Content-Type: application/pdf; name="=?utf-8?q?bilan=C3=A9?=.pdf"
Content-Disposition: attachment; filename*=utf-8''r%C3%A9sultat.pdf
Content-Description: une description
Content-Transfer-Encoding: base64

c2VjcmV0
--b
Content-Type: message/rfc822

Subject: transmis

corps transmis
--b--
"""
    )
    .replace("\n", "\r\n")
    .encode()
)


def test_what_is_searched() -> None:
    """Decoded headers; text of plain and HTML parts; names of attachments; embedded messages. Nothing else."""
    header, body = search(MESSAGE)
    assert "subject: compte " + normalise("électronique") in header
    assert normalise("RENÉ <a@b>") in header
    for found in (
        "traité par zopiclone",
        "Payé 12 € é",
        "résultat.pdf",
        "bilané.pdf",
        "une description",
        "Subject: transmis",
        "corps transmis",
    ):
        assert normalise(found) in body, found
    for absent in ("secret", "c2VjcmV0", "preamble", "<p>", "=C3", "base64"):
        assert normalise(absent) not in body


def test_no_needle_spans_two_pieces() -> None:
    """Pieces are parted by what a needle can't hold."""
    assert normalise("clone" + "Payé") not in search(MESSAGE)[1]
    assert SEPARATOR in search(MESSAGE)[1]


def test_a_plain_message() -> None:
    """A message without MIME is its own text part."""
    assert search(b"Subject: x\r\n\r\nHello World")[1] == "hello world"


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("Bilan", "bilan"),
        ("ÉLECTRO", "électro"),
        ("e\u0301lectro", "électro"),
        ("STRASSE", "straße"),
        ("ﬁèvre", "fièvre"),
        ("℡", "tel"),
        ("ı", "I"),
        ("K", "k"),
        ("Ａ", "a"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("café", "cafe"),
    ],
)
def test_normalise(text: str, needle: str) -> None:
    """What RFC 5051 holds equal is equal, and a bare letter is found in an accented one."""
    assert normalise(needle) in normalise(text)


def test_accents_are_not_dropped() -> None:
    """An accent that is asked for must be there."""
    assert normalise("café") not in normalise("cafe")


@given(st.text(max_size=30))
def test_normalise_is_settled(text: str) -> None:
    """Case, composition and titlecasing of the input make no difference."""
    folded = normalise(text)
    assert normalise(text.title()) == normalise(text.title().lower())
    assert normalise(text.upper()) == folded


@given(st.text(max_size=60) | st.text("aBéÀçŒœß’\u0301\u0327\u0345ſﬁİıΣςͅ漢가", max_size=60))
def test_normalise_is_unicodes(text: str) -> None:
    """The short ways round Unicode's steps change nothing."""
    assert normalise(text) == normalise_whole(text)
    assert needle(text) == octets(normalise_whole(text))


def test_case_mapping_gives_nothing_that_begins_with_itself() -> None:
    """By which a text that case mapping leaves alone as a whole is left alone in each character."""
    for code in range(0x80, sys.maxunicode + 1):
        sign = chr(code)
        mapped = sign.upper().casefold()
        assert mapped == sign or not mapped.startswith(sign), hex(code)


@given(st.text("ab é\u0301\u0327ß 漢", min_size=1, max_size=40))
def test_long_texts_fold_as_short_ones(text: str) -> None:
    """A text is folded in pieces without a difference."""
    assert normalise(text * 2_000) == normalise_whole(text * 2_000)


def normalise_whole(text: str) -> str:
    return normalize("NFKD", normalize("NFKD", text).upper().casefold())


SIGNS = "ab\0éß\ud800漢\U0001f600"


@given(st.text(SIGNS, max_size=12), st.text(SIGNS, max_size=12), st.text(SIGNS, max_size=3))
def test_search_texts_find_what_texts_hold(header: str, body: str, wanted: str) -> None:
    """In header or body, never across, for any characters."""
    packed = pack(needle(header), needle(body))
    assert packed is not None
    folded = normalise(wanted)
    assert in_body(packed, needle(wanted)) == (folded in normalise(body))
    assert in_text(packed, needle(wanted)) == (folded in normalise(header) or folded in normalise(body))


def test_search_texts_keep_header_and_body_apart() -> None:
    """What ends in the one and begins in the other isn't found; BODY doesn't look into the header."""
    packed = pack(b"ab", b"cd")
    assert packed is not None
    assert [in_text(packed, each) for each in (b"ab", b"cd", b"bc", b"\0")] == [True, True, False, False]
    assert [in_body(packed, each) for each in (b"ab", b"cd", b"bc", b"")] == [False, True, False, True]


def test_what_lies_on_disk() -> None:
    """The layout of a search text is final."""
    assert pack("é".encode(), b"bc") == b"\0\0\0\2\xc3\xa9bc"
    assert octets("\ud800") == b"\xed\xa0\x80"


@pytest.mark.parametrize(("size", "kept"), [(MAX_SEARCH_TEXT_OCTETS - 30, True), (MAX_SEARCH_TEXT_OCTETS, False)])
def test_long_messages_have_no_search_text(size: int, kept: bool) -> None:
    """Beyond the limit nothing is read of it, nor kept."""
    message = b"Subject: x\r\n\r\n" + b"a" * size
    scanner = Scanner()
    scanner.feed(message)
    asked: list[int] = []

    def read(start: int, end: int) -> bytes:
        asked.append(end)
        return message[start:end]

    assert (search_text(build(scanner.finish()), read) is not None, bool(asked)) == (kept, kept)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>a</p><p>b", "a b"),
        ("zop<b>iclo</b>ne", "zopiclone"),
        ("a<br>b", "a b"),
        ("<style>x{}</style>a<script>var b</script >c", "a c"),
        ("<script>never closed a", ""),
        ("a<!-- b -->c", "a c"),
        ("a<!-- b", "a"),
        ("a &lt;b&gt; &eacute; &#233; &nbsp; z", "a <b> é é z"),
        ("2 < 3 > 1", "2 < 3 > 1"),
        ("a<", "a<"),
        ("a<p unclosed", "a"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("&#x" + "f" * 5000 + ";", "\ufffd"),
        ("<!DOCTYPE html><html><head><title>t</title></head>", "t"),
    ],
)
def test_html(markup: str, text: str) -> None:
    """Tags part words only where they break the line; scripts, styles and comments go."""
    assert html.text(markup) == text


@pytest.mark.parametrize(
    ("data", "encoding", "octets"),
    [
        (b"YQ==", b"BASE64", b"a"),
        (b"Y Q\r\n=\r\n=", b"base64", b"a"),
        (b"YQ", b"BASE64", b"a"),
        (b"YWI", b"BASE64", b"ab"),
        (b"YWJjZ", b"BASE64", b"abc"),
        (b"!Y*W-J_j!", b"BASE64", b"abc"),
        (b"a=C3=A9=\r\nb=zz", b"QUOTED-PRINTABLE", "aéb=zz".encode()),
        (b"a=", b"QUOTED-PRINTABLE", b"a"),
        (b"=C3", b"8BIT", b"=C3"),
        (b"=C3", b"x-uuencode", b"=C3"),
    ],
)
def test_transfer_encodings(data: bytes, encoding: bytes, octets: bytes) -> None:
    """Damaged encodings give what can be had."""
    assert transfer.decode(data, encoding) == octets


@given(st.binary(max_size=200))
def test_transfer_round_trip(octets: bytes) -> None:
    """What the standard library encodes is decoded, and nothing fails on raw octets."""
    assert transfer.decode(base64.encodebytes(octets), b"BASE64") == octets
    assert transfer.decode(quopri.encodestring(octets), b"QUOTED-PRINTABLE") == octets
    assert isinstance(transfer.decode(octets, b"BASE64"), bytes)
    assert isinstance(transfer.decode(octets, b"QUOTED-PRINTABLE"), bytes)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (b"UTF-8", "utf_8"),
        (b"utf8", "utf_8"),
        (b"us-ascii", "ascii"),
        (b"ISO-8859-1", "latin_1"),
        (b"iso-8859-15", "iso8859_15"),
        (b"windows-1252", "cp1252"),
        (b"ks_c_5601-1987", "euc_kr"),
        (b"GB2312", "gb2312"),
        (b"idna", None),
        (b"punycode", None),
        (b"unicode_escape", None),
        (b"rot13", None),
        (b"zlib", None),
        (b"base64", None),
        (b"", None),
        (b"x" * 1000, None),
        (b"\xff", None),
    ],
)
def test_charsets(name: bytes, found: str | None) -> None:
    """Charsets of mail are known by their aliases; codecs that are none aren't."""
    assert codec(name) == found


@given(
    st.binary(max_size=50),
    st.sampled_from([b"", b"utf-8", b"utf-7", b"utf-16", b"iso-2022-jp", b"hz", b"gb18030", b"x", b"latin1"]),
)
def test_decoding_never_fails(octets: bytes, charset: bytes) -> None:
    """Any octets under any charset are some text."""
    assert isinstance(decode(octets, charset), str)


def test_texts_are_read_part_by_part() -> None:
    """Only headers and text parts are read, never an attachment's body."""
    scanner = Scanner()
    scanner.feed(MESSAGE)
    asked: list[bytes] = []

    def read(start: int, end: int) -> bytes:
        asked.append(MESSAGE[start:end])
        return asked[-1]

    assert list(body_texts(build(scanner.finish()), read))
    assert not any(b"c2VjcmV0" in piece for piece in asked)
