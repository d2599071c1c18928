"""A message's octets on their way in: where they end, what the sender meant, and what may not stand among them.

Pure, in bounded memory, by whole pieces. After DATA only CRLF.CRLF ends a message (RFC 5321 §4.5.2); by BDAT a count
does (RFC 3030 §2), and dots mean nothing. Either way a bare CR or LF is noticed, never taken for a line's end, so that
nothing can be smuggled past this server that another one would read as two messages: text sent by BDAT must have CRLF
too (RFC 3030 §2), BINARYMIME isn't on offer, and what came by BDAT may leave by DATA.
"""

from typing import Final

MAX_LINE_OCTETS: Final = 64 * 1024
"""Departs from RFC 5321 §4.5.3.1.6 (1000 octets) because programs in use send whole HTML bodies as one line; what is
sent on to others is split there. Beyond this it is no text."""

_END: Final = b"\r\n.\r\n"
_STARTS: Final = (_END[:4], _END[:3], _END[:2], _END[:1])


class Lines:
    """What is watched of a message's lines, whichever way it comes. No CRLF may be cut between two pieces."""

    __slots__ = ("_line", "bare_newline", "line_too_long", "octets")

    def __init__(self) -> None:
        self._line = 0
        self.octets = 0
        """Octets handed out so far."""
        self.bare_newline = False
        """Whether a CR without LF, or an LF without CR, has come."""
        self.line_too_long = False

    def _judge(self, body: bytes) -> None:
        if not self.bare_newline:
            feeds = body.count(b"\n")
            if body.count(b"\r") != feeds:
                self.bare_newline = True
            elif feeds and not _is_even(body, feeds):
                self.bare_newline = body.count(b"\r\n") != feeds
        if not self.line_too_long:
            self._measure(body)

    def _measure(self, body: bytes) -> None:
        """Look for a line over the limit, by one search backwards for each 64 KiB."""
        at, room, size = 0, MAX_LINE_OCTETS - self._line, len(body)
        while size - at > room:
            newline = body.rfind(b"\r\n", at, at + room + 2)
            if newline < 0:
                self.line_too_long = True
                break
            at, room = newline + 2, MAX_LINE_OCTETS
        last = body.rfind(b"\r\n")
        self._line = self._line + size if last < 0 else size - last - 2


def _is_even(body: bytes, feeds: int) -> bool:
    """Whether CRLF stands at equal distances, `feeds` times: as in base64, at a fraction of a search for pairs.

    With as many CR as LF in all, there is no bare one then.
    """
    first = body.find(b"\n")
    stride = body.find(b"\n", first + 1) - first
    if stride < 2 or first < 1:
        return False
    return body[first::stride] == b"\n" * feeds and body[first - 1 :: stride].startswith(b"\r" * feeds)


class Decoder(Lines):
    """A message after DATA, dot-stuffing undone. Feed until `rest` isn't None."""

    __slots__ = ("_held", "_skip", "rest")

    def __init__(self) -> None:
        super().__init__()
        # The line before the first one ended too: `.` may end a message, or be stuffed, at its very start.
        self._held = b"\r\n"
        self._skip = 2
        self.rest: bytes | None = None
        """What came behind the end of the message; None before it."""

    def feed(self, chunk: bytes) -> bytes:
        """Take octets as they came; return those of the message that are sure by now."""
        text = self._held + chunk
        # Encoded attachments hold no dot at all, and one octet is found far faster than two.
        dot = text.find(b".")
        end = -1 if dot < 0 else text.find(_END, max(0, dot - 2))
        if end >= 0:
            self.rest = text[end + len(_END) :]
            body = text[: end + 2]
        else:
            # Whatever may be the start of an end waits for what comes: no pattern ever lies across two bodies.
            held = next((start for start in _STARTS if text.endswith(start)), b"")
            self._held = held
            body = text[: len(text) - len(held)]
        self._judge(body)
        if dot >= 0:
            body = body.replace(b"\r\n.", b"\r\n")
        if self._skip and body:
            body = body[self._skip :]
            self._skip = 0
        self.octets += len(body)
        return body


class Chunks(Lines):
    """A message by BDAT, whose octets are what they are."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        super().__init__()
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Take octets as they came, in any pieces; return those that may be judged by now."""
        body = self._held + piece
        # The LF of a CR may be in the next piece.
        self._held = b"\r" if body.endswith(b"\r") else b""
        if self._held:
            body = body[:-1]
        self._judge(body)
        self.octets += len(body)
        return body

    def finish(self) -> None:
        """Nothing more comes: a CR that still waits for its LF is bare."""
        self.bare_newline = self.bare_newline or bool(self._held)
