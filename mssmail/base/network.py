"""Clients' addresses and the networks that they lie in. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(client: str) -> IPv4Address | IPv6Address:
    """A client's address as it compares: an IPv4 address mapped into IPv6 is that IPv4 address, a zone is nothing.

    Raises ValueError for what isn't an address.
    """
    address = ip_address(client.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def within(client: str, networks: Iterable[Network]) -> bool:
    """Whether a client's address lies in one of those networks; one that can't be read lies in none."""
    try:
        address = client_address(client)
    except ValueError:
        return False
    return any(address in network for network in networks)
