"""LIST patterns: what each matches, against a plain recursive reading of the RFC, and at hostile sizes."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.wire.imap.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["", "INBOX", "a", "a/b/c"], []),
        ("%", ["", "INBOX", "a b"], ["a/b", "/"]),
        ("%/%", ["a/b", "/"], ["a", "a/b/c"]),
        ("a*", ["a", "ab", "a/b"], ["", "A", "ba"]),
        ("*b", ["b", "a/b", "bb"], ["ba", ""]),
        ("a%c", ["ac", "abc"], ["a/c", "ab/c"]),
        ("a%/*", ["a/", "ab/c/d"], ["a", "b/a/"]),
        ("%*", ["a/b"], []),
        ("*%", ["a/b"], []),
        ("a%%b", ["ab", "axb"], ["a/b"]),
        ("", [""], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("inbox", ["INBOX"], ["inbox"]),
        ("InBox/%", ["INBOX/x"], ["INBOX", "INBOX/x/y"]),
        ("inboxes", ["inboxes"], ["INBOXes"]),
        ("été/*", ["été/août"], ["ete/août"]),
    ],
)
def test_pattern(pattern: str, matching: list[str], others: list[str]) -> None:
    """A pattern matches whole names; `%` stops at the delimiter; INBOX leads in any case."""
    compiled = Pattern(pattern, "/")
    assert [name for name in matching + others if compiled.match(name)] == matching


@cache
def _plain(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] in "*%":
        goes_on = bool(name) and (pattern[0] == "*" or name[0] != "/") and _plain(pattern, name[1:])
        return goes_on or _plain(pattern[1:], name)
    return name[:1] == pattern[0] and _plain(pattern[1:], name[1:])


@given(st.text("ab/*%", max_size=12), st.text("ab/", max_size=12))
def test_as_the_rfc_reads(pattern: str, name: str) -> None:
    """Any pattern and name agree with the plain reading."""
    assert Pattern(pattern, "/").match(name) == _plain(pattern, name)


@pytest.mark.parametrize(("text", "fixed"), [("a/b", True), ("a%", False), ("*", False), ("", True)])
def test_fixed(text: str, fixed: bool) -> None:
    """A pattern without a wildcard is one name."""
    assert Pattern(text, "/").fixed is fixed


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["*a" * 500 + "b", "%a" * 500 + "b", "*" * 1_000, "%*" * 500])
def test_hostile_patterns_take_a_moment(pattern: str) -> None:
    """A pattern of a thousand wildcards is matched against a thousand long names within seconds."""
    compiled = Pattern(pattern, "/")
    names = ["a" * 900 + str(i) for i in range(200)]
    assert [compiled.match(name) for name in names] == ["b" not in pattern] * 200
