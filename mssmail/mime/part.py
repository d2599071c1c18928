"""What a part's header says of the part (RFC 2045, 2183, 3282, 2557)."""

import re

from mssmail.mime.comments import uncomment
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.limits import Limits
from mssmail.mime.node import Node
from mssmail.mime.parameters import media_type, parameter, parameters

_LANGUAGE = re.compile(rb"[A-Za-z0-9\-]+")
_MAX_LANGUAGES = 50
_SELDOM = frozenset({b"content-id", b"content-description", b"content-md5", b"content-location", b"content-language"})


def describe(node: Node, block: HeaderBlock, *, digest: bool, limits: Limits, opaque: bool) -> bytes | None:
    """Fill in what the header says, and give the boundary if it is a multipart to be taken apart.

    `digest`: the default is message/rfc822 (RFC 2046 §5.1.5). `opaque`: containers are no more opened, and shown as
    application/octet-stream. A multipart without a usable boundary is plain text, as any Content-Type that can't be
    understood (RFC 2045 §5.2).
    """
    boundary = _media(node, block, digest=digest, limits=limits)
    if opaque and (node.type == b"multipart" or node.is_message):
        node.type, node.subtype, node.parameters, boundary = b"application", b"octet-stream", (), None
    value = block.first(b"content-transfer-encoding")
    if value:
        node.encoding = uncomment(value).strip(b' \t";').upper() or b"7BIT"
    value = block.first(b"content-disposition")
    if value:
        value = uncomment(value)
        kind = value.partition(b";")[0].strip()
        if kind:
            node.disposition = kind, parameters(value, limit=limits.parameters)
    if block.has_none_of(_SELDOM):
        return boundary
    node.content_id = block.first(b"content-id")
    node.description = block.first(b"content-description")
    node.md5 = block.first(b"content-md5")
    node.location = block.first(b"content-location")
    value = block.first(b"content-language")
    if value:
        node.language = tuple(_LANGUAGE.findall(uncomment(value))[:_MAX_LANGUAGES])
    return boundary


def _media(node: Node, block: HeaderBlock, *, digest: bool, limits: Limits) -> bytes | None:
    value = block.first(b"content-type")
    if value is None:
        if digest:
            node.type, node.subtype = b"message", b"rfc822"
        return None
    value = uncomment(value)
    media = media_type(value)
    if media is None:
        return None
    found = parameters(value, limit=limits.parameters)
    if media[0] != b"multipart":
        node.type, node.subtype = media
        node.parameters = found
        return None
    boundary = parameter(found, b"boundary")
    # RFC 2046 §5.1.1: a boundary doesn't end in a blank, since blanks after it are padding.
    boundary = boundary.rstrip(b" \t\r\n") if boundary is not None else b""
    if not boundary or len(boundary) > limits.boundary_octets or b"\n" in boundary:
        return None
    node.type, node.subtype = media
    node.parameters = found
    return boundary
