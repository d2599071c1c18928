"""Who is at the other end of a connection, by its address: one spelling, whatever socket it came through."""

import asyncio
import ipaddress


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's IP address as text, an IPv4 one as such on a socket of both kinds; empty once it isn't known."""
    peer = transport.get_extra_info("peername")
    try:
        address = ipaddress.ip_address(peer[0].partition("%")[0])
    except (TypeError, IndexError, ValueError, AttributeError):
        return ""  # it left while it came
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def is_loopback(address: str) -> bool:
    """Whether such an address is of this machine."""
    return address.startswith("127.") or address == "::1"
