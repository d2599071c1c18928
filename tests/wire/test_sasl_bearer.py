"""OAUTHBEARER and XOAUTH2: what is a token's message, what isn't, and how a refusal is told."""

import base64
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.secret import Secret
from mssmail.wire.imap import commands, table
from mssmail.wire.imap.frame import BEFORE_LOGIN, Complete, Event, Line, Refused
from mssmail.wire.imap.framer import Framer
from mssmail.wire.imap.machine import Machine
from mssmail.wire.imap.table import Request
from mssmail.wire.sasl import registry
from mssmail.wire.sasl.bearer import Fault, report
from mssmail.wire.sasl.exchange import (
    MAX_LINE_OCTETS,
    Carrier,
    Challenge,
    Done,
    Failed,
    Failure,
    Step,
    Token,
)
from mssmail.wire.sasl.registry import Need

ALL = frozenset(Need)
NAMES = ("OAUTHBEARER", "XOAUTH2")
MALFORMED = Failed(Failure.MALFORMED)


def _bearer(authzid: str, token: str) -> Step:
    return Done(Token(authzid, Secret(token), Carrier.OAUTHBEARER))


def _xoauth2(user: str, token: str) -> Step:
    return Done(Token(user, Secret(token), Carrier.XOAUTH2))


def _message(header: bytes = b"n,a=me@x.fr,", *pairs: bytes) -> bytes:
    return b"\1".join((header, *pairs, b"", b""))


A = b"auth=Bearer t0k.en-_~+/=="
TOKEN = "t0k.en-_~+/=="

CASES: list[tuple[str, str, bytes, Step]] = [
    (
        "as the RFC has it",
        "OAUTHBEARER",
        _message(b"n,a=me@x.fr,", b"host=h", b"port=143", A),
        _bearer("me@x.fr", TOKEN),
    ),
    ("no authzid", "OAUTHBEARER", _message(b"n,,", A), _bearer("", TOKEN)),
    ("y", "OAUTHBEARER", _message(b"y,,", A), _bearer("", TOKEN)),
    ("comma, equals sign", "OAUTHBEARER", _message(b"n,a=a=2Cb=3D@x,", A), _bearer("a,b=@x", TOKEN)),
    ("utf-8", "OAUTHBEARER", _message("n,a=é@x.fr,".encode(), A), _bearer("é@x.fr", TOKEN)),
    ("scheme in any case", "OAUTHBEARER", _message(b"n,,", b"auth=BeArEr   x"), _bearer("", "x")),
    ("key in any case", "OAUTHBEARER", _message(b"n,,", b"AUTH=bearer x"), _bearer("", "x")),
    ("unknown keys", "OAUTHBEARER", _message(b"n,,", b"qs=a=b&c", b"mthd=", A, b"Zz=\t\r\n "), _bearer("", TOKEN)),
    ("another port", "OAUTHBEARER", _message(b"n,,", b"host=", b"port=x", A), _bearer("", TOKEN)),
    ("asks for the scope", "OAUTHBEARER", _message(b"n,a=me@x.fr,", b"auth="), _bearer("me@x.fr", "")),
    ("Bearer alone", "OAUTHBEARER", _message(b"n,,", b"auth=Bearer "), _bearer("", "")),
    ("channel binding", "OAUTHBEARER", _message(b"p=tls-unique,,", A), MALFORMED),
    ("not a standard mechanism", "OAUTHBEARER", _message(b"F,n,,", A), MALFORMED),
    ("unknown flag", "OAUTHBEARER", _message(b"x,,", A), MALFORMED),
    ("one comma", "OAUTHBEARER", _message(b"n,", A), MALFORMED),
    ("three commas", "OAUTHBEARER", _message(b"n,a=b,c,", A), MALFORMED),
    ("empty authzid", "OAUTHBEARER", _message(b"n,a=,", A), MALFORMED),
    ("user= for a=", "OAUTHBEARER", _message(b"n,user=me,", A), MALFORMED),
    ("bad escape", "OAUTHBEARER", _message(b"n,a=a=2cb,", A), MALFORMED),
    ("escape cut short", "OAUTHBEARER", _message(b"n,a=a=2,", A), MALFORMED),
    ("NUL in authzid", "OAUTHBEARER", _message(b"n,a=a\0b,", A), MALFORMED),
    ("latin-1 in authzid", "OAUTHBEARER", _message(b"n,a=\xe9,", A), MALFORMED),
    ("long authzid", "OAUTHBEARER", _message(b"n,a=" + b"x" * 1025 + b",", A), MALFORMED),
    ("no auth", "OAUTHBEARER", _message(b"n,,", b"host=h"), MALFORMED),
    ("no pair", "OAUTHBEARER", b"n,,\1\1", MALFORMED),
    ("two auth", "OAUTHBEARER", _message(b"n,,", A, A), MALFORMED),
    ("Basic", "OAUTHBEARER", _message(b"n,,", b"auth=Basic eDp5"), MALFORMED),
    ("a token of two words", "OAUTHBEARER", _message(b"n,,", b"auth=Bearer a b"), MALFORMED),
    ("NUL in the token", "OAUTHBEARER", _message(b"n,,", b"auth=Bearer a\0b"), MALFORMED),
    ("8-bit token", "OAUTHBEARER", _message(b"n,,", b"auth=Bearer \xc3\xa9"), MALFORMED),
    ("a key with a digit", "OAUTHBEARER", _message(b"n,,", b"k1=x", A), MALFORMED),
    ("a pair without =", "OAUTHBEARER", _message(b"n,,", b"host", A), MALFORMED),
    ("NUL in a pair", "OAUTHBEARER", _message(b"n,,", b"host=\0", A), MALFORMED),
    ("one kvsep at the end", "OAUTHBEARER", b"n,,\1" + A + b"\1", MALFORMED),
    ("three kvsep at the end", "OAUTHBEARER", b"n,,\1" + A + b"\1\1\1", MALFORMED),
    ("more behind the end", "OAUTHBEARER", b"n,,\1" + A + b"\1\1x", MALFORMED),
    ("kvsep first", "OAUTHBEARER", b"\1", MALFORMED),
    ("empty", "OAUTHBEARER", b"", MALFORMED),
    ("many pairs", "OAUTHBEARER", _message(b"n,,", *([b"k=v"] * 2000), A), _bearer("", TOKEN)),
    ("XOAUTH2's message", "OAUTHBEARER", b"user=me\1" + A + b"\1\1", MALFORMED),
    ("as Google has it", "XOAUTH2", b"user=me@x.fr\1" + A + b"\1\1", _xoauth2("me@x.fr", TOKEN)),
    ("scheme in lower case", "XOAUTH2", b"user=me\1auth=bearer x\1\1", _xoauth2("me", "x")),
    ("no user", "XOAUTH2", b"user=\1" + A + b"\1\1", _xoauth2("", TOKEN)),
    ("no token", "XOAUTH2", b"user=me\1auth=Bearer \1\1", _xoauth2("me", "")),
    ("user with =", "XOAUTH2", b"user=a=2Cb\1" + A + b"\1\1", _xoauth2("a=2Cb", TOKEN)),
    ("another key", "XOAUTH2", b"name=me\1" + A + b"\1\1", MALFORMED),
    ("keys the other way round", "XOAUTH2", A + b"\1user=me\1\1", MALFORMED),
    ("no auth", "XOAUTH2", b"user=me\1\1\1", MALFORMED),
    ("a third key", "XOAUTH2", b"user=me\1" + A + b"\1x=y\1\1", MALFORMED),
    ("one kvsep at the end", "XOAUTH2", b"user=me\1" + A + b"\1", MALFORMED),
    ("more behind the end", "XOAUTH2", b"user=me\1" + A + b"\1\1x", MALFORMED),
    ("NUL in user", "XOAUTH2", b"user=m\0e\1" + A + b"\1\1", MALFORMED),
    ("NUL in the token", "XOAUTH2", b"user=me\1auth=Bearer a\0\1\1", MALFORMED),
    ("OAUTHBEARER's message", "XOAUTH2", _message(b"n,,", A), MALFORMED),
    ("empty", "XOAUTH2", b"", MALFORMED),
]
IDS = [f"{c[1]}: {c[0]}" for c in CASES]


@pytest.mark.parametrize(("name", "message", "expected"), [c[1:] for c in CASES], ids=IDS)
def test_message(name: str, message: bytes, expected: Step) -> None:
    """A message is a token's or malformed, sent at once or when asked for."""
    line = base64.b64encode(message)
    at_once, asked = registry.begin(name, ALL), registry.begin(name.lower(), ALL)
    assert at_once is not None
    assert asked is not None
    assert at_once.begin(line or b"=") == expected
    assert asked.begin(None) == Challenge(b"")
    assert asked.answer(line) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"*", Failure.CANCELLED),
        (b"!", Failure.ENCODING),
        (b"bix", Failure.ENCODING),
        (b"n,,\1auth=Bearer x\1\1", Failure.ENCODING),
        (b"\0", Failure.ENCODING),
        (b"", Failure.MALFORMED),
        (b"AQ==", Failure.MALFORMED),
        (b"AAAA", Failure.MALFORMED),
        (b"A" * (MAX_LINE_OCTETS + 1), Failure.TOO_LONG),
        (b"A" * (1 << 20), Failure.TOO_LONG),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_no_message(name: str, line: bytes, why: Failure) -> None:
    """A line that carries no message fails with its own cause."""
    exchange = registry.begin(name, ALL)
    assert exchange is not None
    exchange.begin(None)
    assert exchange.answer(line) == Failed(why)


def _pieces(octets: bytes) -> Iterator[list[bytes]]:
    """Whole, octet by octet, and whole with more behind it."""
    yield [octets]
    yield [octets[at : at + 1] for at in range(len(octets))]
    yield [octets + b"b NOOP\r\n"]


def _events(pieces: list[bytes], framer: Framer) -> Iterator[Event]:
    for piece in pieces:
        framer.feed(piece)
        while (event := framer.next()) is not None:
            yield event


@pytest.mark.parametrize(("name", "message", "expected"), [c[1:] for c in CASES], ids=IDS)
def test_over_imap(name: str, message: bytes, expected: Step) -> None:
    """However its octets are cut, AUTHENTICATE carries the message at once, and what follows stands."""
    octets = b"a AUTHENTICATE %b %b\r\n" % (name.encode(), base64.b64encode(message) or b"=")
    for pieces in _pieces(octets):
        first, *others = list(_events(pieces, Framer(BEFORE_LOGIN)))
        assert isinstance(first, Complete)
        request = table.read(first.frame, Machine(tls=True))
        assert isinstance(request, Request)
        assert isinstance(request.command, commands.Authenticate)
        exchange = registry.begin(request.command.mechanism, ALL)
        assert exchange is not None
        assert exchange.begin(request.command.initial) == expected
        assert [event.frame.texts for event in others if isinstance(event, Complete)] == [
            (b"b NOOP",) for _ in range(pieces[0].count(b"NOOP"))
        ]


@pytest.mark.parametrize("size", [2_000, 8_000])
@pytest.mark.parametrize("name", NAMES)
def test_large_token(name: str, size: int) -> None:
    """A token of 2 to 8 KB is carried, as initial response and as an answer."""
    token = "x" * size
    message = f"n,a=me,\1host=h\1port=993\1auth=Bearer {token}\1\1" if name == "OAUTHBEARER" else ""
    line = base64.b64encode((message or f"user=me\1auth=Bearer {token}\1\1").encode())
    framer = Framer(BEFORE_LOGIN)
    (command,) = _events([b"a AUTHENTICATE %b %b\r\n" % (name.encode(), line)], framer)
    assert isinstance(command, Complete)
    framer.expect_line(MAX_LINE_OCTETS)
    (answer,) = _events([line + b"\r\n"], framer)
    assert answer == Line(line)
    exchange = registry.begin(name, ALL)
    assert exchange is not None
    assert exchange.begin(line) == Done(Token("me", Secret(token), Carrier(name)))


def test_a_line_too_long_is_thrown_away() -> None:
    """A megabyte in the place of a message is refused once, and the next line is heard."""
    framer = Framer(BEFORE_LOGIN)
    framer.expect_line(MAX_LINE_OCTETS)
    first, second = _events([b"A" * (1 << 20) + b"\r\n", b"b NOOP\r\n"], framer)
    assert isinstance(first, Refused)
    assert isinstance(second, Complete)


@pytest.mark.parametrize(
    ("carrier", "fault", "scope", "discovery", "told"),
    [
        (Carrier.OAUTHBEARER, Fault.INVALID_TOKEN, "", "", {"status": "invalid_token"}),
        (
            Carrier.OAUTHBEARER,
            Fault.INSUFFICIENT_SCOPE,
            "imap",
            "https://x.fr/.well-known/openid-configuration",
            {
                "status": "insufficient_scope",
                "scope": "imap",
                "openid-configuration": "https://x.fr/.well-known/openid-configuration",
            },
        ),
        (Carrier.XOAUTH2, Fault.INVALID_TOKEN, "smtp", "", {"status": "401", "schemes": "Bearer", "scope": "smtp"}),
        (Carrier.XOAUTH2, Fault.INSUFFICIENT_SCOPE, "", "", {"status": "403", "schemes": "Bearer"}),
    ],
)
def test_report(carrier: Carrier, fault: Fault, scope: str, discovery: str, told: dict[str, str]) -> None:
    """A refusal is told as JSON in the mechanism's own shape, short enough for any reply's line."""
    challenge = report(carrier, fault, scope, discovery)
    assert json.loads(challenge.octets) == told
    assert len(challenge.line) < 500


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\1"), min_size=1, max_size=60),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200),
)
def test_round_trip(user: str, token: str) -> None:
    """Any authzid and any token of visible signs come out as they went in."""
    name = user.replace("=", "=3D").replace(",", "=2C")
    bearer, xoauth2 = registry.begin("OAUTHBEARER", ALL), registry.begin("XOAUTH2", ALL)
    assert bearer is not None
    assert xoauth2 is not None
    sent = f"n,a={name},\1host=h\1auth=Bearer {token}\1\1".encode()
    assert bearer.begin(base64.b64encode(sent)) == _bearer(user, token)
    sent = f"user={user}\1auth=Bearer {token}\1\1".encode()
    assert xoauth2.begin(base64.b64encode(sent)) == _xoauth2(user, token)


def test_nothing_presented_shows() -> None:
    """A token is in no repr of an outcome."""
    assert TOKEN not in repr(_bearer("me", TOKEN))


def test_offered_only_where_tokens_are_judged() -> None:
    """The two are neither announced nor begun where nobody judges tokens."""
    without = frozenset({Need.CERTIFICATE})
    assert not set(NAMES) & set(registry.offered(without))
    assert set(NAMES) <= set(registry.offered(ALL))
    assert [registry.begin(name, without) for name in NAMES] == [None, None]
