"""Replies cut out of a stream: whole, octet by octet, several at once; and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.servers.smtp.courier.offer import Offer, offer_of
from mssmail.servers.smtp.courier.reply import MAX_LINE_OCTETS, MAX_LINES, NotSmtp, Replies, Reply

GOOD = {
    b"250 ok\r\n": [Reply(250, (b"ok",))],
    b"250\r\n": [Reply(250, (b"",))],
    b"250 \r\n": [Reply(250, (b"",))],
    b"250 ok\n": [Reply(250, (b"ok",))],
    b"250-a\r\n250-b\r\n250 c\r\n": [Reply(250, (b"a", b"b", b"c"))],
    b"250-\r\n250\r\n": [Reply(250, (b"", b""))],
    b"250 a\r\n354 b\r\n550-c\r\n550 d\r\n": [Reply(250, (b"a",)), Reply(354, (b"b",)), Reply(550, (b"c", b"d"))],
    b"599 x\r\n": [Reply(599, (b"x",))],
}


def cut(stream: list[bytes]) -> list[Reply]:
    replies, found = Replies(), list[Reply]()
    for piece in stream:
        replies.feed(piece)
        while (reply := replies.take()) is not None:
            found.append(reply)
    assert len(replies) == 0
    return found


@pytest.mark.parametrize("octets", GOOD)
def test_good(octets: bytes) -> None:
    """The same replies come whole, octet by octet, and with others behind them."""
    assert cut([octets]) == GOOD[octets]
    assert cut([octets[at : at + 1] for at in range(len(octets))]) == GOOD[octets]
    assert cut([octets * 3]) == GOOD[octets] * 3


BAD = [
    b"hello\r\n",
    b"\r\n",
    b"25 x\r\n",
    b"2500 x\r\n",
    b"250x\r\n",
    b"150 x\r\n",
    b"650 x\r\n",
    b" 250 x\r\n",
    b"250-a\r\n251 b\r\n",
    b"250-a\r\nb\r\n",
    b"250 a\rb\r\n",
    b"250 " + b"x" * MAX_LINE_OCTETS,
    b"x" * MAX_LINE_OCTETS,
    b"250-x\r\n" * (MAX_LINES + 1),
    "２５０ x\r\n".encode(),
]


@pytest.mark.parametrize("octets", BAD, ids=lambda octets: repr(octets[:12]))
def test_bad(octets: bytes) -> None:
    """What is no reply, or one without end, is seen as soon as that is sure."""
    replies = Replies()
    replies.feed(octets)
    with pytest.raises(NotSmtp):
        while replies.take() is not None:
            pass


@given(st.binary(max_size=200))
def test_anything(octets: bytes) -> None:
    """Whatever comes is replies, the beginning of one, or seen to be none; what is shown is one printable line."""
    replies = Replies()
    replies.feed(octets)
    try:
        while (reply := replies.take()) is not None:
            answer = reply.answer()
            assert 200 <= answer.code <= 599
            assert answer.text.isascii()
            assert answer.text == "" or answer.text.isprintable()
    except NotSmtp:
        pass


ANSWERS = {
    (b"2.1.5 ok",): ("2.1.5", "ok"),
    (b"5.1.1 no", b"5.1.1 such", b"5.1.1 box"): ("5.1.1", "no such box"),
    (b"ok",): ("", "ok"),
    (b"5.1.1",): ("5.1.1", ""),
    (b"5.1.1234 x",): ("", "5.1.1234 x"),
    (b"3.1.1 x",): ("", "3.1.1 x"),
    (b"\xc3\xa9\x00  x\t y",): ("", "??? x y"),
}


@pytest.mark.parametrize("lines", ANSWERS)
def test_answer(lines: tuple[bytes, ...]) -> None:
    """An answer has its enhanced status apart, and its texts in one line."""
    answer = Reply(550, lines).answer()
    assert (answer.status, answer.text) == ANSWERS[lines]


OFFERS = {
    (b"x",): Offer("x"),
    (b"mx.example hi", b"starttls", b"Pipelining"): Offer("mx.example", starttls=True, pipelining=True),
    (b"x", b"SIZE 1000", b"SIZE 2000"): Offer("x", size=True, most_octets=1000),
    (b"x", b"SIZE"): Offer("x", size=True),
    (b"x", b"SIZE " + b"9" * 21): Offer("x", size=True),
    (b"x", b"SIZE -5"): Offer("x", size=True),
    (b"x", b"DELIVERBY 60"): Offer("x", deliver_by=True, least_by_s=60),
    (b"x", b"LIMITS RCPTMAX=20 mailmax=5 X"): Offer("x", most_recipients=20, most_messages=5),
    (b"", b"", b" ", b"\xff"): Offer(""),
}


@pytest.mark.parametrize("lines", OFFERS)
def test_offer(lines: tuple[bytes, ...]) -> None:
    """What a server offers is read whatever its case; what makes no sense is passed over."""
    assert offer_of(Reply(250, lines)) == OFFERS[lines]
