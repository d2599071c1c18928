"""The text of a message that a search looks through: decoded headers, text parts, the text of HTML.

`normalise` is the one folding of texts and needles, so that `needle in text` is IMAP's SEARCH (RFC 3501 §6.4.4,
substring, without case). It follows i;unicode-casemap (RFC 5051) and is no finer: whatever that comparator holds equal
stays equal, and some more does (ß and ss). Compatibility decomposition leaves accents as signs after their letter:
`cafe` is found in `café`, as RFC 5051 has it too, but not `café` in `cafe`.

A search text is what is kept, sealed, beside a message, so that a search never opens it. The format lies on disk and is
final: length of the header (4 octets, big-endian), header, body; both normalised, in UTF-8 (where lone surrogates
stand as such). UTF-8 finds what a search over characters would: no character's octets lie within another's.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum, unique
from typing import NamedTuple, assert_never
from unicodedata import normalize

from mssmail.mime import html, transfer
from mssmail.mime.charset import decode
from mssmail.mime.comments import uncomment
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.node import Node
from mssmail.mime.parameters import decoded_one, parameter, parameters
from mssmail.mime.parts import Kind
from mssmail.mime.record import Record
from mssmail.mime.words import decode as decode_words
from mssmail.mime.words import header_text

Read = Callable[[int, int], bytes]
"""The octets of a message from start to end."""

MAX_PART_OCTETS = 4 * 1024 * 1024
"""Of one text part, what is searched. Longer ones are logs and data; a search must not hold them whole."""
SEPARATOR = "\0"
"""Stands between pieces, so that no needle spans two: a needle never holds NUL (RFC 3501 §9, CHAR8)."""


MAX_SEARCH_TEXT_OCTETS = 1024 * 1024
"""Of a message whose headers and text parts, or whose search text, are longer, none is kept: it is opened instead."""
_PIECE = 16 * 1024
"""Characters folded at a time: some milliseconds, after which other threads get their turn."""
_ASCII = bytes(range(128))


def normalise(text: str) -> str:
    """Fold a text or a needle for comparison."""
    return needle(text).decode("utf-8", "surrogatepass")


def needle(text: str) -> bytes:
    """The same in UTF-8: what to look for in search texts."""
    if text.isascii():
        return text.lower().encode()
    if len(text) <= _PIECE:
        return _folded(text)
    return b"".join([_folded(piece) for piece in _pieces(text)])


def _folded(text: str) -> bytes:
    """As `_fold`, without its costly steps where these would change nothing but ASCII, as in French they do.

    Case mapping looks at no neighbour, and lower ASCII letters decompose no further.
    """
    decomposed = octets(normalize("NFKD", text))
    rest = decomposed.translate(None, _ASCII).decode("utf-8", "surrogatepass")
    return decomposed.lower() if rest.upper().casefold() == rest else octets(_fold(text))


def _fold(text: str) -> str:
    return normalize("NFKD", normalize("NFKD", text).upper().casefold())


def _pieces(text: str) -> Iterator[str]:
    """Cut a text before blanks: each folds by itself, and nothing combines across one."""
    start = 0
    while start < len(text):
        end = text.find(" ", start + _PIECE)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end


def octets(text: str) -> bytes:
    """A normalised text or needle as it is kept and compared."""
    return text.encode("utf-8", "surrogatepass")


@unique
class Look(Enum):
    """What is looked for in a piece of a message."""

    HEADER = "header"
    """All of an embedded message's header."""
    NAMES = "names"
    """Name and description of a part, in its header."""
    TEXT = "text"
    HTML = "html"


class Piece(NamedTuple):
    """A piece of a message that SEARCH BODY looks through: octets [start, end), what for, and how it is written."""

    look: Look
    start: int
    end: int
    encoding: bytes = b""
    charset: bytes = b""

    def texts(self, octets: bytes) -> Iterable[str]:
        """What there is to be found in its octets, nothing normalised."""
        match self.look:
            case Look.HEADER:
                return (header_text(octets),)
            case Look.NAMES:
                return _names(octets)
            case Look.TEXT:
                return (decode(transfer.decode(octets, self.encoding), self.charset),)
            case Look.HTML:
                return (html.text(decode(transfer.decode(octets, self.encoding), self.charset)),)
            case _:
                assert_never(self.look)


def _of_part(type_: bytes, subtype: bytes, start: int, end: int, encoding: bytes, charset: bytes) -> Iterator[Piece]:
    if type_ == b"text":
        look = Look.HTML if subtype in (b"html", b"xhtml+xml") else Look.TEXT
        yield Piece(look, start, min(end, start + MAX_PART_OCTETS), encoding, charset)


def pieces(record: Record) -> Iterator[Piece]:
    """The pieces of a message by its record. Raises RecordFormatError."""
    parts = record.parts
    for part in parts:
        if part.parent >= 0:
            look = Look.HEADER if parts[part.parent].kind is Kind.MESSAGE else Look.NAMES
            yield Piece(look, part.header_start, part.body_start)
        if part.kind is Kind.LEAF:
            yield from _of_part(part.type, part.subtype, part.body_start, part.end, part.encoding, part.charset)


def pieces_of(root: Node) -> list[Piece]:
    """The same, before there is a record."""
    out: list[Piece] = []
    waiting: list[tuple[Node, Look | None]] = [(root, None)]
    while waiting:
        node, look = waiting.pop()
        if look is not None:
            out.append(Piece(look, node.header_start, node.body_start))
        if node.children:
            look = Look.HEADER if node.is_message else Look.NAMES
            waiting += [(child, look) for child in reversed(node.children)]
        elif node.type == b"text":
            charset = parameter(node.parameters, b"charset") or b""
            out += _of_part(node.type, node.subtype, node.body_start, node.end, node.encoding, charset)
    return out


def body_texts(record: Record, read: Read) -> Iterator[str]:
    """Yield the decoded text of each text part, the names and descriptions of parts, and embedded messages' headers.

    What SEARCH BODY looks through. Nothing is normalised. Raises RecordFormatError, and what `read` raises.
    """
    for piece in pieces(record):
        yield from piece.texts(read(piece.start, piece.end))


def searchable(record: Record, read: Read) -> tuple[str, str]:
    """The normalised header and body of a message, for SEARCH TEXT and BODY."""
    header, body = _texts(record, read)
    return normalise(header), normalise(body)


def _texts(record: Record, read: Read) -> tuple[str, str]:
    root = record.parts[0]
    header = record.header
    if header is None:
        header = read(root.header_start, root.body_start)
    return header_text(header), SEPARATOR.join(body_texts(record, read))


def pack(header: bytes, body: bytes) -> bytes | None:
    """The search text of a header and a body, both folded; None where it is too long to be kept."""
    if len(header) + len(body) > MAX_SEARCH_TEXT_OCTETS:
        return None
    return len(header).to_bytes(4, "big") + header + body


def is_long(record: Record) -> bool:
    """Whether the message has more to search than a search text may hold; then none is made. Raises RecordFormatError.

    HTML and encodings only shrink, so that hardly any message is held too long without need.
    """
    parts = record.parts
    length = 0
    for part in parts:
        length += part.body_start - part.header_start
        if part.type == b"text" and part.kind is Kind.LEAF:
            length += part.end - part.body_start
    return length > MAX_SEARCH_TEXT_OCTETS


def search_text(record: Record, read: Read) -> bytes | None:
    """The search text of a message, None where it would be too long. Raises RecordFormatError, and what `read` does."""
    if is_long(record):
        return None
    header, body = _texts(record, read)
    return pack(needle(header), needle(body))


def text_of(header: bytes, held: Iterable[tuple[Piece, bytes]]) -> bytes | None:
    """The same of a header and of pieces with their octets."""
    body = SEPARATOR.join([text for piece, octets in held for text in piece.texts(octets)])
    return pack(needle(header_text(header)), needle(body))


def in_text(packed: bytes, wanted: bytes) -> bool:
    """SEARCH TEXT in a search text: in the header, or in the body, never across."""
    border = 4 + int.from_bytes(packed[:4], "big")
    return packed.find(wanted, 4, border) >= 0 or packed.find(wanted, border) >= 0


def in_body(packed: bytes, wanted: bytes) -> bool:
    """SEARCH BODY in a search text."""
    return packed.find(wanted, 4 + int.from_bytes(packed[:4], "big")) >= 0


def _names(block: bytes) -> Iterator[str]:
    """What a person sees of a part that isn't its text: file name and description."""
    lower = block.lower()
    if b"name" not in lower and b"description" not in lower:
        return
    index = HeaderBlock(block)
    for field, name in ((b"content-disposition", "filename"), (b"content-type", "name")):
        value = index.first(field)
        if value and (found := decoded_one(parameters(uncomment(value)), name)):
            yield decode_words(found.encode("utf-8", "replace")) if "=?" in found else found
    if description := index.first(b"content-description"):
        yield decode_words(description)
