"""Hostile commands: whatever is sent, an answer comes soon, in little memory, and is a fault of the peer's."""

import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.search import And, Key, Not, Or
from mssmail.wire.imap import commands, sequence, table
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import Complete, Frame, LiteralStart, Refused, after_login
from mssmail.wire.imap.framer import Framer
from mssmail.wire.imap.machine import Machine
from mssmail.wire.imap.parse.search import MAX_DEPTH, MAX_KEYS
from mssmail.wire.imap.table import Rejected, Request

CPU_S = 2.0
"""Of this process's own time; each of these takes a few milliseconds, or grows without end."""


def _selected() -> Machine:
    machine = Machine(tls=True)
    machine.signed_in()
    machine.selected()
    return machine


MILLION = 1_000_000

BOMBS: list[tuple[str, bytes, Fault]] = [
    ("parentheses", b"a SEARCH " + b"(" * MILLION, Fault.TOO_DEEP),
    ("closed parentheses", b"a SEARCH " + b"(" * MILLION + b"ALL" + b")" * MILLION, Fault.TOO_DEEP),
    ("NOTs", b"a SEARCH " + b"NOT " * MILLION + b"ALL", Fault.TOO_DEEP),
    ("ORs", b"a SEARCH " + b"OR ALL " * MILLION + b"ALL", Fault.TOO_MANY),
    ("bare ORs", b"a SEARCH " + b"OR " * MILLION + b"ALL", Fault.TOO_MANY),
    ("keys", b"a SEARCH " + b"ALL " * MILLION + b"ALL", Fault.TOO_MANY),
    ("FETCH parentheses", b"a FETCH 1 " + b"(" * MILLION, Fault.SYNTAX),
    ("sections", b"a FETCH 1 (" + b"BODY[" * MILLION, Fault.SYNTAX),
    ("ever deeper part", b"a FETCH 1 BODY[" + b"1." * MILLION + b"1]", Fault.TOO_DEEP),
    ("bodies", b"a FETCH 1 (" + b" ".join(b"BODY[]<%d.1>" % i for i in range(100_000)) + b")", Fault.TOO_MANY),
    ("ranges", b"a FETCH " + b",".join(b"%d:%d" % (i, i + 1) for i in range(1, 300_000, 3)) + b" UID", Fault.TOO_MANY),
    ("commas", b"a FETCH " + b"," * MILLION + b" UID", Fault.TOO_MANY),
    ("few commas", b"a FETCH " + b"," * 10_000 + b" UID", Fault.SYNTAX),
    ("colons", b"a FETCH " + b":" * MILLION + b" UID", Fault.SYNTAX),
    ("stars", b"a FETCH " + b"*" * MILLION + b" UID", Fault.SYNTAX),
    ("digits", b"a FETCH " + b"9" * MILLION + b" UID", Fault.SYNTAX),
    ("digits in a span", b"a FETCH 1 BODY[]<" + b"9" * MILLION + b".1>", Fault.SYNTAX),
    ("zeros", b"a SEARCH LARGER " + b"0" * MILLION, Fault.SYNTAX),
    ("open quote", b'a SEARCH TEXT "' + b"\\\\" * MILLION, Fault.SYNTAX),
    ("backslashes", b'a SEARCH TEXT "' + b"\\" * (MILLION + 1) + b'x"', Fault.SYNTAX),
    ("quotes", b"a LIST " + b'"' * MILLION, Fault.SYNTAX),
    ("flags", b"a STORE 1 FLAGS (" + b"\\x " * MILLION, Fault.TOO_MANY),
    ("flag words", b"a STORE 1 FLAGS " + b"x " * MILLION, Fault.TOO_MANY),
    ("fields", b"a FETCH 1 BODY[HEADER.FIELDS (" + b"x " * MILLION, Fault.TOO_MANY),
    ("ampersands", b"a SELECT " + b"&" * MILLION, Fault.MAILBOX_NAME),
    ("shifts", b"a SELECT " + b"&-" * MILLION, Fault.MAILBOX_NAME),
    ("a long tag", b"a" * MILLION + b" NOOP", Fault.SYNTAX),
    ("a long name", b"a " + b"N" * MILLION, Fault.UNKNOWN_COMMAND),
    ("spaces", b" " * MILLION, Fault.SYNTAX),
    ("NULs", b"a SELECT " + b"\0" * MILLION, Fault.SYNTAX),
    ("8 bits", b"a SELECT " + b"\xff" * MILLION, Fault.SYNTAX),
    ("braces", b"a SELECT " + b"{" * MILLION, Fault.SYNTAX),
    ("status items", b"a STATUS x (" + b"UNSEEN " * MILLION, Fault.SYNTAX),
    ("ID fields", b"a ID (" + b'"a" NIL ' * MILLION, Fault.TOO_MANY),
    ("ENABLE", b"a ENABLE" + b" X" * MILLION, Fault.SYNTAX),
    ("uses", b"a CREATE x (USE (" + b"\\Sent " * MILLION, Fault.TOO_MANY),
]


@pytest.mark.parametrize(("line", "fault"), [b[1:] for b in BOMBS], ids=[b[0] for b in BOMBS])
def test_the_parser_alone_stands_a_bomb(line: bytes, fault: Fault) -> None:
    """A line of a megabyte, fifteen times what framing lets through, is refused with its fault and quickly."""
    machine = _selected()
    started = time.process_time()
    outcome = table.read(Frame((line,)), machine)
    assert time.process_time() - started < CPU_S
    assert isinstance(outcome, Rejected)
    assert outcome.error.fault is fault


@pytest.mark.parametrize("line", [b[1] for b in BOMBS], ids=[b[0] for b in BOMBS])
def test_framing_refuses_or_the_parser_does(line: bytes) -> None:
    """Through the framer, cut at 64 KiB: one refusal, in memory that doesn't grow with what was sent."""
    framer = Framer(after_login(1_000))
    refusals: list[object] = []
    pieces = [line[at : at + 65_536] for at in range(0, len(line), 65_536)] + [b"\r\n"]
    tracemalloc.start()
    try:
        for piece in pieces:
            framer.feed(piece)
            while (event := framer.next()) is not None:
                refusals.append(event)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(refusals) == 1
    if isinstance(refusals[0], Complete):
        assert isinstance(table.read(refusals[0].frame, _selected()), Rejected)
    assert peak < 1_000_000


@pytest.mark.parametrize(
    "announced", [b"{65537+}", b"{1000000+}", b"{65537}", b"{4294967295}", b"{99999999999999999999}"]
)
@pytest.mark.parametrize("head", [b"a LOGIN ", b"a SEARCH TEXT ", b"a SELECT ", b"a APPEND "])
def test_literal_bombs(head: bytes, announced: bytes) -> None:
    """A literal over the limit costs its sender the sending, and us nothing; its command is refused once."""
    framer = Framer(after_login(50_000_000))
    framer.feed(head + announced + b"\r\n")
    events = []
    if announced.endswith(b"+}"):
        assert framer.next() is None
        framer.feed(b"x" * int(announced[1:-2]) + b"\r\n")
    while (event := framer.next()) is not None:
        events.append(event)
    assert len(events) == 1
    assert isinstance(events[0], Refused)
    assert events[0].tag == b"a"
    assert not framer.midway


def _depth(key: Key) -> int:
    """How deep a tree is, without recursion."""
    deepest, todo = 0, [(key, 1)]
    while todo:
        node, level = todo.pop()
        deepest = max(deepest, level)
        match node:
            case Not(inner):
                todo.append((inner, level + 1))
            case Or(left, right):
                todo += [(left, level + 1), (right, level + 1)]
            case And(keys):
                todo += [(k, level + 1) for k in keys]
            case _:
                pass
    return deepest


@pytest.mark.parametrize(
    ("octets", "deepest"),
    [
        (b"NOT " * MAX_DEPTH + b"SEEN", MAX_DEPTH + 1),
        (b"(NOT " * (MAX_DEPTH // 2) + b"SEEN" + b")" * (MAX_DEPTH // 2), MAX_DEPTH // 2 + 1),
        (b"OR SEEN " * 1_000 + b"SEEN", 11),
        (b"OR " * 1_000 + b"SEEN" + b" SEEN" * 1_000, 11),
        (b"ALL " * (MAX_KEYS - 1) + b"ALL", 2),
    ],
)
def test_what_passes_is_shallow(octets: bytes, deepest: int) -> None:
    """A search that is let through is no deeper than its nesting, and chains of a thousand ORs are ten deep."""
    outcome = table.read(Frame((b"a SEARCH " + octets,)), _selected())
    assert isinstance(outcome, Request)
    assert isinstance(outcome.command, commands.Search)
    assert _depth(outcome.command.key) == deepest


def test_a_hundred_thousand_ranges_at_their_worst() -> None:
    """As many ranges as are let through are merged in a moment; one more is refused."""
    most = b",".join(b"%d" % (2 * i + 1) for i in range(sequence.MAX_RANGES))
    started = time.process_time()
    assert len(sequence.parse(most)) == sequence.MAX_RANGES
    assert time.process_time() - started < CPU_S
    with pytest.raises(ProtocolError) as caught:
        sequence.parse(most + b",1")
    assert caught.value.fault is Fault.TOO_MANY


_words = st.sampled_from(
    [row.name for row in table.ROWS]
    + [
        b"(",
        b")",
        b'"',
        b"{3+}\r\nabc",
        b"{3}\r\nabc",
        b" ",
        b"1:*",
        b"BODY[",
        b"]",
        b"<0.1>",
        b"NOT ",
        b"OR ",
        b"\\Seen",
    ]
    + [b"CHARSET ", b"UTF-8", b"TEXT ", b"1-Jan-2026", b"\0", b"\xff", b"&AOk-", b"{", b"}", b"+", b"%", b"*", b"FLAGS"]
)


@given(st.lists(st.one_of(_words, st.binary(max_size=6)), max_size=20))
def test_any_words_are_answered(words: list[bytes]) -> None:
    """Whatever words a client puts together, it is answered, and nothing but an answer happens."""
    framer = Framer(after_login(100))
    framer.feed(b"a " + b"".join(words) + b"\r\n")

    def events() -> Iterator[object]:
        while (event := framer.next()) is not None:
            yield event

    for event in events():
        if isinstance(event, LiteralStart):
            framer.accept()
        if isinstance(event, Complete):
            for machine in (_selected(), Machine(tls=True), Machine(tls=False)):
                assert isinstance(table.read(event.frame, machine), Request | Rejected)
