"""A server's replies, cut out of what it sends (RFC 5321 §4.2). Pure; bounded in line, lines and octets.

Lenient where it costs nothing: a bare LF ends a line, and a code may stand alone.
"""

import re
from dataclasses import dataclass
from typing import Final

from mssmail.base.relay import MAX_ANSWER_CHARS, Answer

MAX_LINE_OCTETS: Final = 4096
"""RFC 5321 §4.5.3.1.5 says 512; some name more in theirs."""
MAX_LINES: Final = 128
"""An EHLO of today has 20."""

_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n]*))?\r?\n")
_STATUS: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")


class NotSmtp(Exception):
    """What came is no reply, or too much of one; the text says in what way."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply."""

    code: int
    """200 to 599."""
    lines: tuple[bytes, ...]
    """The texts behind the code, one at least."""

    @property
    def positive(self) -> bool:
        return self.code < 300

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    def answer(self) -> Answer:
        """What of it may be shown: the status once, the texts in one line."""
        texts = [line.decode("ascii", "replace") for line in self.lines]
        found = _STATUS.match(texts[0])
        status = "" if found is None else found[1]
        if status:
            texts = [text.removeprefix(status).lstrip() for text in texts]
        whole = " ".join(" ".join(texts).split())[:MAX_ANSWER_CHARS]
        return Answer(self.code, status, "".join(c if " " <= c <= "~" else "?" for c in whole))


class Replies:
    """Takes octets as they come, gives replies in their order."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = 0
        self._lines: list[bytes] = []

    def __len__(self) -> int:
        """Octets that were in no reply given."""
        return len(self._buffer) + sum(map(len, self._lines))

    def feed(self, data: bytes | memoryview) -> None:
        self._buffer += data

    def take(self) -> Reply | None:
        """The next whole reply, None where more has to come. Raises NotSmtp."""
        buffer = self._buffer
        while (end := buffer.find(b"\n", 0, MAX_LINE_OCTETS) + 1) > 0:
            line = _LINE.match(buffer, 0, end)
            if line is None:
                raise NotSmtp("no reply code")
            code = int(line[1])
            if self._lines and code != self._code:
                raise NotSmtp("two codes in one reply")
            if len(self._lines) >= MAX_LINES:
                raise NotSmtp("a reply of too many lines")
            self._code = code
            self._lines.append(line[3] or b"")
            last = line[2] != b"-"
            del line  # it holds the buffer, which then can't shrink
            del buffer[:end]
            if last:
                reply = Reply(code, tuple(self._lines))
                self._lines.clear()
                return reply
        if len(buffer) >= MAX_LINE_OCTETS:
            raise NotSmtp("a line without end")
        return None
