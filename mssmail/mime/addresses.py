"""Address lists as headers carry them (RFC 5322 §3.4, §4.4), for ENVELOPE and for the check of From.

One pass over tokens with a few variables: no recursion, linear, at most `Limits.addresses` entries. Encoded words stay
as they are. What can't be understood is still shown as best can, and `clean` says that some of it was so: a check that
decides who a message is from must look at `mailboxes`, which answers only where every reader reads the same.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from mssmail.mime import comments
from mssmail.mime.limits import DEFAULT

_FORMS = {
    "blank": rb"[ \t\r\n]++",
    "atom": rb"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]++",
    "quoted": rb"\"(?:[^\"\\]++|\\.)*\"",
    "literal": rb"\[[^\[\]\\]*+\]",
    "special": rb"[<>@,;:.(]",
    "other": rb".",
}


def _tokens(forms: Iterable[str]) -> re.Pattern[bytes]:
    return re.compile(b"|".join(b"(?P<%b>%b)" % (name.encode(), _FORMS[name]) for name in forms), re.DOTALL)


_TOKEN = _tokens(_FORMS)
_TOKEN_UNQUOTED = _tokens(name for name in _FORMS if name != "quoted")
"""Used after a quote that nothing closes: no later one is closed either, and looking each time would be quadratic."""
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SIMPLE = re.compile(
    rb"[ \t]*+(?:(?:\"([^\"\\\r\n\x00-\x1f]*+)\"[ \t]*+|([A-Za-z0-9!#$%&'*+/=?^_`{|}~\- ]*+))<)?"
    rb"([A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]++(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]++)*)"
    rb"@([A-Za-z0-9\-]++(?:\.[A-Za-z0-9\-]++)*)(>?)[ \t]*+"
)
"""Most addresses there are: `local@domain`, `Some Name <local@domain>`, `"Some, Name" <local@domain>`."""
_DOT_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\xff]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\xff]+)*")


_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Mailbox(NamedTuple):
    """An ENVELOPE address (RFC 3501 §7.4.2): `host` None starts a group named `mailbox`; both None end it.

    `host` is empty, not None, where an address lacks a domain. A tuple, as in the RFC: two are made for each mail.
    """

    name: bytes | None
    mailbox: bytes | None
    host: bytes | None
    adl: bytes | None = None


_EMPTY = frozenset({(b"", b""), (b":", b";"), (b";", b","), (b";", b"")})
"""The signs that nothing may stand between: an empty list, an empty group, and what follows a group."""
GROUP_END = Mailbox(None, None, None)


class AddressList(NamedTuple):
    """What a header holds, in order, and whether all of it was plainly well-formed."""

    entries: tuple[Mailbox, ...]
    clean: bool


def parse(value: bytes, *, limit: int = DEFAULT.addresses) -> AddressList:
    """Read an unfolded address list; what exceeds `limit` entries is left out and makes it unclean."""
    if (m := _SIMPLE.fullmatch(value)) is not None:
        quoted, words, local, host, close = m.groups()
        if quoted is None and words is None:
            if not close:
                return AddressList((Mailbox(None, local, host),), True)
        elif close:
            return AddressList((Mailbox((b" ".join(words.split()) if words else quoted) or None, local, host),), True)
    return _Reader(value, limit).read()


def mailboxes(value: bytes) -> list[bytes] | None:
    """The `local@domain` of every mailbox of an unfolded header, or None where readers could differ about them.

    None for anything malformed or empty, for groups, routes, comments inside an address, local parts that need quotes,
    encoded words in an address, control characters, and lists beyond the limit. A display name may hold anything: it
    names nobody.
    """
    if _CONTROL.search(value):
        return None
    found = parse(value)
    if not found.clean or not found.entries:
        return None
    out = []
    for entry in found.entries:
        if entry.mailbox is None or entry.host is None or entry.adl is not None:
            return None
        if not _DOT_ATOM.fullmatch(entry.mailbox) or b"=?" in entry.mailbox or b"=?" in entry.host:
            return None
        if not _DOT_ATOM.fullmatch(entry.host) and not entry.host.startswith(b"["):
            return None
        out.append(entry.mailbox + b"@" + entry.host)
    return out


@dataclass(slots=True)
class _Piece:
    """A word or sign, and whether a blank or comment stood before it."""

    kind: str
    text: bytes
    apart: bool

    def is_sign(self, sign: bytes) -> bool:
        return self.text == sign and self.kind == "special"


@dataclass(slots=True)
class _Reader:
    """The state while one list is read: pieces of the address under way, and inside `<…>` those of its angle."""

    value: bytes
    limit: int
    entries: list[Mailbox] = field(default_factory=list)
    clean: bool = True
    in_group: bool = False
    parted_by: bytes = b""
    """The sign before the address under way: empty at the start, a comma, a colon, a semicolon."""
    pieces: list[_Piece] = field(default_factory=list)
    angle: list[_Piece] | None = None
    angle_open: bool = False
    in_route: bool = False
    comment: bytes | None = None
    full: bool = False

    def read(self) -> AddressList:
        value, at, apart, token = self.value, 0, False, _TOKEN
        while at < len(value) and not self.full:
            m = token.match(value, at)
            assert m is not None
            kind, text, at = m.lastgroup, m[0], m.end()
            if kind == "blank":
                apart = True
            elif text == b"(" and kind == "special":
                at = self._comment(at)
                apart = True
            else:
                if text == b'"':
                    token = _TOKEN_UNQUOTED
                self._take(_Piece(str(kind), text, apart))
                apart = False
        if self.angle_open:
            self.clean = False
        self._end(b"")
        if self.in_group:
            self.clean = False
            self.entries.append(GROUP_END)
        return AddressList(tuple(self.entries), self.clean and not self.full)

    def _comment(self, at: int) -> int:
        """Skip a comment, nested ones included, and keep its text: obsolete addresses put the name there."""
        end = comments.skip(self.value, at)
        if end is None:
            self.clean = False
            return len(self.value)
        self.comment = _ESCAPE.sub(rb"\1", self.value[at : end - 1]).strip()
        return end

    def _take(self, piece: _Piece) -> None:
        text = piece.text if piece.kind == "special" else b""
        if piece.kind == "other":
            self.clean = False
        if self.angle_open and self.angle is not None:
            self._take_in_angle(piece, text, self.angle)
        elif text == b"<":
            if self.angle is not None:
                self.clean = False
            self.angle, self.angle_open, self.in_route = [], True, False
        elif text == b">":
            self.clean = False
        elif text in (b",", b";"):
            self._end(text)
        elif text == b":":
            self._group()
        else:
            if self.angle is not None:
                self.clean = False
            self.pieces.append(piece)

    def _take_in_angle(self, piece: _Piece, text: bytes, angle: list[_Piece]) -> None:
        if text == b">":
            self.angle_open = False
        elif text == b"<":
            self.clean = False
        elif text == b"," and not self.in_route:
            # A comma ends an angle that was never closed; in a route it parts domains.
            self.clean = False
            self._end(text)
        else:
            if text == b"@" and not angle:
                self.in_route = True
            elif text == b":":
                self.in_route = False
            angle.append(piece)

    def _group(self) -> None:
        if self.in_group or self.angle is not None or not self.pieces:
            self.clean = False
            return
        self._add(Mailbox(None, _phrase(self.pieces), None))
        self.in_group = True
        self.pieces, self.comment, self.parted_by = [], None, b":"

    def _end(self, sign: bytes) -> None:
        """Finish the address under way at a comma, a semicolon or the end."""
        after = self.parted_by
        if self.angle is not None or self.pieces:
            if after == b";":
                self.clean = False
            self._add(self._from_pieces() if self.angle is None else self._from_angle(self.angle))
        elif (after, sign) not in _EMPTY:
            self.clean = False
        self.parted_by = sign
        self.pieces, self.angle, self.angle_open, self.comment = [], None, False, None
        if sign == b";":
            if self.in_group:
                self.entries.append(GROUP_END)
                self.in_group = False
            else:
                self.clean = False

    def _add(self, entry: Mailbox) -> None:
        if len(self.entries) >= self.limit:
            self.full = True
        else:
            self.entries.append(entry)

    def _from_angle(self, angle: list[_Piece]) -> Mailbox:
        if any(piece.kind in ("special", "literal") and piece.text != b"." for piece in self.pieces):
            self.clean = False  # an obsolete phrase may hold dots, nothing else
        name = _phrase(self.pieces) or None
        adl = None
        colon = next((i for i, piece in enumerate(angle) if piece.is_sign(b":")), 0)
        if colon and angle[0].is_sign(b"@"):
            adl = b"".join(piece.text for piece in angle[:colon])
            angle = angle[colon + 1 :]
        local, host = self._spec(angle)
        return Mailbox(name, local, host, adl)

    def _from_pieces(self) -> Mailbox:
        local, host = self._spec(self.pieces)
        return Mailbox(self.comment or None, local, host)

    def _spec(self, pieces: list[_Piece]) -> tuple[bytes, bytes]:
        """The local part and domain of `pieces`: the last @ parts them."""
        ats = [i for i, piece in enumerate(pieces) if piece.is_sign(b"@")]
        if len(ats) != 1 or any(piece.apart for piece in pieces[1:]) or any(piece.is_sign(b":") for piece in pieces):
            self.clean = False
        if not ats:
            return _phrase(pieces), b""
        local, host = pieces[: ats[-1]], pieces[ats[-1] + 1 :]
        if not local or not host or any(piece.kind == "quoted" for piece in host):
            self.clean = False
        if _run_together(local) or _run_together(host):
            self.clean = False
        return _phrase(local), b"".join(piece.text for piece in host)


def _run_together(pieces: list[_Piece]) -> bool:
    """Whether two words stand side by side with no dot between them, as in `"a"b`: readers differ about such."""
    return any(one.kind != "special" and other.kind != "special" for one, other in pairwise(pieces))


def _phrase(pieces: list[_Piece]) -> bytes:
    """Words as one text: quoting removed, a single space where blanks or comments stood."""
    out: list[bytes] = []
    for piece in pieces:
        if piece.apart and out:
            out.append(b" ")
        if piece.kind == "quoted":
            inner = piece.text[1:-1]
            out.append(_ESCAPE.sub(rb"\1", inner) if b"\\" in inner else inner)
        else:
            out.append(piece.text)
    return b"".join(out)
