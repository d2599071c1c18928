"""How a proxy introduces its clients: the PROXY protocol, versions 1 and 2, as haproxy's proxy-protocol.txt tells it.

Pure: knows no socket. What follows the addresses in version 2 (TLVs) is skipped. Invariant: nothing is asked of octets
beyond `MOST_OCTETS`, and what isn't an introduction is refused at the first octet that shows it.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
FIRST_LINE_OCTETS: Final = 107
"""The longest line of version 1, CRLF included (§2.1)."""
MOST_MORE_OCTETS: Final = 2048
"""Of addresses and TLVs in version 2; haproxy sends some hundred."""
MOST_OCTETS: Final = 16 + MOST_MORE_OCTETS

_HEAD = struct.Struct(">BBH")
_ADDRESS_OCTETS: Final = {0x11: 4, 0x21: 16}
"""Of each address, by family and transport: TCP over IPv4 and IPv6 (§2.2); two ports of 2 octets follow."""
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_UNSPECIFIED: Final = 0x00


class Malformed(Exception):
    """Not an introduction, or of a kind that no mail client comes by."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a proxy said."""

    client: str | None
    """The client's IP address; None where the connection is the proxy's own, as to see whether we live."""
    octets: int
    """How long the introduction was; what follows is the client's."""


def read(octets: bytes) -> Introduction | None:
    """Read what stands at the beginning of a connection; None where it takes more octets. Raises Malformed."""
    if octets.startswith(SIGNATURE[: len(octets)]):
        return _second(octets)
    if octets.startswith(b"PROXY "[: len(octets)]):
        return _first(octets)
    raise Malformed


def _first(octets: bytes) -> Introduction | None:
    """`PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT CRLF`, or `PROXY UNKNOWN … CRLF` (§2.1)."""
    end = octets.find(b"\n", 0, FIRST_LINE_OCTETS)
    if end < 0:
        if len(octets) >= FIRST_LINE_OCTETS:
            raise Malformed
        return None
    if octets[end - 1 : end] != b"\r":
        raise Malformed
    words = octets[: end - 1].split(b" ")
    if words[1:2] == [b"UNKNOWN"]:
        return Introduction(None, end + 1)
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise Malformed
    version = 4 if words[1] == b"TCP4" else 6
    try:
        source, target = (ipaddress.ip_address(word.decode("ascii")) for word in words[2:4])
    except ValueError:
        raise Malformed from None
    if source.version != version or target.version != version or not all(map(_is_port, words[4:])):
        raise Malformed
    return Introduction(str(source), end + 1)


def _is_port(word: bytes) -> bool:
    return word.isdigit() and len(word) <= 5 and int(word) <= 65_535


def _second(octets: bytes) -> Introduction | None:
    """Signature, version and command, family and transport, length, addresses, TLVs (§2.2)."""
    if len(octets) < len(SIGNATURE) + _HEAD.size:
        return None
    command, family, length = _HEAD.unpack_from(octets, len(SIGNATURE))
    if command not in (_LOCAL, _PROXY) or length > MOST_MORE_OCTETS:
        raise Malformed
    start = len(SIGNATURE) + _HEAD.size
    if command == _PROXY and family != _UNSPECIFIED:
        size = _ADDRESS_OCTETS.get(family)
        if size is None or length < 2 * size + 4:
            raise Malformed
    if len(octets) < start + length:
        return None
    if command == _LOCAL or family == _UNSPECIFIED:
        return Introduction(None, start + length)
    return Introduction(str(ipaddress.ip_address(octets[start : start + _ADDRESS_OCTETS[family]])), start + length)
