"""The address at the other end: one spelling on any socket."""

import asyncio

import pytest

from mssmail.servers.net.listener import Place, listening
from mssmail.servers.net.peer import address_of, is_loopback


class _Transport(asyncio.BaseTransport):
    def __init__(self, peer: object) -> None:
        super().__init__({"peername": peer})


@pytest.mark.parametrize(
    ("peer", "address", "loopback"),
    [
        (("127.0.0.2", 1), "127.0.0.2", True),
        (("::ffff:127.0.0.2", 1, 0, 0), "127.0.0.2", True),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7", False),
        (("2001:DB8::0:1", 1, 0, 0), "2001:db8::1", False),
        (("fe80::1%eth0", 1, 0, 3), "fe80::1", False),
        (("::1", 1, 0, 0), "::1", True),
        (None, "", False),
        ("", "", False),
        (("somewhere", 1), "", False),
    ],
)
def test_address(peer: object, address: str, loopback: bool) -> None:
    """An IPv4 peer is known by the same text on an IPv4 socket and on one of both kinds."""
    assert address_of(_Transport(peer)) == address
    assert is_loopback(address) is loopback


async def test_address_on_a_socket_of_both_kinds() -> None:
    """What the kernel says of an IPv4 client on `::` is spelt as IPv4."""
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[str] = loop.create_future()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.set_result(address_of(transport))

    sock = listening(Place("imaps", "::", 0))
    server = await loop.create_server(Protocol, sock=sock)
    _, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    assert await asyncio.wait_for(seen, 10) == "127.0.0.1"
    writer.close()
    server.close()
