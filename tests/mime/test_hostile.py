"""Input made to hurt ends in time that grows with its length, without recursion, whatever is done with it.

Time is counted in steps of the interpreter, not by a clock: twice the input may cost little more than twice the steps.
Work inside the regular expression engine doesn't show there; its patterns are possessive or bounded, and each case
here is large enough that a quadratic one would run into the suite's timeout.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from mssmail.base.section import Part as What
from mssmail.base.section import Section
from mssmail.mime import dates, html, words
from mssmail.mime.addresses import mailboxes, parse
from mssmail.mime.headers import HeaderBlock, edit, header_fields
from mssmail.mime.limits import Limits
from mssmail.mime.parameters import decoded, parameters
from mssmail.mime.record import build
from mssmail.mime.resolve import resolve
from mssmail.mime.scan import Scanner
from mssmail.mime.text import searchable
from mssmail.mime.transfer import base64_octets

CHUNK = 64 * 1024


def everything(message: bytes) -> None:
    """Scan, record, section and search text of one message."""
    scanner = Scanner()
    for at in range(0, len(message), CHUNK):
        scanner.feed(message[at : at + CHUNK])
    record = build(scanner.finish())
    assert len(record.parts) <= 2 * Limits().parts
    resolve(record, Section((1,) * 100, What.MIME))
    searchable(record, lambda start, end: message[start:end])


def nested(n: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(n))


MESSAGES: dict[str, Callable[[int], bytes]] = {
    "parts": lambda n: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * n,
    "nested multiparts": nested,
    "nested messages": lambda n: b"Content-Type: message/rfc822\r\n\r\n" * n,
    "same boundary nested": lambda n: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * n,
    "headers": lambda n: b"a: b\r\n" * n,
    "malformed headers": lambda n: b"x\r\n" * n,
    "folds": lambda n: b"a: b\r\n" + b" \r\n" * n,
    "one endless line": lambda n: b"a" * n,
    "carriage returns": lambda n: b"\r" * n,
    "empty lines": lambda n: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\n" * n,
    "false boundaries": lambda n: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\n--bx" * n,
    "blanks after a boundary": lambda n: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b" + b" " * n,
    "encoded words": lambda n: b"Subject: " + b"=?utf-8?q?a?= " * n + b"\r\n\r\n",
    "unfinished encoded words": lambda n: b"Subject: " + b"=?a?q?" * n + b"\r\n\r\n",
    "addresses": lambda n: b"To: " + b"a@b," * n + b"\r\n\r\n",
    "rfc 2231 parameters": lambda n: b"Content-Type: a/b" + b"".join(b"; n*%d=x" % i for i in range(n)) + b"\r\n\r\n",
    "html": lambda n: b"Content-Type: text/html\r\n\r\n" + b"<a <!-- &#9 <script" * n,
}


@pytest.mark.parametrize("make", MESSAGES.values(), ids=MESSAGES)
def test_messages(make: Callable[[int], bytes]) -> None:
    """Hundred thousand of anything is scanned, recorded and searched."""
    everything(make(100_000))


def test_one_octet_at_a_time() -> None:
    """A long header that trickles in costs each octet once, not the whole header each time."""
    scanner = Scanner()
    for octet in b"a: " + b"b" * 300_000 + b"\r\n\r\nbody":
        scanner.feed(bytes((octet,)))
    assert scanner.finish().header_start == 0


VALUES: dict[str, Callable[[int], bytes]] = {
    "nested comments": lambda n: b"(" * n,
    "closed comments": lambda n: b"(" * n + b")" * n,
    "addresses": lambda n: b"a@b," * n,
    "groups": lambda n: b"g:a@b;" * n,
    "angles": lambda n: b"<" * n,
    "route": lambda n: b"<" + b"@a," * n + b":b@c>",
    "ats": lambda n: b"a@" * n,
    "words": lambda n: b"a " * n,
    "quotes": lambda n: b'"' * n + b'\\"' * n,
    "open quotes": lambda n: b'a "' * n,
    "brackets": lambda n: b"[" * n,
    "colons": lambda n: b"<a:" * n,
    "semicolons": lambda n: b";" * n,
    "blanks": lambda n: b"; " * n + b" " * n,
    "parameters": lambda n: b"; a*0*=utf-8''%41" * n,
    "quoted parameters": lambda n: b';a="' * n,
    "bare names": lambda n: b";a" * n,
    "dots": lambda n: b"." * n,
    "dashes": lambda n: b"- " * n,
    "base64": lambda n: b"=" * n + b"A=" * n,
    "open words": lambda n: b"=?" * n,
    "tags": lambda n: b"<" * n + b"</script" * n + b"<!--" * n,
    "references": lambda n: b"&#" * n + b"9" * n,
}


def steps(work: Callable[[], object]) -> int:
    """How many lines of Python some work takes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def all_of(value: bytes) -> None:
    """Everything that reads one header value, or a text."""
    parse(value)
    mailboxes(value)
    decoded(parameters(value))
    dates.parse(value)
    words.decode(value)
    base64_octets(value)
    html.text(value.decode("latin-1"))
    block = b"A: " + value + b"\r\n\r\n"
    HeaderBlock(block)
    edit(block)
    header_fields(block, [b"a"], exclude=True)


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_values(make: Callable[[int], bytes]) -> None:
    """Steps grow with the length, no faster; and fifty thousand of anything pass."""
    assert steps(lambda: all_of(make(2000))) <= 2.5 * steps(lambda: all_of(make(1000))) + 1000
    all_of(make(50_000))
