"""BODY and BODYSTRUCTURE, as RFC 3501 §7.4.2 spells them. Nesting is bounded by the scanner (`Limits.depth`)."""

from mssmail.mime.node import Node
from mssmail.mime.nstring import nstring, string
from mssmail.mime.parameters import Parameters, parameter

_NOTHING = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def render(node: Node) -> tuple[bytes, bytes]:
    """The parenthesised BODY and BODYSTRUCTURE: without and with extension data."""
    if node.type == b"multipart":
        pairs = [render(child) for child in node.children]
        subtype = string(node.subtype.upper())
        plain = b"".join([pair[0] for pair in pairs])
        full = b"".join([pair[1] for pair in pairs])
        return b"(%b %b)" % (plain, subtype), b"(%b %b %b%b)" % (
            full,
            subtype,
            _parameters(node.parameters),
            _extension(node),
        )
    basic = _basic(node)
    plain = full = basic
    if node.type == b"text":
        plain = full = b"%b %d" % (basic, node.lines)
    elif node.is_message and node.children:
        embedded = node.children[0]
        envelope = embedded.envelope or _NOTHING
        inner, inner_full = render(embedded)
        plain = b"%b %b %b %d" % (basic, envelope, inner, node.lines)
        full = b"%b %b %b %d" % (basic, envelope, inner_full, node.lines)
    return b"(%b)" % plain, b"(%b %b%b)" % (full, nstring(node.md5), _extension(node))


def body(node: Node) -> bytes:
    """The parenthesised structure without extension data."""
    return render(node)[0]


def bodystructure(node: Node) -> bytes:
    """The parenthesised structure with extension data."""
    return render(node)[1]


def _basic(node: Node) -> bytes:
    """What every part that is no multipart has: type, subtype, parameters, id, description, encoding, octets."""
    parameters = node.parameters
    if node.type == b"text" and parameter(parameters, b"charset") is None:
        # RFC 3501 §7.4.2 "defaulting various fields": RFC 2045 §5.2 names this charset.
        parameters = ((b"CHARSET", b"US-ASCII"), *parameters)
    return b"%b %b %b %b %b %b %d" % (
        string(node.type.upper()),
        string(node.subtype.upper()),
        _parameters(parameters),
        nstring(node.content_id),
        nstring(node.description),
        string(node.encoding),
        node.size,
    )


def _parameters(parameters: Parameters) -> bytes:
    """RFC 2231's forms stay as written: clients undo them."""
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])


def _extension(node: Node) -> bytes:
    """Disposition, language and location, each with a blank before it."""
    if node.disposition is None and not node.language and node.location is None:
        return b" NIL NIL NIL"
    disposition = b"NIL"
    if node.disposition is not None:
        disposition = b"(%b %b)" % (string(node.disposition[0]), _parameters(node.disposition[1]))
    language = b"NIL"
    if len(node.language) == 1:
        language = string(node.language[0])
    elif node.language:
        language = b"(%b)" % b" ".join([string(tag) for tag in node.language])
    return b" %b %b %b" % (disposition, language, nstring(node.location))
