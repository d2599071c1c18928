"""Undo Content-Transfer-Encoding, tolerantly: damaged input gives what can be had (RFC 2045 §6)."""

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator

_FOREIGN = re.compile(rb"[^A-Za-z0-9+/]+")
_SIGNS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_SIGNS = bytes(set(range(256)) - set(_SIGNS) - {ord("=")})
_LINE_OCTETS = 64 * 1024
"""Of quoted-printable, how long a line is waited for: what writes longer ones pays with a sign or two."""


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


def decode_stream(pieces: Iterable[bytes], encoding: bytes) -> Iterator[bytes]:
    """The octets of a part's body that comes in pieces, as `decode` has them; holds no more than a piece."""
    match encoding.lower():
        case b"base64":
            return _base64(pieces)
        case b"quoted-printable":
            return _quoted_printable(pieces)
        case _:
            return iter(pieces)


def _base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Up to the first padding, which is the end for every reader."""
    held = b""
    for piece in pieces:
        signs, padding, _ = (held + piece.translate(None, _NO_SIGNS)).partition(b"=")
        whole = len(signs) - len(signs) % 4
        held = signs[whole:]
        if whole:
            yield a2b_base64(signs[:whole])
        if padding:
            break
    if len(held) > 1:
        yield a2b_base64(held + b"=" * (4 - len(held)))


def _quoted_printable(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        held += piece
        end = held.rfind(b"\n") + 1
        if not end and len(held) > _LINE_OCTETS:
            end = held.rfind(b"=", len(held) - 2)
            end = len(held) if end < 0 else end
        if end:
            yield a2b_qp(held[:end])
            held = held[end:]
    yield a2b_qp(held)
