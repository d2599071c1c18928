"""Modified UTF-7, the spelling of mailbox names in IMAP4rev1 (RFC 3501 §5.1.3): strict, and one form for each name."""

import binascii
import re

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_FOREIGN = re.compile(r"[^ -~]+|&")
_PRINTABLE = re.compile(rb"[ -~]*\Z")


def encode(name: str) -> bytes:
    """Return the one right spelling of `name`; a lone surrogate, which no name has, becomes `?`."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode()
    return _FOREIGN.sub(_shift, name).encode()


def _shift(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    octets = binascii.b2a_base64(run[0].encode("utf-16-be", "replace"), newline=False)
    return "&" + octets.rstrip(b"=").replace(b"/", b",").decode() + "-"


def decode(octets: bytes) -> str | None:
    """Return the name that `octets` spell, or None where `encode` would not have spelt it so.

    That refuses what §5.1.3 forbids: 8-bit octets, controls in clear, a shift left open, null and superfluous
    shifts, printable ASCII inside base64, stray bits, and half a surrogate pair.
    """
    if _PRINTABLE.match(octets) is None:
        return None
    if b"&" not in octets:
        return octets.decode()
    pieces: list[str] = []
    at = 0
    for run in _SHIFTED.finditer(octets):
        pieces.append(octets[at : run.start()].decode())
        text = _unshift(run[1])
        if text is None:
            return None
        pieces.append(text)
        at = run.end()
    pieces.append(octets[at:].decode())
    name = "".join(pieces)
    return name if encode(name) == octets else None


def _unshift(base64: bytes) -> str | None:
    if not base64:
        return "&"
    try:
        octets = binascii.a2b_base64(base64.replace(b",", b"/") + b"=" * (-len(base64) % 4))
        return octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return None
