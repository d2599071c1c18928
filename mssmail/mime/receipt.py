"""Read receipts, which people's mail programs write and this server never does (RFC 8098, RFC 6533 §5). Pure."""

from typing import Final

from mssmail.mime.node import Node
from mssmail.mime.parameters import parameter

_KINDS: Final = frozenset({b"disposition-notification", b"global-disposition-notification"})


def is_receipt(node: Node) -> bool:
    """Whether a whole message is one (RFC 8098 §3): a report of that type, whose second part is what it says.

    One that asks for a receipt itself is none: two programs would go on answering each other.
    """
    if (node.type, node.subtype) != (b"multipart", b"report") or len(node.children) not in (2, 3):
        return False
    kind = (parameter(node.parameters, b"report-type") or b"").lower()
    second = node.children[1]
    if kind not in _KINDS or second.type != b"message" or second.subtype not in _KINDS:
        return False
    return node.block is not None and b"disposition-notification-to" not in node.block
