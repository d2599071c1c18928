"""IMAP under fuzz: a session's framing and parsing in every state, as the server drives them, and modified UTF-7."""

import re
from dataclasses import dataclass, field

from mssmail.wire.imap import commands, encode, mutf7, responses, sequence, table
from mssmail.wire.imap.fault import ProtocolError
from mssmail.wire.imap.frame import (
    BEFORE_LOGIN,
    Broken,
    Complete,
    Event,
    Frame,
    Limits,
    Line,
    LiteralData,
    LiteralStart,
    NeedContinuation,
    Refused,
)
from mssmail.wire.imap.framer import Framer
from mssmail.wire.imap.machine import Machine, State
from mssmail.wire.imap.table import Rejected, Request
from mssmail.wire.sasl import registry
from mssmail.wire.sasl.exchange import MAX_LINE_OCTETS, Challenge, Done, Exchange
from tests.fuzz.target import Target, cut

SIGNED_IN = Limits(
    line_octets=600, literal_octets=200, literals=5, command_octets=1_000, append_octets=300, skip_octets=2_000
)
"""Small, so that short input reaches every limit."""
IDLE_LINE_OCTETS = 40
_STATUS_LINE = re.compile(rb"[^\r\n\x00\x80-\xff]{1,1500}\r\n")

Seen = tuple[object, ...]


@dataclass(slots=True)
class Talk:
    """A session without its deeds: sign-ins and selections always succeed."""

    machine: Machine
    refuses: bool
    """Whether it turns messages of APPEND away."""
    framer: Framer
    exchange: Exchange | None = None
    idle: bool = False
    appending: bool = False
    seen: list[Seen] = field(default_factory=list)

    def feed(self, octets: bytes) -> None:
        """Take octets, and act on every event that they make."""
        self.framer.feed(octets)
        while (event := self.framer.next()) is not None:
            self._take(event)
        assert self.framer.buffered <= SIGNED_IN.literal_octets + BEFORE_LOGIN.line_octets + 1_024

    def _take(self, event: Event) -> None:
        match event:
            case Complete(frame):
                self.seen.append(("complete", frame.texts, tuple(x.octets for x in frame.literals)))
                if self.appending:
                    self.appending = False
                else:
                    self._command(frame)
            case Line(octets):
                self.seen.append(("line", octets))
                self._line(octets)
            case LiteralStart(frame, size, synchronizing):
                self.seen.append(("start", frame.texts, size, synchronizing))
                self._message(frame)
            case LiteralData(octets, last):
                self._data(octets, last)
            case NeedContinuation():
                self.seen.append(("+",))
            case Refused(tag, error):
                self.appending, self.exchange, self.idle = False, None, False
                self.seen.append(("refused", tag, None if error is None else error.fault))
                if error is not None:
                    _spell(error, tag)
            case Broken(error):
                self.seen.append(("broken", error.fault))
                assert self.framer.next() is None

    def _data(self, octets: bytes, last: bool) -> None:
        """Pieces of one message are joined, since their cut isn't promised."""
        if self.seen[-1][0] == "data" and self.seen[-1][2] is False:
            octets = bytes(self.seen.pop()[1]) + octets  # type: ignore[call-overload]
        self.seen.append(("data", octets, last))

    def _message(self, frame: Frame) -> None:
        if self.appending:
            good = isinstance(table.read_message(frame), commands.NewMessage)
        else:
            outcome = table.read(frame, self.machine)
            good = isinstance(outcome, Request)
            assert not isinstance(outcome, Request) or isinstance(outcome.command, commands.Append)
        self.appending = good and not self.refuses
        if self.appending:
            self.framer.accept()
        else:
            self.framer.refuse()

    def _command(self, frame: Frame) -> None:
        outcome = table.read(frame, self.machine)
        if isinstance(outcome, Rejected):
            self.seen.append(("rejected", outcome.tag, outcome.error.fault))
            _spell(outcome.error, outcome.tag)
            return
        self.seen.append(("request", outcome.tag, outcome.row.name))
        repr(outcome.command)
        self._obey(outcome)

    def _obey(self, request: Request) -> None:
        match request.command:
            case commands.StartTls():
                self.machine.started_tls()
            case commands.Login():
                self._sign_in()
            case commands.Authenticate(mechanism, initial):
                self.exchange = registry.begin(mechanism, frozenset(registry.Need))
                if self.exchange is not None:
                    self._step(self.exchange.begin(initial))
            case commands.Select() | commands.Examine():
                self.machine.selected()
            case commands.Close() | commands.Unselect():
                self.machine.unselected()
            case commands.Idle():
                self.idle = True
                self.framer.expect_line(IDLE_LINE_OCTETS)
            case commands.Logout():
                self.machine.ended()
            case commands.Fetch(messages) | commands.Store(messages) | commands.Copy(messages):
                assert sequence.parse(sequence.encode(messages.ranges)) == messages.ranges
            case _:
                pass

    def _line(self, octets: bytes) -> None:
        if self.exchange is not None:
            self._step(self.exchange.answer(octets))
        elif octets.upper() != b"DONE" and self.idle:
            self.idle = False

    def _step(self, step: object) -> None:
        if isinstance(step, Challenge):
            encode.encode(responses.ContinueWith(step.line))
            self.framer.expect_line(MAX_LINE_OCTETS)
            return
        self.exchange = None
        if isinstance(step, Done):
            self._sign_in()

    def _sign_in(self) -> None:
        if self.machine.state is State.NOT_AUTHENTICATED and self.machine.tls:
            self.machine.signed_in()
            self.framer.limits = SIGNED_IN


def _spell(error: ProtocolError, tag: bytes) -> None:
    """A refusal is one line that any client can read."""
    assert _STATUS_LINE.fullmatch(encode.encode(responses.refusal(error, tag)))


def _begun(state: int, *, refuses: bool) -> Talk:
    machine = Machine(tls=state > 0)
    talk = Talk(machine, refuses, Framer(BEFORE_LOGIN))
    if state >= 2:
        machine.signed_in()
        talk.framer.limits = SIGNED_IN
    if state >= 3:
        machine.selected()
    return talk


def session(data: bytes) -> None:
    """The first octet chooses state and manners, the second how many octets cut the rest; any cut tells the same."""
    if len(data) < 2:
        return
    state, refuses, many = data[0] % 4, bool(data[0] & 4), data[1] % 4
    sizes, octets = data[2 : 2 + many], data[2 + many :]
    whole = _begun(state, refuses=refuses)
    whole.feed(octets)
    pieces = _begun(state, refuses=refuses)
    for piece in cut(octets, sizes or b"\0"):
        pieces.feed(piece)
    assert whole.seen == pieces.seen
    assert whole.machine.state is pieces.machine.state


def mailbox_name(data: bytes) -> None:
    """What is decoded is spelt so again, and every name that has a spelling comes back from it."""
    name = mutf7.decode(data)
    if name is not None:
        assert mutf7.encode(name) == data
    for codec in ("utf-8", "utf-16-le"):
        text = data.decode(codec, "replace")
        assert mutf7.decode(mutf7.encode(text)) == text


def sequence_set(data: bytes) -> None:
    """A set is refused, or is what its own spelling says."""
    try:
        ranges = sequence.parse(data)
    except ProtocolError:
        return
    assert sequence.parse(sequence.encode(ranges)) == ranges
    assert all(low <= high or high == 0 for low, high in ranges)


_WORDS = tuple(row.name for row in table.ROWS) + tuple(
    b"""( ) " \\ {3+}\r\nabc {3}\r\nabc {0+} {99999+} \r\n a\x20 1:* * BODY[ BODY.PEEK[ ] <0.1> NOT OR \\Seen $Junk
    HEADER.FIELDS TEXT MIME CHARSET UTF-8 RETURN (MIN) (MODSEQ) UNCHANGEDSINCE CHANGEDSINCE CONDSTORE KEYWORD SINCE
    1-Jan-2026 FLAGS.SILENT +FLAGS -FLAGS INBOX NIL DONE PLAIN EXTERNAL = AGEAYg== \xff \0 &AOk- % RECURSIVEMATCH
    SUBSCRIBED SPECIAL-USE (USE STATUS (MESSAGES STORAGE FULL FAST 4294967295 4294967296 18446744073709551615""".split()
)
TARGETS = (
    Target("imap", session, (*_WORDS, b"\r\n", b"\n", b" ", b" {3+}\r\nabc", b' "05-Jan-2026 12:00:00 +0100"')),
    Target("mailbox-name", mailbox_name, (b"&", b"-", b"AOk", b"&AOk-", b"&-", b"2AA", b",", b"+"), 256),
    Target("sequence-set", sequence_set, (b"*", b":", b",", b"1", b"4294967295", b"4294967296", b"0"), 512),
)
