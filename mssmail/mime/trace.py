"""Trace fields as they come from outside: whose they are, and those that only this server may set. Pure."""

import re
from collections.abc import Collection
from typing import Final

from mssmail.base.address import Address
from mssmail.mime.comments import uncomment
from mssmail.mime.headers import unfold

OURS: Final = b"x-mssmail-"
"""How the names of fields begin by which this server tells its own people something."""
RESULTS: Final = b"authentication-results"
_AUTHOR: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s;]*)', re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_BY: Final = re.compile(rb"\bby[ \t]+([^ \t;()]+)", re.IGNORECASE)


def return_path(sender: Address | None) -> bytes:
    """The field by which a box is told the envelope's sender: the first one of what is kept (RFC 5321 §4.4)."""
    return f"Return-Path: <{sender or ''}>\r\n".encode()


def written_by(server: str, ident: str) -> bytes:
    """The trace field of mail that a server writes itself."""
    return f"Received: by {server} (mssmail) id {ident}\r\n".encode()


def is_forged(name: bytes, value: bytes, servers: Collection[bytes]) -> bool:
    """Whether a field from outside says what only this server may say; names in lower case.

    RFC 8601 §5: results that bear our name go, whoever wrote them; so do those whose author can't be made out and that
    name us anywhere.
    """
    name = name.lower()
    if name != RESULTS:
        return name.startswith(OURS)
    author = results_by(value)
    if not author:
        lowered = value.lower()
        return any(server in lowered for server in servers)
    return author in servers


def results_by(value: bytes) -> bytes:
    """The authserv-id of Authentication-Results (RFC 8601 §2.2), in lower case; empty where there is none."""
    text = uncomment(unfold(value)).lstrip()
    m = _AUTHOR.match(text)
    assert m is not None
    author = m[2] if m[1] is None else _ESCAPED.sub(rb"\1", m[1])
    return author.strip().lower().rstrip(b".")


def received_by(value: bytes) -> bytes:
    """The server that a Received field says it was received by (RFC 5321 §4.4), in lower case; empty where none."""
    m = _BY.search(uncomment(unfold(value)))
    return b"" if m is None else m[1].lower().rstrip(b".")
