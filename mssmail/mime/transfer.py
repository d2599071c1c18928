"""Undo Content-Transfer-Encoding, tolerantly: damaged input gives what can be had (RFC 2045 §6)."""

import re
from binascii import Error, a2b_base64, a2b_qp

_FOREIGN = re.compile(rb"[^A-Za-z0-9+/]+")


def base64_octets(data: bytes) -> bytes:
    """Decode base64, whatever else stands between its signs; a cut or unpadded end loses at most its last group."""
    try:
        return a2b_base64(data)
    except Error:
        signs = _FOREIGN.sub(b"", data)
        extra = len(signs) % 4
        if extra == 1:
            signs = signs[:-1]
        return a2b_base64(signs + b"=" * (-len(signs) % 4))


def decode(data: bytes, encoding: bytes) -> bytes:
    """The octets of a part's body; an unknown encoding is taken as none."""
    match encoding.lower():
        case b"base64":
            return base64_octets(data)
        case b"quoted-printable":
            return a2b_qp(data)
        case _:
            return data
