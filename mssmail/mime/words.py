"""Header text for a person: encoded words decoded (RFC 2047), raw UTF-8 taken as such (RFC 6532). Linear."""

import re
from binascii import a2b_qp

from mssmail.mime.charset import decode as decode_charset
from mssmail.mime.headers import HeaderBlock, unfold, unfolded
from mssmail.mime.transfer import base64_octets

_WORD = re.compile(rb"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*)\?=")

_PLAIN_BLOCK = re.compile(rb"(?:[!-9;-~]++: [!-~][ \t!-~]*+(?:\r\n[ \t][ \t!-~]*+)*(?<![ \t])\r\n)+(?:\r\n)?").fullmatch
"""A block of ASCII that is written as `header_text` gives it, but for its line breaks: nearly every one."""
_FOLDED_LINE = re.compile(rb"\r\n(?=[ \t])")


def decode(value: bytes) -> str:
    """The text of an unfolded or folded value: blanks between encoded words dropped (RFC 2047 §6.2).

    Adjacent words of one charset are joined before decoding, because senders cut multi-byte characters in two.
    """
    value = unfold(value)
    if b"=?" not in value:
        return decode_charset(value, b"")
    out: list[str] = []
    pending: list[bytes] = []
    charset = b""
    at = 0
    for m in _WORD.finditer(value):
        between = value[at : m.start()]
        apart = bool(between.strip(b" \t")) or at == 0
        if apart or m[1].lower() != charset:
            out.append(decode_charset(b"".join(pending), charset))
            pending.clear()
        if apart and between:
            out.append(decode_charset(between, b""))
        charset = m[1].lower()
        pending.append(a2b_qp(m[3], header=True) if m[2] in b"qQ" else base64_octets(m[3]))
        at = m.end()
    out.append(decode_charset(b"".join(pending), charset))
    out.append(decode_charset(value[at:], b""))
    return "".join(out)


def header_text(block: bytes) -> str:
    """A header block as decoded lines `Name: value`, for SEARCH TEXT."""
    if _PLAIN_BLOCK(block) is not None and b"=?" not in block:
        return _FOLDED_LINE.sub(b"", block).rstrip(b"\r\n").replace(b"\r\n", b"\n").decode("ascii")
    return "\n".join([_line(name, value) for name, value in unfolded(block)])


def _line(name: bytes, value: bytes) -> str:
    start = name + b": " if name else b""
    if value.isascii() and b"=?" not in value:
        return (start + value).decode("latin-1")
    return start.decode("latin-1") + decode(value)


def header_values(block: bytes, name: bytes) -> list[str]:
    """The decoded values of all fields of that name, for SEARCH HEADER; empty where there is none."""
    return [decode(value) for value in HeaderBlock(block).all(name.lower())]
