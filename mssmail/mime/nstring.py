"""How IMAP spells a string that may be absent (RFC 3501 §4.3, §9 `nstring`): quoted where it can be, else a literal."""

import re

_plain = re.compile(rb"[\x20\x21\x23-\x5b\x5d-\x7e]{0,1024}").fullmatch
_quotable = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1024}").fullmatch
"""7-bit and on one line; long strings go as literals, which line-bound clients read better."""


def string(value: bytes) -> bytes:
    """Spell octets as a string. NUL, which neither form can carry (`CHAR8`), is dropped."""
    if _plain(value):
        return b'"' + value + b'"'
    if b"\0" in value:
        value = value.replace(b"\0", b"")
    if _quotable(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n" % len(value) + value


def nstring(value: bytes | None) -> bytes:
    """Spell octets as a string, or NIL where there are none."""
    return b"NIL" if value is None else string(value)
