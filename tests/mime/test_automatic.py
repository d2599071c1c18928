"""Which messages a person wrote, to whom, and what is put around them when they are sent on."""

import pytest

from mssmail.base.clock import utc
from mssmail.mime.absence import reference_of
from mssmail.mime.automatic import is_automatic, is_nobodys, names
from mssmail.mime.forwarded import Wrapping, around, passages
from mssmail.mime.headers import HeaderBlock


@pytest.mark.parametrize(
    ("field", "automatic"),
    [
        ("Subject: x", False),
        ("Auto-Submitted: no", False),
        ("Auto-Submitted: NO ; x=y", False),
        ("Auto-Submitted: auto-generated", True),
        ("Auto-Submitted:", True),
        ("List-Id: <a>", True),
        ("Precedence: first-class", False),
        ("PRECEDENCE:\r\n List", True),
        ("X-Auto-Response-Suppress: AutoReply", True),
        ("X-Auto-Response-Suppress: None", False),
        ("Content-Type: multipart/report; report-type=x", True),
        ("Content-Type: multipart/mixed; boundary=x", False),
    ],
)
def test_is_automatic(field: str, automatic: bool) -> None:
    """Each mark of programs and lists counts by itself, however it is spelt."""
    assert is_automatic(HeaderBlock(f"From: a@b.fr\r\n{field}\r\n\r\n".encode())) is automatic


@pytest.mark.parametrize(
    ("local", "nobodys"),
    [("claire", False), ("NoReply", True), ("owner-liste", True), ("liste-request", True), ("requester", False)],
)
def test_is_nobodys(local: str, nobodys: bool) -> None:
    """Addresses that nobody reads are known by their names."""
    assert is_nobodys(local) is nobodys


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ("To: Claire <CLAIRE@b.fr>", True),
        ("To: x@b.fr\r\nCc: y@b.fr, claire@b.fr", True),
        ("To: claire@b.fr <x@b.fr>", False),
        ("To: undisclosed-recipients:;", False),
        ("Subject: claire@b.fr", False),
        ("To: " + ", ".join(f"p{n}@b.fr" for n in range(3_000)) + ", claire@b.fr", False),
    ],
)
def test_names(fields: str, named: bool) -> None:
    """A box is named where its address stands as a recipient's, not in a name nor out of bounds."""
    assert names(HeaderBlock(f"{fields}\r\n\r\n".encode()), "claire@b.fr") is named


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (None, ""),
        (b"", ""),
        (b"<a@b>", "<a@b>"),
        (b"<a@b> <c@d>", "<a@b>"),
        (b"a@b", ""),
        (b"<a@b\0>", ""),
        ("<é@b>".encode(), ""),
        (b"<" + b"a" * 2_000 + b">", ""),
    ],
)
def test_reference(value: bytes | None, reference: str) -> None:
    """A Message-ID is repeated where it is sound and short, and left out else."""
    assert reference_of(value) == reference


def test_wrapping() -> None:
    """Its trace is the original's, whose every other field stays within; UTF-8 in a header is said."""
    header = b"Return-Path: <x>\r\nReceived: from a by B.fr id 1;\r\n x\r\nSubject: NOM\r\nReceived: by c.fr\r\n\r\n"
    for wide, kind in ((False, b"message/rfc822"), (True, b"message/global")):
        wrapping = Wrapping("p@b.fr", "q@c.fr", "1.f@b.fr", utc(0), wide, eight_bit=False)
        before, after = around(wrapping, header)
        assert before.startswith(b"Received: from a by B.fr id 1;\r\n x\r\nReceived: by c.fr\r\nFrom: <p@b.fr>\r\n")
        assert b"NOM" not in before
        assert kind in before
        assert after == b"\r\n--=_1.f--\r\n"
        assert b"\n" not in (before + after).replace(b"\r\n", b"")
    assert passages(HeaderBlock(header), "b.fr") == 1
