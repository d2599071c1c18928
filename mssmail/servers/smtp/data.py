"""The octets after DATA: where they end, what the sender meant, and what may not stand among them (RFC 5321 §4.5.2).

Pure, in bounded memory, by whole chunks. Only CRLF.CRLF ends a message. A bare CR or LF is noticed, never taken for a
line's end, so that nothing can be smuggled past this server that another one would read as two messages.
"""

from typing import Final

MAX_LINE_OCTETS: Final = 64 * 1024
"""Departs from RFC 5321 §4.5.3.1.6 (1000 octets) because programs in use send whole HTML bodies as one line; what is
sent on to others is split there. Beyond this it is no text."""

_END: Final = b"\r\n.\r\n"
_STARTS: Final = (_END[:4], _END[:3], _END[:2], _END[:1])


class Decoder:
    """One message's octets, dot-stuffing undone. Feed until `rest` isn't None."""

    __slots__ = ("_held", "_line", "_skip", "bare_newline", "line_too_long", "octets", "rest")

    def __init__(self) -> None:
        # The line before the first one ended too: `.` may end a message, or be stuffed, at its very start.
        self._held = b"\r\n"
        self._skip = 2
        self._line = 0
        self.octets = 0
        """Octets handed out so far."""
        self.bare_newline = False
        """Whether a CR without LF, or an LF without CR, has come."""
        self.line_too_long = False
        self.rest: bytes | None = None
        """What came behind the end of the message; None before it."""

    def feed(self, chunk: bytes) -> bytes:
        """Take octets as they came; return those of the message that are sure by now."""
        text = self._held + chunk
        end = text.find(_END)
        if end >= 0:
            self.rest = text[end + len(_END) :]
            body = text[: end + 2]
        else:
            # Whatever may be the start of an end waits for what comes: no pattern ever lies across two bodies.
            held = next((start for start in _STARTS if text.endswith(start)), b"")
            self._held = held
            body = text[: len(text) - len(held)]
        self._judge(body)
        body = body.replace(b"\r\n.", b"\r\n")
        if self._skip and body:
            body = body[self._skip :]
            self._skip = 0
        self.octets += len(body)
        return body

    def _judge(self, body: bytes) -> None:
        if not self.bare_newline:
            pairs = body.count(b"\r\n")
            self.bare_newline = body.count(b"\n") != pairs or body.count(b"\r") != pairs
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
