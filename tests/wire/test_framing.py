"""Framing: the same events from the same octets however they are cut, and limits that hold whatever comes."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.wire.imap.fault import Fault
from mssmail.wire.imap.frame import (
    BEFORE_LOGIN,
    CHUNK_OCTETS,
    Broken,
    Complete,
    Event,
    Limits,
    Line,
    LiteralData,
    LiteralStart,
    NeedContinuation,
    Refused,
    after_login,
)
from mssmail.wire.imap.framer import Framer

SMALL = Limits(
    line_octets=40, literal_octets=20, literals=3, command_octets=100, append_octets=1_000, skip_octets=4_000
)
Seen = tuple[object, ...]


def _spell(event: Event) -> Seen:
    """An event in short, its octets in clear, so that a table can hold it."""
    match event:
        case Complete(frame):
            return ("complete", frame.texts, tuple(x.octets for x in frame.literals))
        case LiteralStart(frame, size, synchronizing):
            return ("start", frame.texts, size, synchronizing)
        case LiteralData(octets, last):
            return ("data", octets, last)
        case NeedContinuation():
            return ("+",)
        case Line(octets):
            return ("line", octets)
        case Refused(tag, error):
            return ("refused", tag, None if error is None else error.fault)
        case Broken(error):
            return ("broken", error.fault)


Answer = Callable[[Framer, Event], None]


def _accept(framer: Framer, event: Event) -> None:
    if isinstance(event, LiteralStart):
        framer.accept()


def _refuse(framer: Framer, event: Event) -> None:
    if isinstance(event, LiteralStart):
        framer.refuse()


def _run(limits: Limits, pieces: Iterator[bytes] | list[bytes], answer: Answer = _accept) -> list[Seen]:
    """All events of some octets; pieces of one streamed literal are joined, since their cut isn't promised."""
    framer = Framer(limits)
    seen: list[Seen] = []
    for piece in pieces:
        framer.feed(piece)
        while (event := framer.next()) is not None:
            answer(framer, event)
            spelt = _spell(event)
            if spelt[0] == "data" and seen and seen[-1][0] == "data" and not seen[-1][2]:
                spelt = ("data", seen[-1][1] + spelt[1], spelt[2])  # type: ignore[operator]
                seen.pop()
            seen.append(spelt)
    return seen


def _single(octets: bytes) -> list[bytes]:
    return [octets[i : i + 1] for i in range(len(octets))]


def _c(*texts: bytes, literals: tuple[bytes | None, ...] = ()) -> Seen:
    return ("complete", texts, literals)


_NOOP = _c(b"z NOOP")

CASES: list[tuple[str, bytes, list[Seen]]] = [
    ("a command", b"a NOOP\r\n", [_c(b"a NOOP")]),
    ("bare LF", b"a NOOP\n", [_c(b"a NOOP")]),
    ("bare CR stays", b"a NO\rOP\r\n", [_c(b"a NO\rOP")]),
    ("two CR", b"a NOOP\r\r\n", [_c(b"a NOOP\r")]),
    ("empty line", b"\r\n", [_c(b"")]),
    ("two commands", b"a NOOP\r\nb NOOP\r\n", [_c(b"a NOOP"), _c(b"b NOOP")]),
    (
        "non-synchronizing literals",
        b"a LOGIN {6+}\r\nclaire {4+}\r\np\r\nw\r\n",
        [_c(b"a LOGIN {6+}", b" {4+}", b"", literals=(b"claire", b"p\r\nw"))],
    ),
    (
        "synchronizing literals",
        b"a LOGIN {6}\r\nclaire {2}\r\npw\r\n",
        [("+",), ("+",), _c(b"a LOGIN {6}", b" {2}", b"", literals=(b"claire", b"pw"))],
    ),
    ("empty literal", b"a X {0+}\r\n\r\n", [_c(b"a X {0+}", b"", literals=(b"",))]),
    ("a literal that looks like one", b"a X {6+}\r\n {3+}\r\r\n", [_c(b"a X {6+}", b"", literals=(b" {3+}\r",))]),
    ("announcement amid the line", b"a X {3+} y\r\n", [_c(b"a X {3+} y")]),
    ("not an announcement", b"a X {-3}\r\nb X {3 }\r\nc X {}\r\n", [_c(b"a X {-3}"), _c(b"b X {3 }"), _c(b"c X {}")]),
    ("longest line", b"a " + b"x" * 38 + b"\r\n", [_c(b"a " + b"x" * 38)]),
    ("line too long", b"a " + b"x" * 39 + b"\r\n", [("refused", b"a", Fault.LINE_TOO_LONG)]),
    ("line far too long", b"a " + b"x" * 3_000 + b"\r\n", [("refused", b"a", Fault.LINE_TOO_LONG)]),
    ("long line without a tag", b"(" + b"x" * 300 + b"\r\n", [("refused", b"*", Fault.LINE_TOO_LONG)]),
    (
        "long line that announces a literal on its way",
        b"a " + b"x" * 50 + b"{5+}\r\nb X\r\n\r\n",
        [("refused", b"a", Fault.LINE_TOO_LONG)],
    ),
    (
        "long line whose sender waits",
        b"a " + b"x" * 50 + b"{5}\r\n",
        [("refused", b"a", Fault.LINE_TOO_LONG)],
    ),
    (
        "literal too big, on its way",
        b"a X {21+}\r\n" + b"\n" * 21 + b"\r\n",
        [("refused", b"a", Fault.LITERAL_TOO_BIG)],
    ),
    ("literal too big, waiting", b"a X {21}\r\n", [("refused", b"a", Fault.LITERAL_TOO_BIG)]),
    ("literal beyond 32 bits, waiting", b"a X {99999999999999999999}\r\n", [("refused", b"a", Fault.LITERAL_TOO_BIG)]),
    (
        "refused literal, then more of the command",
        b"a X {21+}\r\n" + b"\n" * 21 + b" y {3+}\r\nabc\r\n",
        [("refused", b"a", Fault.LITERAL_TOO_BIG)],
    ),
    (
        "too many literals",
        b"a X" + b" {1+}\r\nx" * 4 + b"\r\n",
        [("refused", b"a", Fault.TOO_MANY_LITERALS)],
    ),
    (
        "command too big by its literals",
        b"a " + b"x" * 30 + b" {20+}\r\n" + b"y" * 20 + b" {20+}\r\n" + b"y" * 20 + b" {20+}\r\n" + b"y" * 20 + b"\r\n",
        [("refused", b"a", Fault.COMMAND_TOO_BIG)],
    ),
    (
        "command too big by its last line",
        b"a X {20+}\r\n" + b"y" * 20 + b"x" * 34 + b"{1+}\r\n" + b"y" + b"z" * 40 + b"\r\n",
        [("refused", b"a", Fault.COMMAND_TOO_BIG)],
    ),
    (
        "append",
        b"a APPEND in (\\Seen) {5+}\r\nhello\r\n",
        [
            ("start", (b"a APPEND in (\\Seen) {5+}", b""), 5, False),
            ("data", b"hello", True),
            _c(b""),
        ],
    ),
    (
        "append, waiting, the mailbox a literal",
        b"a append {2}\r\nin {5}\r\nhello\r\n",
        [
            ("+",),
            ("start", (b"a append {2}", b" {5}", b""), 5, True),
            ("+",),
            ("data", b"hello", True),
            _c(b""),
        ],
    ),
    (
        "empty append",
        b"a APPEND in {0+}\r\n\r\n",
        [
            ("start", (b"a APPEND in {0+}", b""), 0, False),
            ("data", b"", True),
            _c(b""),
        ],
    ),
    (
        "several messages, the last one's end wrong",
        b"a APPEND in {5+}\r\nhello () {2}\r\nyo {1+}\r\n! x\r\n",
        [
            ("start", (b"a APPEND in {5+}", b""), 5, False),
            ("data", b"hello", True),
            ("start", (b" () {2}", b""), 2, True),
            ("+",),
            ("data", b"yo", True),
            ("start", (b" {1+}", b""), 1, False),
            ("data", b"!", True),
            _c(b" x"),
        ],
    ),
    (
        "a message too big behind another",
        b"a APPEND in {5+}\r\nhello {1001+}\r\n" + b"\n" * 1001 + b"\r\n",
        [
            ("start", (b"a APPEND in {5+}", b""), 5, False),
            ("data", b"hello", True),
            ("refused", b"a", Fault.MESSAGE_TOO_BIG),
        ],
    ),
    (
        "a line too long behind a message",
        b"a APPEND in {5+}\r\nhello" + b"x" * 50 + b"\r\n",
        [
            ("start", (b"a APPEND in {5+}", b""), 5, False),
            ("data", b"hello", True),
            ("refused", b"a", Fault.LINE_TOO_LONG),
        ],
    ),
    (
        "append too big, on its way",
        b"a APPEND in {1001+}\r\n" + b"\n" * 1001 + b"\r\n",
        [("refused", b"a", Fault.MESSAGE_TOO_BIG)],
    ),
    ("append too big, waiting", b"a APPEND in {1001}\r\n", [("refused", b"a", Fault.MESSAGE_TOO_BIG)]),
]


@pytest.mark.parametrize(("octets", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_framing(octets: bytes, expected: list[Seen]) -> None:
    """A command gives the same events whole and octet by octet, and what follows it is untouched."""
    assert _run(SMALL, [octets]) == expected
    assert _run(SMALL, _single(octets)) == expected
    assert _run(SMALL, [octets + b"z NOOP\r\n"]) == [*expected, _NOOP]
    assert _run(SMALL, _single(octets + b"z NOOP\r\n")) == [*expected, _NOOP]


@given(st.lists(st.sampled_from([c[1] for c in CASES]), max_size=4), st.lists(st.integers(1, 50), min_size=1))
def test_any_cut_gives_the_same_events(commands: list[bytes], sizes: list[int]) -> None:
    """Where a connection's octets are cut changes no event."""
    octets = b"".join(commands)
    pieces, at, turn = [], 0, 0
    while at < len(octets):
        pieces.append(octets[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1
    assert _run(SMALL, pieces) == _run(SMALL, [octets])


@given(st.binary(max_size=300))
def test_any_octets_are_taken(octets: bytes) -> None:
    """No octets make the framer fail, or differ octet by octet."""
    assert _run(SMALL, [octets]) == _run(SMALL, _single(octets))


_WAITING = b"a APPEND in {5}\r\n"
_COMING = b"a APPEND in {5+}\r\nhello\r\n"


@pytest.mark.parametrize(("octets", "synchronizing"), [(_WAITING, True), (_COMING, False)])
def test_session_refuses_an_append(octets: bytes, synchronizing: bool) -> None:
    """A message turned away at its announcement is never handed over; its sender is told once it has sent it."""
    texts = (octets.split(b"\r\n", maxsplit=1)[0], b"")
    expected = [("start", texts, 5, synchronizing), ("refused", b"a", None), _NOOP]
    for pieces in ([octets + b"z NOOP\r\n"], _single(octets + b"z NOOP\r\n")):
        assert _run(SMALL, pieces, _refuse) == expected


@pytest.mark.parametrize("last", [False, True])
def test_session_refuses_amid_the_message(last: bool) -> None:
    """A full disk can end a message halfway or after its last octet: the rest is consumed, then refused once."""
    framer = Framer(SMALL)
    framer.feed(b"a APPEND in {6+}\r\nabc")
    assert isinstance(framer.next(), LiteralStart)
    framer.accept()
    assert framer.next() == LiteralData(b"abc", last=False)
    if last:
        framer.feed(b"def")
        assert framer.next() == LiteralData(b"def", last=True)
        framer.refuse()
        framer.feed(b" {3+}\r\nxyz\r\n")
    else:
        framer.refuse()
        framer.feed(b"def {3+}\r\nxyz\r\n")
    assert framer.next() == Refused(b"a", None)
    assert framer.next() is None
    assert not framer.midway


def test_nothing_moves_before_the_session_decides() -> None:
    """Between LiteralStart and its answer there is no event, however much was sent."""
    framer = Framer(SMALL)
    framer.feed(_COMING + b"b NOOP\r\n")
    assert isinstance(framer.next(), LiteralStart)
    assert framer.next() is None
    framer.accept()
    assert framer.next() == LiteralData(b"hello", last=True)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"DONE\r\n", [("line", b"DONE")]),
        (b"\r\n", [("line", b"")]),
        (b"QQ==\n", [("line", b"QQ==")]),
        (b"x{3+}\r\n", [("line", b"x{3+}")]),
        (b"x" * 30 + b"\r\n", [("line", b"x" * 30)]),
        (b"a " + b"x" * 29 + b"\r\n", [("refused", b"*", Fault.LINE_TOO_LONG)]),
        (b"a " + b"x" * 290 + b"{3+}\r\n", [("refused", b"*", Fault.LINE_TOO_LONG)]),
    ],
)
def test_a_raw_line(octets: bytes, expected: list[Seen]) -> None:
    """After expect_line one line comes raw, without literals or tag; the next one is a command again."""
    for pieces in ([octets + b"z NOOP\r\n"], _single(octets + b"z NOOP\r\n")):
        framer = Framer(SMALL)
        framer.feed(b"i IDLE\r\n")
        assert isinstance(framer.next(), Complete)
        framer.expect_line(30)
        seen = []
        for piece in pieces:
            framer.feed(piece)
            while (event := framer.next()) is not None:
                seen.append(_spell(event))
        assert seen == [*expected, _NOOP]


def test_what_follows_starttls_shows() -> None:
    """Octets injected behind STARTTLS are still unread when the command comes out, so that the session can tell."""
    framer = Framer(SMALL)
    framer.feed(b"a STARTTLS\r\nb LOGIN x y\r\n")
    assert isinstance(framer.next(), Complete)
    assert framer.buffered == 13


def test_midway_tells_a_stall_from_idleness() -> None:
    """A command begun and not ended counts as midway, in its line, in a literal and behind one."""
    framer = Framer(SMALL)
    assert not framer.midway
    for piece in (b"a X", b" {3+}\r\n", b"ab", b"c"):
        framer.feed(piece)
        assert framer.next() is None
        assert framer.midway
    framer.feed(b"\r\n")
    assert isinstance(framer.next(), Complete)
    assert not framer.midway


@pytest.mark.parametrize(
    "octets",
    [
        b"a X {4001+}\r\n",
        b"a X {99999999999999999999+}\r\n",
        b"a X {4294967295+}\r\n",
        b"a X" + b" {100+}\r\n" + b"x" * 100 + b"{3999+}\r\n",
        b"x" * 5_000,
    ],
)
def test_more_than_is_worth_reading_ends_the_connection(octets: bytes) -> None:
    """What can't be consumed within the limit breaks off at once, and nothing comes after."""
    seen = _run(SMALL, [octets, b"z NOOP\r\n" * 10])
    assert [s[0] for s in seen] == ["broken"]
    assert [s[0] for s in _run(SMALL, _single(octets))] == ["broken"]


def _peak_octets(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_refused_flood_takes_no_memory() -> None:
    """A 20 MB line and a 20 MB literal, both refused, are consumed within a few chunks of memory."""
    limits = after_login(50_000_000)
    chunk = b"x" * CHUNK_OCTETS

    def flood(head: bytes) -> Iterator[bytes]:
        yield head
        for _ in range(320):
            yield chunk
        yield b"\r\n"

    size = 320 * CHUNK_OCTETS
    for head, fault in (
        (b"a ", Fault.LINE_TOO_LONG),
        (b"a X {%d+}\r\n" % size, Fault.LITERAL_TOO_BIG),
    ):
        seen: list[list[Seen]] = []
        assert _peak_octets(lambda head=head, seen=seen: seen.append(_run(limits, flood(head)))) < 600_000  # type: ignore[misc]
        assert seen == [[("refused", b"a", fault)]]


def test_a_streamed_message_takes_no_memory() -> None:
    """A 20 MB APPEND passes in pieces: never more than a few chunks at once, and every octet."""
    framer = Framer(after_login(50_000_000))
    chunk = b"x" * CHUNK_OCTETS
    got = 0

    def stream() -> None:
        nonlocal got
        framer.feed(b"a APPEND in {%d+}\r\n" % (320 * CHUNK_OCTETS))
        assert isinstance(framer.next(), LiteralStart)
        framer.accept()
        for _ in range(320):
            framer.feed(chunk)
            while (event := framer.next()) is not None:
                assert isinstance(event, LiteralData)
                got += len(event.octets)

    assert _peak_octets(stream) < 600_000
    assert got == 320 * CHUNK_OCTETS


def test_many_messages_take_no_memory() -> None:
    """What stands before a message is forgotten once it has come: a hundred thousand of them take no more than one."""
    framer = Framer(after_login(1_000))
    started = 0

    def stream() -> None:
        nonlocal started
        framer.feed(b"a APPEND in {1+}\r\n")
        for _ in range(1_000):
            framer.feed(b"x (\\Seen $A) {1+}\r\n" * 100)
            while (event := framer.next()) is not None:
                if isinstance(event, LiteralStart):
                    framer.accept()
                    started += 1

    assert _peak_octets(stream) < 100_000
    assert started == 100_001


def test_limits_before_login_are_small() -> None:
    """A stranger can make us hold no more than 16 KiB, and can hand over no message."""
    framer = Framer(BEFORE_LOGIN)
    framer.feed(b"a APPEND in {100000}\r\n")
    event = framer.next()
    assert isinstance(event, Refused)
    assert event.error is not None
    assert event.error.fault is Fault.LITERAL_TOO_BIG
    assert _run(BEFORE_LOGIN, [b"a X " + b"x" * 13_000 + b"\r\n"]) == [("refused", b"a", Fault.LINE_TOO_LONG)]
    assert _run(BEFORE_LOGIN, [b"a X {70000+}\r\n"]) == [("broken", Fault.LITERAL_TOO_BIG)]


def test_what_a_client_sent_shows_in_no_event() -> None:
    """No repr of an event or frame holds a line, a literal or a message."""
    framer = Framer(after_login(100))
    framer.feed(b"a LOGIN {4+}\r\nlull hunter2\r\n")
    complete = framer.next()
    assert isinstance(complete, Complete)
    for value in (
        complete,
        complete.frame,
        complete.frame.literals,
        Line(b"hunter2"),
        LiteralData(b"hunter2", last=True),
    ):
        assert "hunter2" not in repr(value)
        assert "lull" not in repr(value)
