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
    rows: list[tuple[int, Kind, int, int, int, list[bytes]]] = []
    parents: list[int] = []
    children: list[list[int]] = []
    open_parts: list[tuple[int, int]] = []
    at = 0
    while at < len(octets):
        count, kind, header_start, body_start, end, *lengths = _PART.unpack_from(octets, at)
        at += _PART.size
        strings = []
        for length in lengths:
            strings.append(octets[at : at + length])
            at += length
        index = len(rows)
        parent = -1
        if rows:
            parent, left = open_parts.pop()
            children[parent].append(index)
            if left > 1:
                open_parts.append((parent, left - 1))
        rows.append((count, _KINDS[kind] if kind <= 2 else Kind.LEAF, header_start, body_start, end, strings))
        parents.append(parent)
        children.append([])
        if count:
            open_parts.append((index, count))
    return tuple(
        Part(parents[i], tuple(children[i]), kind, header_start, body_start, end, *strings)
        for i, (_, kind, header_start, body_start, end, strings) in enumerate(rows)
    )
