"""SASLprep: the RFC's own examples, and what keyboards do to a French password."""

import pytest

from mssmail.base.saslprep import MAX_CHARACTERS, saslprep


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 4013 §3
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", None),
        ("\u06271", None),
        # either way of typing é is one password
        ("e\u0301te\u0301", "été"),
        ("été", "été"),
        ("mot\u00a0de passe", "mot de passe"),
        ("\uff11\uff12\uff13", "123"),
        # a code point newer than Unicode 3.2
        ("clé\U0001f511", "clé\U0001f511"),
        # both ends right to left
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u0627a\u0628", None),
        ("", None),
        ("\u00ad", None),
        ("a\x7f", None),
        ("a\ufffd", None),
        ("a\ue000", None),
        ("\u202eabc", None),
        ("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
        ("x" * (MAX_CHARACTERS + 1), None),
        ("\ud800", None),
    ],
)
def test_prepared_forms(text: str, expected: str | None) -> None:
    """What the profile maps is mapped, what it prohibits is refused, and an empty outcome counts as refused."""
    assert saslprep(text) == expected


@pytest.mark.parametrize("text", ["Ⅸé\u00ad", "ａｂｃ", "e\u0301 \u3000x", "plain"])
def test_preparing_twice_changes_nothing(text: str) -> None:
    """A prepared text is its own prepared form, so that what is stored compares with what is presented."""
    once = saslprep(text)
    assert once is not None
    assert saslprep(once) == once
