"""Framing: from octets in any chunks to whole commands, before anything is parsed, within fixed limits.

The framer is pulled: `feed` what was read, then call `next` until it returns None, so that what follows a command is
never looked at before the session has dealt with it (IDLE and AUTHENTICATE change how the next line is read;
STARTTLS must find nothing behind it).

- What a command takes in memory is bounded by `Limits`, whatever the peer sends. A command over a limit is consumed
  to its end and then reported as one `Refused`; where the peer waits for our `+`, at once. Who announces more than
  is worth reading gets `Broken`.
- The message of an APPEND is never gathered here: it is announced (`LiteralStart`), the session says `accept` or
  `refuse`, then it comes in pieces (`LiteralData`) as it arrives. Several may follow each other (RFC 3502): of what
  was before a message nothing is kept once it has come, so that their number costs nothing.
- Lines end in CRLF; a bare LF is taken too, as other servers do. Nothing but us reads this stream, so that no two
  programs can disagree on where a line ends; a bare CR stays in the line and the parser rejects it.

Knows no command but APPEND, and must never know what is in a literal.
"""

import re
from enum import Enum, auto
from typing import Literal as Only
from typing import assert_never

from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import (
    CHUNK_OCTETS,
    UINT32_MAX,
    Broken,
    Complete,
    Event,
    Frame,
    Limits,
    Line,
    Literal,
    LiteralData,
    LiteralStart,
    NeedContinuation,
    Refused,
    tag_of,
)

_ANNOUNCEMENT = re.compile(rb"\{([0-9]{1,20})(\+?)\}\Z")
_ANNOUNCEMENT_OCTETS = 25
"""The longest announcement, and a CR."""
_HEAD_OCTETS = 512
"""What is kept of an overlong line: enough for the longest tag."""
_APPEND = re.compile(rb"[^ ]{1,256} APPEND (?!\{[0-9]+\+?\}\Z)", re.IGNORECASE)
"""An APPEND whose first line has more than the mailbox's literal: a literal at its end is a message."""
_APPEND_TO = re.compile(rb"[^ ]{1,256} APPEND \{[0-9]+\+?\}\Z", re.IGNORECASE)
"""An APPEND whose mailbox is a literal: any further literal is a message."""


class _Mode(Enum):
    LINE = auto()
    """Reading a line, of a command or raw."""
    GATHER = auto()
    """Reading a literal into memory."""
    DECIDE = auto()
    """LiteralStart is out; accept or refuse must come."""
    CONTINUE = auto()
    """Accepted, and the peer waits for `+`."""
    STREAM = auto()
    """Reading a message piece by piece."""
    SKIP_LINE = auto()
    """Throwing a line away, up to its end."""
    SKIP_LITERAL = auto()
    """Throwing a literal away."""
    REFUSE = auto()
    """Everything of a bad command is consumed; its Refused is due."""
    BREAK = auto()
    """The peer announced more than is worth reading; Broken is due."""
    BROKEN = auto()


class _Again(Enum):
    """No event, but the mode changed: look again."""

    AGAIN = auto()


_Outcome = Event | None | Only[_Again.AGAIN]


class Framer:
    """Cut a client's octets into events. One for each connection; `limits` may be set anew between commands."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._searched = 0
        """Up to where the buffer holds no LF: a line that trickles in is searched once."""
        self._size = 0
        """Octets of the current literal, in all."""
        self._left = 0
        """Octets of it still to come."""
        self._synchronizing = False
        self._reset()

    def _reset(self) -> None:
        self._mode = _Mode.LINE
        self._raw_octets: int | None = None
        """The raw line's limit, while one is asked for."""
        self._head: bytes | None = None
        """How the command begins, for its tag; None between commands."""
        self._texts: list[bytes] = []
        self._literals: list[Literal] = []
        self._held = 0
        """Octets of this command in memory."""
        self._appending = False
        """A message has come: whatever literal follows is another."""
        self._error: ProtocolError | None = None
        self._skipped = 0
        """Octets of this command thrown away."""
        self._tail = b""
        """End of the line being thrown away: a `{n+}` there still counts."""

    @property
    def buffered(self) -> int:
        """Octets fed and not yet used. After STARTTLS it must be 0, or what follows was injected (RFC 3501 §6.2.1)."""
        return len(self._buffer)

    @property
    def midway(self) -> bool:
        """Whether a command has begun and not ended: silence is then a stall, not idleness."""
        return bool(self._buffer) or self._head is not None or self._mode is not _Mode.LINE

    def feed(self, octets: bytes) -> None:
        """Take what was read. Feed only when `next` has returned None, so that memory stays bounded."""
        if self._mode is not _Mode.BROKEN:
            self._buffer += octets

    def expect_line(self, max_octets: int) -> None:
        """Read the next line raw, as IDLE and AUTHENTICATE do: no tag, no literals. Holds for one line."""
        assert self._mode is _Mode.LINE and self._head is None, "only between commands"
        self._raw_octets = max_octets

    def accept(self) -> None:
        """Let the message announced by LiteralStart come."""
        assert self._mode is _Mode.DECIDE, "only after LiteralStart"
        self._mode = _Mode.CONTINUE if self._synchronizing else _Mode.STREAM

    def refuse(self) -> None:
        """Turn the command away; its Refused follows once the peer has sent all of it.

        At LiteralStart, or amid the message or right behind it (a full disk): what is left is thrown away.
        """
        match self._mode:
            case _Mode.DECIDE | _Mode.CONTINUE:
                self._mode = _Mode.REFUSE if self._synchronizing else _Mode.SKIP_LITERAL
            case _Mode.STREAM:
                self._mode = _Mode.SKIP_LITERAL
            case _:
                assert self._mode is _Mode.LINE and self._appending, "only for a message announced"
                self._mode = _Mode.SKIP_LINE

    def next(self) -> Event | None:
        """Return the next event, or None where more octets are needed."""
        while True:
            event = self._step()
            if event is not _Again.AGAIN:
                return event

    def _step(self) -> _Outcome:
        match self._mode:
            case _Mode.LINE:
                return self._line()
            case _Mode.GATHER:
                return self._gather()
            case _Mode.CONTINUE:
                self._mode = _Mode.STREAM
                return NeedContinuation()
            case _Mode.STREAM:
                return self._stream()
            case _Mode.SKIP_LINE:
                return self._skip_line()
            case _Mode.SKIP_LITERAL:
                return self._skip_literal()
            case _Mode.REFUSE:
                return self._refused()
            case _Mode.BREAK:
                self._mode = _Mode.BROKEN
                self._buffer.clear()
                return Broken(self._error or ProtocolError(Fault.COMMAND_TOO_BIG))
            case _Mode.DECIDE | _Mode.BROKEN:
                return None
            case _:
                assert_never(self._mode)

    # Lines

    def _line(self) -> _Outcome:
        limit = self.limits.line_octets if self._raw_octets is None else self._raw_octets
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if len(self._buffer) <= limit + 1:  # a CR may be its last octet
                return None
            return self._give_up(ProtocolError(Fault.LINE_TOO_LONG), bytes(self._buffer[:_HEAD_OCTETS]))
        line = self._take_line(end)
        if len(line) > limit:
            return self._give_up(ProtocolError(Fault.LINE_TOO_LONG), line[:_HEAD_OCTETS], ending=line)
        if self._raw_octets is not None:
            self._reset()
            return Line(line)
        return self._command_line(line)

    def _take_line(self, end: int) -> bytes:
        """Cut the line whose LF is at `end` out of the buffer, without its LF and the CR before it, if any."""
        stop = end - 1 if end and self._buffer[end - 1] == 0x0D else end
        line = bytes(self._buffer[:stop])
        self._drop(end + 1)
        return line

    def _take(self, size: int) -> bytes:
        with memoryview(self._buffer) as view:
            octets = bytes(view[:size])
        self._drop(size)
        return octets

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._searched = 0

    def _command_line(self, line: bytes) -> _Outcome:
        self._held += len(line)
        self._texts.append(line)
        if self._head is None:
            self._head = line[:_HEAD_OCTETS]
        announced = _announcement(line)
        if announced is None:
            if self._held > self.limits.command_octets:
                return self._give_up(ProtocolError(Fault.COMMAND_TOO_BIG), line, ending=line)
            frame = Frame(tuple(self._texts), tuple(self._literals))
            self._reset()
            return Complete(frame)
        self._size, self._synchronizing = announced
        self._left = self._size
        message = self._is_message()
        error = self._judge(message=message)
        if error is not None:
            return self._give_up(error, line, ending=line)
        if message:
            self._mode = _Mode.DECIDE
            frame = Frame((*self._texts, b""), (*self._literals, Literal(self._size, None)))
            return LiteralStart(frame, self._size, self._synchronizing)
        self._mode = _Mode.GATHER
        return NeedContinuation() if self._synchronizing else _Again.AGAIN

    def _is_message(self) -> bool:
        """Whether the literal just announced is the message of an APPEND, not its mailbox."""
        if self.limits.append_octets == 0:
            return False
        if self._appending:
            return True
        first = self._texts[0]
        return _APPEND.match(first) is not None or (len(self._texts) > 1 and _APPEND_TO.match(first) is not None)

    def _judge(self, *, message: bool) -> ProtocolError | None:
        """Say what is wrong with a literal of the announced size at this place, if anything."""
        limits = self.limits
        if len(self._literals) >= limits.literals:
            return ProtocolError(Fault.TOO_MANY_LITERALS)
        if message:
            if self._size > min(limits.append_octets, UINT32_MAX):
                return ProtocolError(Fault.MESSAGE_TOO_BIG)
        elif self._size > limits.literal_octets:
            return ProtocolError(Fault.LITERAL_TOO_BIG)
        held = self._held if message else self._held + self._size
        return ProtocolError(Fault.COMMAND_TOO_BIG) if held > limits.command_octets else None

    # Literals

    def _gather(self) -> _Outcome:
        if len(self._buffer) < self._left:
            return None
        self._literals.append(Literal(self._size, self._take(self._size)))
        self._held += self._size
        self._mode = _Mode.LINE
        return _Again.AGAIN

    def _stream(self) -> _Outcome:
        size = min(self._left, len(self._buffer), CHUNK_OCTETS)
        if size == 0 and self._left:
            return None
        self._left -= size
        if self._left == 0:
            self._appending = True
            self._texts.clear()
            self._literals.clear()
            self._held = 0
            self._mode = _Mode.LINE
        return LiteralData(self._take(size), last=self._left == 0)

    # What is thrown away

    def _give_up(self, error: ProtocolError, head: bytes, ending: bytes | None = None) -> _Outcome:
        """Begin to throw the command away: in the line that starts with `head`; `ending` is its end, if it came."""
        self._error = error
        if self._head is None:
            self._head = head
        self._texts.clear()
        self._literals.clear()
        self._held = 0
        self._mode = _Mode.SKIP_LINE
        if ending is not None:
            self._skipped_line(ending)
        return _Again.AGAIN

    def _skip_line(self) -> _Outcome:
        end = self._buffer.find(b"\n")
        if end < 0:
            self._tail = (self._tail + self._buffer[-_ANNOUNCEMENT_OCTETS:])[-_ANNOUNCEMENT_OCTETS:]
            self._count_skipped(len(self._buffer))
            self._drop(len(self._buffer))
            return _Again.AGAIN if self._mode is _Mode.BREAK else None
        line = self._tail + self._take(end + 1)
        self._tail = b""
        self._skipped_line(line[:-2] if line.endswith(b"\r\n") else line[:-1])
        return _Again.AGAIN

    def _skipped_line(self, line: bytes) -> None:
        """Decide what follows a line thrown away: nothing, or a literal on its way."""
        announced = _announcement(line) if self._raw_octets is None else None
        if announced is None or announced[1]:  # the peer of a synchronizing literal waits for our reply
            self._mode = _Mode.REFUSE
            return
        self._left = announced[0]
        self._mode = _Mode.SKIP_LITERAL
        if self._skipped + self._left > self.limits.skip_octets:
            self._mode = _Mode.BREAK

    def _skip_literal(self) -> _Outcome:
        size = min(self._left, len(self._buffer))
        if size == 0 and self._left:
            return None
        self._drop(size)
        self._left -= size
        self._count_skipped(size)
        if self._left == 0 and self._mode is _Mode.SKIP_LITERAL:
            self._mode = _Mode.SKIP_LINE
        return _Again.AGAIN

    def _count_skipped(self, size: int) -> None:
        self._skipped += size
        if self._skipped > self.limits.skip_octets:
            self._mode = _Mode.BREAK

    def _refused(self) -> Refused:
        tag = b"*" if self._raw_octets is not None else tag_of(self._head or b"")
        refused = Refused(tag, self._error)
        self._reset()
        return refused


def _announcement(line: bytes) -> tuple[int, bool] | None:
    """Return the size of the literal that follows `line`, and whether its sender waits; None where none follows.

    literal = "{" number ["+"] "}" CRLF *CHAR8
    """
    if line[-1:] != b"}":
        return None
    m = _ANNOUNCEMENT.search(line, max(0, len(line) - _ANNOUNCEMENT_OCTETS))
    return None if m is None else (int(m[1]), not m[2])
