"""ENVELOPE, BODY and BODYSTRUCTURE are spelt as RFC 3501 §7.4.2 has them."""

import pytest

from mssmail.mime import envelope, structure
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.node import Node
from mssmail.mime.nstring import nstring, string
from mssmail.mime.scan import Scanner


def scan(text: str) -> Node:
    scanner = Scanner()
    scanner.feed(text.replace("\n", "\r\n").encode())
    return scanner.finish()


def test_the_envelope_of_the_rfc() -> None:
    """The example of RFC 3501 §8 comes out, without the blank between addresses that its grammar doesn't have."""
    block = HeaderBlock(
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
    )
    gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu"))'
    cc = b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
    assert envelope.render(block) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" %b %b %b '
        b'((NIL NIL "imap" "cac.washington.edu")) %b NIL NIL "<B27397-0100000@cac.washington.edu>")'
    ) % (gray, gray, gray, cc)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"),
        ("Subject:\nFrom:\n", '(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (
            "From: a@b\nSender: s@b\nReply-To:\n",
            '(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "s" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)',
        ),
        ('Subject: a "b" \\\n c\n', '(NIL "a \\"b\\" \\\\ c" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (
            "To: G: a@b;\n",
            '(NIL NIL NIL NIL NIL ((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)) NIL NIL NIL NIL)',
        ),
        ("In-Reply-To: <x>\n <y>\n", '(NIL NIL NIL NIL NIL NIL NIL NIL "<x> <y>" NIL)'),
        ("Bcc: nobody\n", '(NIL NIL NIL NIL NIL NIL NIL ((NIL NIL "nobody" "")) NIL NIL)'),
    ],
)
def test_envelopes(header: str, expected: str) -> None:
    """Absent is NIL, Sender and Reply-To default to From, groups have their marks, folds are undone."""
    assert envelope.render(HeaderBlock((header + "\n").replace("\n", "\r\n").encode())) == expected.encode()


def test_an_envelope_shows_so_many_addresses() -> None:
    """Addresses beyond the limit are left out, the envelope stays well-formed."""
    block = HeaderBlock(b"To: " + b",".join([b"a@b"] * 50) + b"\r\n\r\n")
    assert envelope.render(block, limit=3).count(b'(NIL NIL "a" "b")') == 3


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        (None, b"NIL"),
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a\tb", b'"a\tb"'),
        ("é".encode(), b"{2}\r\n\xc3\xa9"),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\0b", b'"ab"'),
        ("é\0".encode(), b"{2}\r\n\xc3\xa9"),
        (b"x" * 1025, b"{1025}\r\n" + b"x" * 1025),
    ],
)
def test_strings(value: bytes | None, spelt: bytes) -> None:
    """7-bit text on one line is quoted, anything else a literal, NUL nowhere."""
    assert nstring(value) == spelt
    assert value is None or string(value) == spelt


ALTERNATIVE = """Content-Type: multipart/alternative; boundary=b

--b

one
two
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable
Content-Language: fr, en

<p>

--b--
"""
FORWARD = """Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822
Content-Description: forwarded

Subject: in
From: a@b

hello
--b
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="a.pdf"
Content-Transfer-Encoding: base64
Content-ID: <1@x>
Content-MD5: Q2hlY2s=
Content-Location: http://x/a

QQ==
--b--
"""
SPELT = [
    (
        "Subject: x\n\nhello\n",
        '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 7 1)',
        '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 7 1 NIL NIL NIL NIL)',
    ),
    (
        ALTERNATIVE,
        '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 8 1)("TEXT" "HTML" ("charset" "utf-8") NIL NIL '
        '"QUOTED-PRINTABLE" 5 1) "ALTERNATIVE")',
        '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 8 1 NIL NIL NIL NIL)("TEXT" "HTML" ("charset" '
        '"utf-8") NIL '
        'NIL "QUOTED-PRINTABLE" 5 1 NIL NIL ("fr" "en") NIL) "ALTERNATIVE" ("boundary" "b") NIL NIL NIL)',
    ),
    (
        FORWARD,
        '(("MESSAGE" "RFC822" NIL NIL "forwarded" "7BIT" 31 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) '
        '((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 5 0) 3)'
        '("APPLICATION" "PDF" ("name" "a.pdf") "<1@x>" NIL "BASE64" 4) "MIXED")',
        '(("MESSAGE" "RFC822" NIL NIL "forwarded" "7BIT" 31 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) '
        '((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 5 0 NIL '
        "NIL NIL NIL) "
        '3 NIL NIL NIL NIL)("APPLICATION" "PDF" ("name" "a.pdf") "<1@x>" NIL "BASE64" 4 "Q2hlY2s=" '
        '("attachment" ("filename" '
        '"a.pdf")) NIL "http://x/a") "MIXED" ("boundary" "b") NIL NIL NIL)',
    ),
    (
        "Content-Type: multipart/mixed; boundary=b\n\n--b--\n",
        '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0) "MIXED")',
        '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL) "MIXED" ("boundary" "b") '
        "NIL NIL NIL)",
    ),
]


@pytest.mark.parametrize(("text", "body", "bodystructure"), SPELT, ids=["text", "alternative", "forward", "empty"])
def test_structures(text: str, body: str, bodystructure: str) -> None:
    """BODY has no extension data, BODYSTRUCTURE all of it, in the RFC's order."""
    node = scan(text)
    assert structure.body(node).decode() == body
    assert structure.bodystructure(node).decode() == bodystructure
