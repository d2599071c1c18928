"""Parameters are read as mail programs write them, RFC 2231's forms included."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.mime.comments import uncomment
from mssmail.mime.parameters import decoded, media_type, parameters

CASES: list[tuple[bytes, tuple[tuple[bytes, bytes], ...]]] = [
    (b"text/plain", ()),
    (b"text/plain; charset=utf-8", ((b"charset", b"utf-8"),)),
    (b'text/plain;charset="utf-8";format=flowed', ((b"charset", b"utf-8"), (b"format", b"flowed"))),
    (b'a/b; name="x;y=\\"z\\".pdf"', ((b"name", b'x;y="z".pdf'),)),
    (b"a/b; name=my file.pdf ; x=1", ((b"name", b"my file.pdf"), (b"x", b"1"))),
    (b"a/b;; ; x = 1;", ((b"x", b"1"),)),
    (b'a/b; junk "q;x=2"; x=1', ((b"x", b"2"),)),
    (b'a/b; x="unclosed; y=2', ((b"x", b"unclosed; y=2"),)),
    (b'a/b; x="1" junk; y=2', ((b"x", b"1"), (b"y", b"2"))),
    (b'a/b; x=""; y=', ((b"x", b""), (b"y", b""))),
]


@pytest.mark.parametrize(("value", "expected"), CASES)
def test_parameters(value: bytes, expected: tuple[tuple[bytes, bytes], ...]) -> None:
    """Values lose their quotes, and what makes no sense is skipped."""
    assert parameters(value) == expected


def test_the_number_is_capped() -> None:
    """No more parameters are read than allowed."""
    assert len(parameters(b"a/b" + b";x=1" * 100, limit=7)) == 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Text/HTML", (b"text", b"html")),
        (b" text / plain ; x=1", (b"text", b"plain")),
        (b"text", None),
        (b"text/", None),
        (b"/plain", None),
        (b"", None),
        (b"text/pl@in", None),
    ],
)
def test_media_type(value: bytes, expected: tuple[bytes, bytes] | None) -> None:
    """Types come in lower case; what isn't type/subtype is none."""
    assert media_type(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a (b) c", b"a  c"),
        (b"a (b (c) d) e", b"a  e"),
        (b'"(q)" (it"s) ; x="y"', b'"(q)"  ; x="y"'),
        (b"a (unclosed", b"a "),
        (b"a ) b", b"a ) b"),
        (b"a \\(b) c", b"a \\(b) c"),
        (b"(\\)) c", b" c"),
        (b'"unclosed (', b'"unclosed ('),
        (b"a\\", b"a\\"),
    ],
)
def test_uncomment(value: bytes, expected: bytes) -> None:
    """Comments go, nested ones too; quoted strings stay."""
    assert uncomment(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a; filename=x", {"filename": "x"}),
        (b"a; filename*=utf-8'fr'caf%C3%A9.pdf", {"filename": "café.pdf"}),
        (b"a; filename*0*=utf-8''caf%C3; filename*1*=%A9; filename*2=\" 100%25.pdf\"", {"filename": "café 100%25.pdf"}),
        (b"a; filename*1=b; filename*0=a", {"filename": "ab"}),
        (b"a; filename*0=a; filename*2=c", {"filename": "a"}),
        (b"a; filename=plain; filename*=iso-8859-1''%E9", {"filename": "é"}),
        (b"a; filename*=nonsense", {"filename": "nonsense"}),
        (b"a; filename*=x-none''%E9", {"filename": "é"}),
        ('a; FileName="é.pdf"'.encode(), {"filename": "é.pdf"}),
    ],
)
def test_decoded(value: bytes, expected: dict[str, str]) -> None:
    """Continuations are joined in order, percent signs and charsets undone (RFC 2231 §3, §4)."""
    assert decoded(parameters(value)) == expected


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b";", b"x", b"=", b'"', b"\\", b"(", b")", b"*0*", b"'", b"%", b" "])).map(b"".join)
)
def test_nothing_fails(value: bytes) -> None:
    """Any octets give some parameters."""
    assert isinstance(decoded(parameters(uncomment(value))), dict)
