"""ENVID and ORCPT as they were meant."""

import pytest

from mssmail.mime.xtext import decode, decode_recipient


@pytest.mark.parametrize(
    ("given", "meant"),
    [("QQ314159", "QQ314159"), ("a+2Bb+3Dc", "a+b=c"), ("+20", " "), ("a+2b", "a+2b"), ("+", "+"), ("+E9", "é")],
)
def test_envelope_id(given: str, meant: str) -> None:
    """Two upper case hexadecimal digits after a plus sign are an octet (RFC 3461 §4)."""
    assert decode(given) == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("rfc822;Paul+2Bx@labo.fr", "rfc822;Paul+x@labo.fr"),
        ("x400;C+3DFR", "x400;C=FR"),
        ("utf-8;\\x{E9}lodie@labo.fr", "utf-8;élodie@labo.fr"),
        ("UTF-8;élodie@labo.fr", "UTF-8;élodie@labo.fr"),
        ("utf-8;a\\x{2B}b", "utf-8;a+b"),
        ("utf-8;\\x{D800}", "utf-8;\\x{D800}"),
        ("utf-8;\\x{110000}", "utf-8;\\x{110000}"),
        ("utf-8;\\x{G}", "utf-8;\\x{G}"),
    ],
)
def test_original_recipient(given: str, meant: str) -> None:
    """Each address type has its own way to be spelt; what isn't one is left as it is (RFC 6533 §3)."""
    assert decode_recipient(given) == meant
