"""Trace fields from outside: whose they are, and which only this server may set."""

import pytest

from mssmail.mime.headers import without
from mssmail.mime.trace import is_forged, received_by, results_by

OURS = {b"mx.here.example", b"here.example"}


@pytest.mark.parametrize(
    ("value", "author"),
    [
        (b" mx.here.example; none", b"mx.here.example"),
        (b"\r\n MX.Here.Example.\r\n\t1; spf=pass", b"mx.here.example"),
        (b"(a (nested) comment) mx.here.example (another); x", b"mx.here.example"),
        (rb'"mx.\here.example"; none', b"mx.here.example"),
        (b"mx.here.example", b"mx.here.example"),
        (b"(never closed mx.here.example; none", b""),
        (b'"never closed; none', b'"never'),
        (b"", b""),
    ],
)
def test_results_by(value: bytes, author: bytes) -> None:
    """The server that results claim to be of, whatever stands around its name."""
    assert results_by(value) == author


@pytest.mark.parametrize(
    ("name", "value", "forged"),
    [
        (b"Authentication-Results", b"mx.here.example; spf=pass", True),
        (b"AUTHENTICATION-RESULTS", b"HERE.example; spf=pass", True),
        (b"Authentication-Results", b"mx.elsewhere.example; smtp.mailfrom=here.example", False),
        (b"Authentication-Results", b"(mx.here.example", True),
        (b"Authentication-Results", b"(mx.other.example", False),
        (b"X-MSSmail-Anything", b"", True),
        (b"X-MSS-NIL", b"1", False),
        (b"Received", b"by mx.here.example", False),
    ],
)
def test_is_forged(name: bytes, value: bytes, forged: bool) -> None:
    """What bears our name, or can't be read and names us, is forged; others' results aren't."""
    assert is_forged(name, value, OURS) is forged


@pytest.mark.parametrize(
    ("value", "server"),
    [
        (b"from a ([1.2.3.4])\r\n by Mx.Here.Example (x) with ESMTPS\r\n id 1; date", b"mx.here.example"),
        (b"(by elsewhere) by mx.here.example; x", b"mx.here.example"),
        (b"from standby.example via x; x", b""),
        (b"", b""),
    ],
)
def test_received_by(value: bytes, server: bytes) -> None:
    """The server that took a message, comments apart."""
    assert received_by(value) == server


def test_without_keeps_every_other_octet() -> None:
    """Fields go whole, folded lines with them; malformed lines, spacing and the blank line stay as they were."""
    block = b"A: 1\r\n folded\r\nnot a field\r\nB : 2\r\nA: 3\nC:4\r\n\r\n"
    assert without(block, lambda field: field.name == b"A") == b"not a field\r\nB : 2\r\nC:4\r\n\r\n"
    assert without(block, lambda field: False) == block
