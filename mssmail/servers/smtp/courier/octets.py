"""A message's octets as they may leave: every CR and LF as one CRLF, and for DATA its dots doubled. Pure, in pieces.

An end of line that isn't CRLF is what smuggling is made of: some server on the way would take `LF . CR LF` for the end
of data and what follows for commands. Such a message is given to nobody, by BDAT neither: the next host may use DATA.
"""


class BadLineEnd(Exception):
    """A CR or an LF stands alone."""


class LineEnds:
    """Passes octets on as they are, once they are seen to be sound. `feed` each piece, then `end`."""

    __slots__ = ("_held", "octets")

    def __init__(self) -> None:
        self._held = b""
        """A CR at a piece's end, whose LF should be at the next one's beginning: a CRLF is never parted."""
        self.octets = 0
        """How many came."""

    def feed(self, piece: bytes) -> bytes:
        """What may be sent of it now. Raises BadLineEnd."""
        self.octets += len(piece)
        if self._held:
            piece = self._held + piece
            self._held = b""
        if piece.endswith(b"\r"):
            self._held = b"\r"
            piece = piece[:-1]
        if not piece.count(b"\n") == piece.count(b"\r") == piece.count(b"\r\n"):
            raise BadLineEnd
        return piece

    def end(self) -> bytes:
        """What has to follow the last piece. Raises BadLineEnd."""
        if self._held:
            raise BadLineEnd
        return b""


class Stuffed(LineEnds):
    """The same for DATA: a dot that begins a line is doubled (RFC 5321 §4.5.2), and a dot alone ends it."""

    __slots__ = ("_at_line",)

    def __init__(self) -> None:
        super().__init__()
        self._at_line = True

    def feed(self, piece: bytes) -> bytes:
        piece = super().feed(piece)
        if not piece:
            return b""
        first = b"." if self._at_line and piece.startswith(b".") else b""
        self._at_line = piece.endswith(b"\r\n")
        return first + piece.replace(b"\r\n.", b"\r\n..")

    def end(self) -> bytes:
        super().end()
        return b".\r\n" if self._at_line else b"\r\n.\r\n"
