"""A raw header block as a list of fields, and the edits made on submission (RFC 5322 §2.2, §3.6).

A block runs from the first octet of the header to the end of its blank line, where there is one. Lines that are no
field are kept as nameless fields, so that the fields of a block, joined, are the block. The number of fields isn't
capped: a field that a cap hid would be one that a reader's program still shows (a second From, a Bcc). The scan is
linear, and whoever hands over a block bounds its octets. Both CRLF and bare LF end a line. Values stay octets;
`words` decodes them.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

_tiles = re.compile(rb"(?:([^\x00-\x20:\x7f]++)([ \t]*+:))?([^\n]*+(?:\n[ \t][^\n]*+)*\n?)").findall
"""One field or malformed line with its folded lines; possessive throughout, so that nothing is tried twice."""
_FOLD = re.compile(rb"\r*\n[\r\n]*")
_BLANK = (b"\r\n", b"\n")
_END = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field where it lies: `raw` is block[start:end], line ends included; `name` is empty where
    malformed."""

    name: bytes
    raw: bytes
    start: int
    end: int

    @property
    def value(self) -> bytes:
        """The unfolded value without the blanks around it; of a malformed line, the line."""
        return unfold(self.raw[self.raw.index(b":") + 1 :] if self.name else self.raw)


def unfold(value: bytes) -> bytes:
    """Take the line breaks out of a folded value, and the blanks around it (RFC 5322 §2.2.3)."""
    value = value.strip(b" \t\r\n")
    if b"\n" in value or b"\r" in value:
        value = _FOLD.sub(b"", value).replace(b"\r", b" ")
    return value


class HeaderBlock:
    """A header block, indexed once: values by name, without case."""

    __slots__ = ("_values", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._values: dict[bytes, list[bytes]] = {}
        found = self._values
        for name, colon, value in _tiles(raw):
            if colon:
                name = name.lower()
                if name in found:
                    found[name].append(value)
                else:
                    found[name] = [value]
            elif value in _BLANK:
                break

    def first(self, name: bytes) -> bytes | None:
        """The unfolded value of the first field of that name (lower case), None where there is none."""
        values = self._values.get(name)
        return unfold(values[0]) if values else None

    def all(self, name: bytes) -> list[bytes]:
        """The unfolded values of all fields of that name (lower case), in order."""
        return [unfold(value) for value in self._values.get(name, ())]

    def count(self, name: bytes) -> int:
        """How many fields bear that name (lower case)."""
        return len(self._values.get(name, ()))

    def has_none_of(self, names: frozenset[bytes]) -> bool:
        """Whether no field bears one of these names (lower case)."""
        return names.isdisjoint(self._values)

    def __contains__(self, name: bytes) -> bool:
        return name in self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeaderBlock) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]


def fields(block: bytes) -> Iterator[Field]:
    """Yield the fields of a block in order, malformed lines included, up to the blank line."""
    start = 0
    for name, colon, value in _tiles(block):
        if not colon and (value in _BLANK or not value):
            return
        end = start + len(name) + len(colon) + len(value)
        yield Field(name, block[start:end], start, end)
        start = end


def unfolded(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and unfolded value of each field, as `fields` has them, for those who need nothing else of it."""
    for name, colon, value in _tiles(block):
        if not colon and (value in _BLANK or not value):
            return
        yield name, unfold(value)


def first(block: bytes, name: bytes) -> bytes | None:
    """The unfolded value of the first field of that name, None where there is none."""
    return HeaderBlock(block).first(name.lower())


def split(message: bytes) -> tuple[bytes, bytes]:
    """Cut a whole message into its header block, blank line included, and its body."""
    for blank in _BLANK:
        if message.startswith(blank):
            return blank, message[len(blank) :]
    if (m := _END.search(message)) is None:
        return message, b""
    return message[: m.end()], message[m.end() :]


def header_fields(block: bytes, names: Iterable[bytes], *, exclude: bool) -> bytes:
    """The fields of these names, or with `exclude` the others, as they stand, and the blank line if there is one.

    RFC 3501 §6.4.5: names match without case, but otherwise exactly; the blank line is always included, except for a
    message that has none.
    """
    # Listings ask for this of every message: the tiles are read without making a Field of each.
    wanted = {name.lower() for name in names}
    kept: list[bytes] = []
    end = 0
    for name, colon, value in _tiles(block):
        if not colon and (value in _BLANK or not value):
            break
        end += len(name) + len(colon) + len(value)
        if (name.lower() in wanted) != exclude:
            kept += (name, colon, value)
    kept.append(block[end:])
    return b"".join(kept)


def without(block: bytes, unwanted: Callable[[Field], bool]) -> bytes:
    """The block less the fields that are unwanted; every other octet stays as it is."""
    kept: list[bytes] = []
    start = 0
    for field in fields(block):
        if unwanted(field):
            kept.append(block[start : field.start])
            start = field.end
    kept.append(block[start:])
    return b"".join(kept)


def edit(
    block: bytes,
    *,
    drop: Collection[bytes] = frozenset({b"bcc"}),
    prepend: bytes = b"",
    append: Iterable[bytes] = (),
) -> bytes:
    """Take fields out of a block (names in lower case), and put whole fields before it and before its blank line.

    `prepend` and each of `append` are complete fields ending in CRLF. Every other octet stays as it is.
    """
    kept, end = [prepend], 0
    for field in fields(block):
        end = field.end
        if field.name.lower() not in drop:
            kept.append(field.raw)
    if added := b"".join(append):
        if kept[-1] and not kept[-1].endswith(b"\n"):
            kept.append(b"\r\n")
        kept.append(added)
    kept.append(block[end:])
    return b"".join(kept)
