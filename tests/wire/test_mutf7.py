"""Modified UTF-7: the RFC's examples, what it forbids, and one spelling for each name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.wire.imap import mutf7


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("", b""),
        ("INBOX", b"INBOX"),
        ("A&B", b"A&-B"),
        ("&", b"&-"),
        ("&&", b"&-&-"),
        ("été", b"&AOk-t&AOk-"),
        ("éé", b"&AOkA6Q-"),
        ("é&é", b"&AOk-&-&AOk-"),
        ("Messages envoyés", b"Messages envoy&AOk-s"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("台北日本語", b"&U,BTF2XlZyyKng-"),
        ("a\x00b\x7f", b"a&AAA-b&AH8-"),
        ("😀", b"&2D3eAA-"),
        ("a-é-", b"a-&AOk--"),
    ],
)
def test_spelling(name: str, octets: bytes) -> None:
    """A name has its spelling, both ways."""
    assert mutf7.encode(name) == octets
    assert mutf7.decode(octets) == name


@pytest.mark.parametrize(
    "octets",
    [
        b"&Jjo!",  # RFC 3501 §5.1.3: no shift back
        b"&U,BTFw-&ZeVnLIqe-",  # RFC 3501 §5.1.3: a superfluous shift
        b"&",
        b"a&",
        b"&AOk",
        b"&AOk/-",
        b"&AO-",  # bits of half a character
        b"&A-",
        b"&AOl-x&",
        b"&AOm-&AOk-",
        b"&AGE-",  # `a` needs no base64
        b"&AOkAYQ-",
        b"&ACY-",  # nor has `&` one
        b"&AOp,-",
        b"&2D0-",  # half a surrogate pair
        b"&3gA-",
        b"&3gDYPQ-",  # the halves the wrong way round
        b"&AOk=-",
        b"&AOn-",  # stray bits
        b"\xc3\xa9",
        b"a\x00",
        b"a\r\nb",
        b"a\x7f",
        b"a\tb",
        b"a\n",
        b"&AO k-",
    ],
)
def test_what_is_not_a_name(octets: bytes) -> None:
    """What the RFC forbids names nothing."""
    assert mutf7.decode(octets) is None


@given(st.text())
def test_every_name_comes_back(name: str) -> None:
    """Any text is spelt in printable ASCII, and read back."""
    octets = mutf7.encode(name)
    assert all(0x20 <= octet <= 0x7E for octet in octets)
    assert mutf7.decode(octets) == name


@given(st.one_of(st.binary(max_size=30), st.text("&-,+ABCg0123456789", max_size=30).map(str.encode)))
def test_one_spelling_for_each_name(octets: bytes) -> None:
    """Octets that decode are the very ones the name encodes to: two folders never look alike and differ."""
    name = mutf7.decode(octets)
    assert name is None or mutf7.encode(name) == octets


def test_half_a_surrogate_pair_does_no_harm() -> None:
    """A str that no decoder makes is still spelt, with `?` for what can't be."""
    assert mutf7.encode("a\ud800") == b"a&AD8-"
