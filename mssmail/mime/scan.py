"""Find the parts of a message while its octets pass (RFC 2045, RFC 2046 §5.1), holding header blocks, never bodies.

The scanner reads either a header block or a body. Both are searched for lines that are a boundary of any open
multipart, by one `find` for what they share. The outcome is the same however the octets are cut into chunks:
what can't be decided yet (an unfinished line that may be a boundary, the line break before it) waits for the next.

A boundary line is `--boundary`, `--` if it closes, some blanks, and the line's end: whole lines are compared, so that a
boundary that another begins with isn't taken for it. An outer boundary ends the inner parts (RFC 2046 §5.1.2). CRLF and
bare LF both end lines.
"""

import re

from mssmail.mime import envelope
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.limits import DEFAULT, Limits
from mssmail.mime.node import Node
from mssmail.mime.part import describe

_BLANK_LINE = re.compile(rb"\n\r?\n")
_BLANK_OR_DASHES = re.compile(rb"\n(?:\r?\n|--)")
_BLANKS_AFTER = 256
"""Blanks after a boundary that are still taken for padding (RFC 2046 §5.1.1 sets no end)."""


class _Frame:
    """An open part, with its boundary if it is a multipart whose parts are still looked for."""

    __slots__ = ("boundary", "line_mark", "node", "shadowed")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.boundary: bytes | None = None
        self.shadowed: int | None = None
        """The level that had the same boundary before."""
        self.line_mark: int | None = None
        """The count of line feeds where the body began, if they are counted."""


class Scanner:
    """Feed it a message in any chunks; `finish` gives the tree of its parts."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._line_max = limits.boundary_octets + _BLANKS_AFTER + 8
        self._data = bytearray(b"\n")  # a line end before the first line: so every line has one before it
        self._base = -1
        """The offset in the message of _data[0]."""
        self._at = 0
        """Where in _data the search goes on."""
        root = Node(0)
        self._stack = [_Frame(root)]
        self._root = root
        self._nodes = 1
        self._block: int | None = 0
        """The offset where the header block under way began; None within a body."""
        self._overlong: bytes | None = None
        """The kept beginning of a header block that exceeds the limit."""
        self._budget = limits.headers_octets
        self._levels: dict[bytes, int] = {}
        """Each boundary that is looked for, and the place of its multipart on the stack."""
        self._needle = b""
        self._misses = 0
        self._lines = 0
        self._counted = 0
        """The offset up to which line feeds are counted in _lines, while _counting."""
        self._counting = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next octets."""
        self._data += chunk
        self._search(final=False)
        self._drop()

    def finish(self) -> Node:
        """Take the end of the message, and give its outermost part. Nothing may be fed afterwards."""
        self._search(final=True)
        end = self._base + len(self._data)
        self._end_headers(end)
        self._close(0, end)
        return self._root

    def _search(self, *, final: bool) -> None:
        data = self._data
        while True:
            if self._block is not None:
                pattern = _BLANK_OR_DASHES if self._levels else _BLANK_LINE
                m = pattern.search(data, self._at)
                if m is None:
                    return self._wait(3)
                hit, end = m.span()
                if data[end - 1] == 10:
                    self._at = end - 1
                    self._end_header(self._base + end)
                    continue
            elif not self._levels:
                self._at = len(data)
                return None
            else:
                hit = data.find(self._needle, self._at)
                if hit < 0:
                    return self._wait(len(self._needle))
            if not self._try_boundary(hit, final=final):
                return None

    def _wait(self, length: int) -> None:
        """Go on, once there is more, at the last line end if a match of `length` could begin there, else at the end."""
        data = self._data
        last = data.rfind(b"\n", max(self._at, len(data) - length + 1))
        self._at = last if last >= 0 else len(data)

    def _try_boundary(self, hit: int, *, final: bool) -> bool:
        """Act on the line after the line end at `hit` if it is a boundary; False where more octets are needed."""
        data = self._data
        end = data.find(b"\n", hit + 3, hit + self._line_max)
        if end < 0:
            if len(data) < hit + self._line_max:
                if not final:
                    self._at = hit
                    return False
                end = len(data)
            else:
                self._miss(hit)
                return True
        line = bytes(data[hit + 3 : end]).rstrip(b" \t\r")
        level = self._levels.get(line)
        closing = False
        if level is None and line.endswith(b"--"):
            line = line[:-2]
            level = self._levels.get(line)
            closing = True
        if level is None:
            self._miss(hit)
            return True
        # RFC 2046 §5.1.1: the line break before a boundary is the boundary's.
        content_end = self._base + (hit - 1 if hit > 0 and data[hit - 1] == 13 else hit)
        self._end_headers(content_end)
        self._close(level + 1, content_end)
        self._at = end
        if closing:
            self._forget(self._stack[level], level)
        else:
            self._open(level, min(self._base + end + 1, self._base + len(data)))
        return True

    def _miss(self, hit: int) -> None:
        self._at = hit + 1
        self._misses += 1
        if self._misses > self._limits.false_boundaries:
            self._levels.clear()

    def _open(self, level: int, start: int) -> None:
        """Begin a part of the multipart at `level`."""
        node = Node(start)
        self._stack[level].node.children.append(node)
        self._stack.append(_Frame(node))
        self._nodes += 1
        if self._nodes >= self._limits.parts:
            node.body_start = start
            node.type, node.subtype = b"application", b"octet-stream"
            self._levels.clear()
        else:
            self._block = start

    def _end_headers(self, at: int) -> None:
        """End the header block under way at `at`, and those of embedded messages that would follow, left empty."""
        while self._block is not None:
            self._end_header(max(at, self._block))

    def _end_header(self, body_start: int) -> None:
        """Understand the header block that ends at `body_start`, and begin what its type asks for."""
        start, frame = self._block, self._stack[-1]
        assert start is not None
        node = frame.node
        node.body_start = body_start
        if self._overlong is not None:
            block = self._overlong[: body_start - start]  # it may reach into the boundary line that ended it
        else:
            keep = min(body_start, start + self._limits.header_octets, start + self._budget)
            block = bytes(self._data[start - self._base : keep - self._base])
        self._overlong = self._block = None
        self._budget -= len(block)
        index = HeaderBlock(block)
        depth = len(self._stack) - 1
        parent = self._stack[-2].node if depth else None
        if parent is None:
            node.block = index
        elif parent.is_message:
            node.envelope = envelope.render(index, limit=self._limits.addresses)
        boundary = describe(
            node,
            index,
            digest=parent is not None and parent.subtype == b"digest" and parent.is_multipart,
            limits=self._limits,
            opaque=depth >= self._limits.depth or self._nodes >= self._limits.parts,
        )
        if node.type == b"text" or node.is_message:
            self._count(body_start)
            self._counting += 1
            frame.line_mark = self._lines
        if boundary is not None:
            frame.boundary = boundary
            frame.shadowed = self._levels.get(boundary)
            self._levels[boundary] = depth
            self._set_needle()
        elif node.is_message:
            embedded = Node(body_start)
            node.children.append(embedded)
            self._stack.append(_Frame(embedded))
            self._nodes += 1
            self._block = body_start

    def _close(self, level: int, end: int) -> None:
        """End all parts from `level` of the stack on, innermost first, at `end` or where their body began, if later."""
        self._count(end)
        stack = self._stack
        while len(stack) > level:
            frame = stack.pop()
            node = frame.node
            end = node.end = max(end, node.body_start)
            if frame.line_mark is not None:
                node.lines = self._lines - frame.line_mark
                self._counting -= 1
            if node.type == b"multipart":
                self._forget(frame, len(stack))
                if not node.children:
                    # RFC 3501 §9 body-type-mpart has at least one body: an empty multipart shows an empty text.
                    node.children.append(Node(end, end, end))

    def _forget(self, frame: _Frame, level: int) -> None:
        """Look no more for the boundary of the multipart at `level`."""
        boundary, frame.boundary = frame.boundary, None
        if boundary is None or self._levels.get(boundary) != level:
            return
        if frame.shadowed is None:
            del self._levels[boundary]
        else:
            self._levels[boundary] = frame.shadowed
        self._set_needle()

    def _set_needle(self) -> None:
        """What every line that is one of the boundaries begins with."""
        if not self._levels:
            return
        low, high = min(self._levels), max(self._levels)
        length = 0
        if low == high:
            length = len(low)
        else:
            while length < len(low) and low[length] == high[length]:
                length += 1
        self._needle = b"\n--" + low[:length]

    def _count(self, upto: int) -> None:
        if upto > self._counted:
            if self._counting:
                self._lines += self._data.count(b"\n", self._counted - self._base, upto - self._base)
            self._counted = upto

    def _drop(self) -> None:
        """Let go of the octets that nothing will look at again."""
        data, keep = self._data, self._at
        if self._block is not None and self._overlong is None:
            start = self._block - self._base
            limit = min(self._limits.header_octets, self._budget)
            if len(data) - start <= limit:
                keep = min(keep, start)
            else:
                self._overlong = bytes(data[start : start + limit])
        if keep > 0 and data[keep - 1] == 13:
            keep -= 1  # it may belong to a boundary
        if keep > 0:
            self._count(self._base + keep)
            del data[:keep]
            self._base += keep
            self._at -= keep
