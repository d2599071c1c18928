"""SASL exchanges, line by line: what each mechanism takes, and what it refuses."""

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.secret import Secret
from mssmail.wire.sasl import registry
from mssmail.wire.sasl.exchange import (
    MAX_IDENTITY_OCTETS,
    MAX_LINE_OCTETS,
    Certificate,
    Challenge,
    Done,
    Failed,
    Failure,
    Password,
    Step,
    decode,
)
from mssmail.wire.sasl.registry import Need


def _b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def _run(mechanism: str, initial: bytes | None, *lines: bytes) -> list[Step]:
    exchange = registry.begin(mechanism, frozenset({Need.CERTIFICATE}))
    assert exchange is not None
    return [exchange.begin(initial), *map(exchange.answer, lines)]


_PLAIN = Done(Password("", "claire", Secret("s3cret")))

CASES: list[tuple[str, str, bytes | None, list[bytes], list[Step]]] = [
    ("plain, initial", "PLAIN", _b64(b"\0claire\0s3cret"), [], [_PLAIN]),
    ("plain, asked", "plain", None, [_b64(b"\0claire\0s3cret")], [Challenge(b""), _PLAIN]),
    ("plain, authzid", "PLAIN", _b64(b"box\0claire\0s3cret"), [], [Done(Password("box", "claire", Secret("s3cret")))]),
    ("plain, utf-8", "PLAIN", _b64("\0é\0ü€".encode()), [], [Done(Password("", "é", Secret("ü€")))]),
    ("plain, empty", "PLAIN", b"=", [], [Failed(Failure.MALFORMED)]),
    ("plain, two fields", "PLAIN", _b64(b"claire\0s3cret"), [], [Failed(Failure.MALFORMED)]),
    ("plain, four fields", "PLAIN", _b64(b"\0claire\0s3\0cret"), [], [Failed(Failure.MALFORMED)]),
    ("plain, no name", "PLAIN", _b64(b"\0\0s3cret"), [], [Failed(Failure.MALFORMED)]),
    ("plain, no password", "PLAIN", _b64(b"\0claire\0"), [], [Failed(Failure.MALFORMED)]),
    ("plain, latin-1", "PLAIN", _b64(b"\0clair\xe9\0x"), [], [Failed(Failure.MALFORMED)]),
    ("plain, overlong utf-8", "PLAIN", _b64(b"\0a\xc0\x80\0x"), [], [Failed(Failure.MALFORMED)]),
    ("plain, surrogate", "PLAIN", _b64(b"\0a\xed\xa0\x80\0x"), [], [Failed(Failure.MALFORMED)]),
    ("plain, cancelled", "PLAIN", None, [b"*"], [Challenge(b""), Failed(Failure.CANCELLED)]),
    ("plain, long", "PLAIN", _b64(b"\0a\0" + b"x" * 1025), [], [Failed(Failure.MALFORMED)]),
    (
        "login",
        "LOGIN",
        None,
        [_b64(b"claire"), _b64(b"s3cret")],
        [Challenge(b"Username:"), Challenge(b"Password:"), _PLAIN],
    ),
    ("login, initial name", "LOGIN", _b64(b"claire"), [_b64(b"s3cret")], [Challenge(b"Password:"), _PLAIN]),
    ("login, empty name", "LOGIN", None, [b""], [Challenge(b"Username:"), Failed(Failure.MALFORMED)]),
    (
        "login, cancelled late",
        "LOGIN",
        _b64(b"claire"),
        [b"*"],
        [Challenge(b"Password:"), Failed(Failure.CANCELLED)],
    ),
    ("login, NUL", "LOGIN", _b64(b"cl\0aire"), [], [Failed(Failure.MALFORMED)]),
    ("external, initial empty", "EXTERNAL", b"=", [], [Done(Certificate(""))]),
    ("external, initial", "EXTERNAL", _b64(b"box@x.fr"), [], [Done(Certificate("box@x.fr"))]),
    ("external, asked", "EXTERNAL", None, [b""], [Challenge(b""), Done(Certificate(""))]),
    ("external, NUL", "EXTERNAL", _b64(b"a\0b"), [], [Failed(Failure.MALFORMED)]),
    ("external, not utf-8", "EXTERNAL", _b64(b"\xff"), [], [Failed(Failure.MALFORMED)]),
    ("not base64", "PLAIN", b"!!", [], [Failed(Failure.ENCODING)]),
]


@pytest.mark.parametrize(
    ("mechanism", "initial", "lines", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_exchange(mechanism: str, initial: bytes | None, lines: list[bytes], expected: list[Step]) -> None:
    """A mechanism asks, answers and fails as its RFC has it."""
    assert _run(mechanism, initial, *lines) == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"QQ", Failure.ENCODING),
        (b"QQ=", Failure.ENCODING),
        (b"QR==", Failure.ENCODING),
        (b"QQ==QQ==", Failure.ENCODING),
        (b" QQ==", Failure.ENCODING),
        (b"QQ== ", Failure.ENCODING),
        (b"QQ==\r", Failure.ENCODING),
        (b"Q\nQ==", Failure.ENCODING),
        (b"QQ-_", Failure.ENCODING),
        (b"=", Failure.ENCODING),
        (b"====", Failure.ENCODING),
        (b"\xff\xfe\xfd\xfc", Failure.ENCODING),
        (b"\0\0\0\0", Failure.ENCODING),
        (b"**", Failure.ENCODING),
        (b"*", Failure.CANCELLED),
        (b"A" * (MAX_LINE_OCTETS + 4), Failure.TOO_LONG),
    ],
)
def test_base64_is_strict(line: bytes, why: Failure) -> None:
    """Only the one right base64 of some octets is taken; everything else fails with its cause."""
    assert decode(line) == Failed(why)


def test_the_longest_line_is_taken() -> None:
    """A line of exactly 12,288 octets is decoded (RFC 4954 §4)."""
    assert decode(b"A" * MAX_LINE_OCTETS) == b"\0" * (MAX_LINE_OCTETS // 4 * 3)


@given(st.binary(max_size=400))
def test_base64_round_trip(octets: bytes) -> None:
    """A challenge's line decodes to its octets."""
    assert decode(Challenge(octets).line) == octets


@given(st.binary(max_size=40))
def test_decoding_is_total_and_one_to_one(line: bytes) -> None:
    """Any line either fails or is exactly what its octets encode to."""
    outcome = decode(line)
    assert isinstance(outcome, Failed) or binascii.b2a_base64(outcome, newline=False) == line


_field = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@given(_field, _field.filter(bool), _field.filter(bool))
def test_plain_round_trip(authzid: str, authcid: str, password: str) -> None:
    """Whatever three fields of text PLAIN carries come out as they went in."""
    message = "\0".join((authzid, authcid, password)).encode()
    assert _run("PLAIN", _b64(message)) == [Done(Password(authzid, authcid, Secret(password)))]


def test_a_field_of_255_octets_is_taken() -> None:
    """RFC 4616 §2: 255 octets in each field must do; ours end at 1,024."""
    for size in (255, MAX_IDENTITY_OCTETS):
        field = "x" * size
        message = f"{field}\0{field}\0{field}".encode()
        assert _run("PLAIN", _b64(message)) == [Done(Password(field, field, Secret(field)))]


def test_nothing_presented_shows() -> None:
    """A password is in no repr of an outcome."""
    assert "s3cret" not in repr(_run("PLAIN", _b64(b"\0claire\0s3cret")))


def test_external_is_offered_only_to_who_showed_a_certificate() -> None:
    """EXTERNAL is neither announced nor begun without a certificate; unknown mechanisms never."""
    nothing, shown = frozenset[Need](), frozenset({Need.CERTIFICATE})
    assert registry.offered(nothing) == ("PLAIN", "LOGIN")
    assert registry.offered(shown) == ("PLAIN", "LOGIN", "EXTERNAL")
    assert registry.begin("external", nothing) is None
    assert registry.begin("external", shown) is not None
    assert registry.begin("GSSAPI", shown) is None
