"""Who is at the other end of a connection, by its address: one spelling, whatever socket it came through."""

import asyncio
import ipaddress
from contextvars import ContextVar
from functools import lru_cache

introduced: ContextVar[str | None] = ContextVar("introduced", default=None)
"""The client that a proxy named, in the context of the connection that it made for it."""


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's IP address as text, an IPv4 one as such on a socket of both kinds; empty once it isn't known.

    Behind a proxy, the address that the proxy gave: to be asked for where the connection is made, or in its own task.
    """
    named = introduced.get()
    if named is not None:
        return spelled(named)
    peer = transport.get_extra_info("peername")
    try:
        return spelled(peer[0])
    except (TypeError, IndexError, ValueError, AttributeError):
        return ""  # it left while it came


@lru_cache(maxsize=4096)
def spelled(address: str) -> str:
    """An IP address in the one spelling used. Raises ValueError where it is none."""
    read = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(read, ipaddress.IPv6Address) and read.ipv4_mapped is not None:
        read = read.ipv4_mapped
    return str(read)


def is_loopback(address: str) -> bool:
    """Whether such an address is of this machine."""
    return address.startswith("127.") or address == "::1"
