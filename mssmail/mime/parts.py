"""The part index of a record: where each part lies, in few octets. The format lies on disk and is final.

Parts follow each other, each before its children. One is: number of its children (2 octets), kind (1: 0 a leaf,
1 a multipart, 2 a message/rfc822), header_start, body_start, end (8 each, from the message's first octet), the lengths
of four strings (1 each: type, subtype, encoding, charset), and the strings, cut at 255 octets. Numbers are big-endian.
"""

import struct
from enum import IntEnum, unique
from typing import NamedTuple

from mssmail.mime.node import Node
from mssmail.mime.parameters import parameter

_PART = struct.Struct(">HBQQQBBBB")


@unique
class Kind(IntEnum):
    """How a part is taken apart."""

    LEAF = 0
    MULTIPART = 1
    MESSAGE = 2


_KINDS = tuple(Kind)


class Part(NamedTuple):
    """A part of a message. `parent` and `children` are places in the index; the outermost part has parent -1."""

    parent: int
    children: tuple[int, ...]
    kind: Kind
    header_start: int
    body_start: int
    end: int
    type: bytes
    """Media type and subtype in lower case."""
    subtype: bytes
    encoding: bytes
    """Content-Transfer-Encoding in upper case."""
    charset: bytes
    """As written; empty where there is none."""


def pack(root: Node) -> bytes:
    """The octets of a tree's index."""
    out: list[bytes] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        kind = Kind.MULTIPART if node.type == b"multipart" else Kind.MESSAGE if node.is_message else Kind.LEAF
        charset = parameter(node.parameters, b"charset") or b"" if node.type == b"text" else b""
        strings = (node.type[:255], node.subtype[:255], node.encoding[:255], charset[:255])
        numbers = (len(node.children), kind, node.header_start, node.body_start, node.end)
        out.append(_PART.pack(*numbers, *map(len, strings)))
        out.extend(strings)
        waiting.extend(reversed(node.children))
    return b"".join(out)


def unpack(octets: bytes) -> tuple[Part, ...]:
    """The parts of an index. Raises struct.error or IndexError where it is damaged."""
    parts: list[Part] = []
    children: dict[int, list[int]] = {}
    open_parts: list[tuple[int, int]] = []
    """Those that have children yet to come, and how many."""
    at, size, end_of_all = 0, _PART.size, len(octets)
    while at < end_of_all:
        count, kind, header_start, body_start, end, a, b, c, d = _PART.unpack_from(octets, at)
        a += (at := at + size)
        b += a
        c += b
        d += c
        index, parent = len(parts), -1
        if index:
            parent, left = open_parts.pop()
            children[parent].append(index)
            if left > 1:
                open_parts.append((parent, left - 1))
        if count:
            open_parts.append((index, count))
            children[index] = []
        kind = _KINDS[kind] if kind <= 2 else Kind.LEAF
        strings = octets[at:a], octets[a:b], octets[b:c], octets[c:d]
        parts.append(Part(parent, (), kind, header_start, body_start, end, *strings))
        at = d
    for index, found in children.items():
        parts[index] = parts[index]._replace(children=tuple(found))
    return tuple(parts)
