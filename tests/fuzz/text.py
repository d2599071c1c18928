"""Header values under fuzz: addresses, encoded words, parameters, dates."""

import base64
import re
from urllib.parse import quote

from mssmail.mime import dates
from mssmail.mime.addresses import mailboxes, parse
from mssmail.mime.comments import uncomment
from mssmail.mime.parameters import decoded, media_type, parameters
from mssmail.mime.text import needle, normalise
from mssmail.mime.words import decode
from tests.fuzz.target import Target

_CHARSETS = (b"utf-8", b"iso-8859-1", b"utf-7", b"iso-2022-jp", b"utf-16", b"hz", b"us-ascii", b"x-unknown", b"cp932")


def addresses(data: bytes) -> None:
    """Where mailboxes are told, they are told of the list spelt anew, in one way; an entry is never half a group."""
    found = parse(data)
    depth = 0
    for entry in found.entries:
        if entry.host is None:
            depth += -1 if entry.mailbox is None else 1
        assert depth in (0, 1)
    assert depth == 0 or not found.clean
    boxes = mailboxes(data)
    if boxes is not None:
        assert found.clean
        assert len(boxes) == len(found.entries)
        assert mailboxes(b", ".join(boxes)) == boxes
        if not any(sign in data for sign in (b'"', b"(", b"\\")):
            assert all(box in re.sub(rb"\s", b"", data) for box in boxes)
        for box in boxes:
            # Whoever reads only a part of the value, from any of its words on, finds no other domain behind an @.
            assert box.rpartition(b"@")[2] in data


def words(data: bytes) -> None:
    """Any value is read, and what is written as an encoded word is read as it was."""
    text = decode(data)
    normalise(text)
    needle(text)
    for charset in _CHARSETS:
        needle(decode(b"=?%b?q?%b?=" % (charset, data.replace(b"?", b""))))
        needle(decode(b"=?%b?b?%b?=" % (charset, base64.b64encode(data))))
    sent = data.decode("utf-8", "replace")
    encoded = sent.encode()
    half = len(encoded) // 2
    pair = b" ".join(b"=?UTF-8?B?%b?=" % base64.b64encode(part) for part in (encoded[:half], encoded[half:]))
    assert decode(pair) == sent


def parameter(data: bytes) -> None:
    """Any value is read; a parameter written by RFC 2231, in sections too, is read as it was."""
    media_type(data)
    for value in (data, b"a/b; " + data, uncomment(data)):
        found = parameters(value)
        assert len(found) <= 200
        for text in decoded(found).values():
            needle(text)
    sent = data.decode("utf-8", "replace")
    spelt = quote(sent, safe="").encode()
    assert decoded(parameters(b"x; filename*=utf-8''" + spelt)) == {"filename": sent}
    signs = re.findall(rb"%..|.", spelt)
    parts = [b"".join(signs[at : at + 40]) for at in range(0, len(signs), 40)] or [b""]
    if len(parts) <= 100:
        sections = b"".join(b"; n*%d*=%b%b" % (i, b"" if i else b"UTF-8'fr'", part) for i, part in enumerate(parts))
        assert decoded(parameters(b"x" + sections)) == {"n": sent}


def date(data: bytes) -> None:
    """A date that is read can be written, and means the same again."""
    at = dates.parse(data)
    if at is not None:
        assert dates.parse(dates.format_date(at)) == at


_ADDRESS_WORDS = b'< > @ , ; : ( ) " \\ . a@b.fr x. [1.2.3.4] =?utf-8?q?a?= \xc3\xa9 \t \r\n\x20'.split(b" ")
_WORD_WORDS = b"=? ?= ?q? ?b? ?Q? utf-8 utf-7 iso-8859-1*fr =?utf-8?q?=C3=A9?= =?utf-7?q?+2AA-?= _ =41 4pyT".split()
_PARAMETER_WORDS = b"; = \" \\ * ' %41 %C3 filename name*0*= n*1= n*1*= utf-8'' utf-7'' ( ) charset boundary".split()
_DATE_WORDS = b"Mon, 5 Jan 2026 12:00:00 +0100 -0000 GMT CEST ( ) 60 99 0001 9999 Feb 29 +9959 -2359 .5 , -".split()
TARGETS = (
    Target("addresses", addresses, tuple(word for word in _ADDRESS_WORDS if word), 1024),
    Target("words", words, (*_WORD_WORDS, b" ", b"\r\n "), 512),
    Target("parameters", parameter, (*_PARAMETER_WORDS, b" "), 1024),
    Target("dates", date, (*_DATE_WORDS, b" "), 256),
)
