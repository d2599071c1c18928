"""Addresses are read as RFC 5322 has them, and the check of From isn't fooled."""

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.mime.addresses import GROUP_END, Mailbox, mailboxes, parse

M = Mailbox
READ: list[tuple[bytes, list[Mailbox], bool]] = [
    (b"a@b", [M(None, b"a", b"b")], True),
    (b" a.b+c@d.example ", [M(None, b"a.b+c", b"d.example")], True),
    (b"<a@b>", [M(None, b"a", b"b")], True),
    (b"Claire Martin <a@b>", [M(b"Claire Martin", b"a", b"b")], True),
    (b'"Martin, Claire" <a@b>', [M(b"Martin, Claire", b"a", b"b")], True),
    (b'"Martin \\"C\\" Claire" <a@b>', [M(b'Martin "C" Claire', b"a", b"b")], True),
    (b'Dr "C." Martin <a@b>', [M(b"Dr C. Martin", b"a", b"b")], True),
    (b"John Q. Public <a@b>", [M(b"John Q. Public", b"a", b"b")], True),
    (b"=?utf-8?q?Ren=C3=A9?= <a@b>", [M(b"=?utf-8?q?Ren=C3=A9?=", b"a", b"b")], True),
    (b"a@b (Claire Martin)", [M(b"Claire Martin", b"a", b"b")], True),
    (b"a@b (Claire (Dr \\) x) Martin)", [M(b"Claire (Dr ) x) Martin", b"a", b"b")], True),
    (b"a@b, C <c@d>", [M(None, b"a", b"b"), M(b"C", b"c", b"d")], True),
    (b'"a b"@c', [M(None, b"a b", b"c")], True),
    (b"a@[192.0.2.1]", [M(None, b"a", b"[192.0.2.1]")], True),
    (b"<@r1,@r2:a@b>", [M(None, b"a", b"b", b"@r1,@r2")], True),
    (b"Team: a@b, C <c@d>;", [M(None, b"Team", None), M(None, b"a", b"b"), M(b"C", b"c", b"d"), GROUP_END], True),
    (b"undisclosed-recipients:;", [M(None, b"undisclosed-recipients", None), GROUP_END], True),
    (b"A: a@b;, c@d", [M(None, b"A", None), M(None, b"a", b"b"), GROUP_END, M(None, b"c", b"d")], True),
    (b"", [], True),
    # malformed: shown as best can
    (b"nobody", [M(None, b"nobody", b"")], False),
    (b"a@b,", [M(None, b"a", b"b")], False),
    (b",a@b", [M(None, b"a", b"b")], False),
    (b"A: a@b", [M(None, b"A", None), M(None, b"a", b"b"), GROUP_END], False),
    (b"a@b;", [M(None, b"a", b"b")], False),
    (b"A <a@b", [M(b"A", b"a", b"b")], False),
    (b"A <a@b, c@d", [M(b"A", b"a", b"b"), M(None, b"c", b"d")], False),
    (b'"unclosed <a@b>', [M(b'"unclosed', b"a", b"b")], False),
    (b"a @ b . c", [M(None, b"a", b"b.c")], False),
    (b"<>", [M(None, b"", b"")], False),
    (b"a@b@c", [M(None, b"a@b", b"c")], False),
    (b"a@", [M(None, b"a", b"")], False),
]


@pytest.mark.parametrize(("value", "entries", "clean"), READ)
def test_parse(value: bytes, entries: list[Mailbox], clean: bool) -> None:
    """Each form gives what ENVELOPE shows, and says whether it was plainly well-formed."""
    found = parse(value)
    assert list(found.entries) == entries
    assert found.clean is clean


PLAIN = [
    (b"a@b.example", [b"a@b.example"]),
    (b"A <a@b>, c@d", [b"a@b", b"c@d"]),
    (b'"victim@x" <evil@y>', [b"evil@y"]),
    (b"evil@y (victim@x)", [b"evil@y"]),
    (b"=?utf-8?q?victim=40x?= <evil@y>", [b"evil@y"]),
    ("Ren\u00e9 <a@b>".encode(), [b"a@b"]),
]


@pytest.mark.parametrize(("value", "found"), PLAIN)
def test_mailboxes(value: bytes, found: list[bytes]) -> None:
    """Where every reader reads the same, the addresses are given; display names and comments name nobody."""
    assert mailboxes(value) == found


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"victim@x <evil@y>",
        b"<victim@x> <evil@y>",
        b"<victim@x> evil@y",
        b"victim@x evil@y",
        b"victim@x, ",
        b"victim@x@evil",
        b'"victim@x"@evil',
        b'"victim@x>"@evil',
        b"victim@x(c).evil",
        b"victim(c)@x",
        b"<victim@x (c).evil>",
        b"group: victim@x;",
        b"group: victim@x",
        b"victim@x;",
        b"<@evil:victim@x>",
        b"<victim@x",
        b"victim@x>",
        b'"victim@x',
        b"(victim@x",
        b"victim@x\0",
        b"victim@x\r",
        b"victim@x\r\nFrom: evil@y",
        b"victim",
        b"@x",
        b"victim@",
        b".victim@x",
        b"vic..tim@x",
        b"victim@x.",
        b"=?utf-8?q?victim?=@x",
        b"victim@=?utf-8?q?x?=",
        b"victim @x",
        b"victim\\@evil@x",
        b"a@b" + b",a@b" * 1000,
    ],
)
def test_mailboxes_of_the_ambiguous(value: bytes) -> None:
    """Where readers could differ, there is no answer."""
    assert mailboxes(value) is None


_ATOM = st.text("abcdefgh0123456789-_+", min_size=1, max_size=8)
_NAME = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(
    lambda text: " ".join(text.split())
)


@given(st.lists(st.tuples(_NAME, _ATOM, _ATOM), min_size=1, max_size=5))
def test_as_the_standard_library_writes_them(people: list[tuple[str, str, str]]) -> None:
    """What the standard library writes is read back: names, local parts, domains."""
    value = ", ".join(email.utils.formataddr((name, f"{local}@{domain}")) for name, local, domain in people)
    found = parse(value.encode())
    assert found.clean
    assert [(e.mailbox, e.host) for e in found.entries] == [(b.encode(), c.encode()) for _, b, c in people]
    assert [e.name or b"" for e in found.entries] == [name.encode() for name, _, _ in people]


@given(
    st.lists(
        st.sampled_from(
            [b"a", b"@", b"b", b" ", b"<", b">", b",", b";", b":", b'"', b"(", b")", b".", b"\\", b"[", b"]"]
        )
    ).map(b"".join)
)
def test_any_octets(value: bytes) -> None:
    """Nothing fails; groups open and close in turn; what `mailboxes` gives stands in the value as one run."""
    depth = 0
    for entry in parse(value).entries:
        depth += (entry.host is None) * (1 if entry.mailbox is not None else -1)
        assert depth in (0, 1)
    assert depth == 0
    for address in mailboxes(value) or ():
        assert address in value
