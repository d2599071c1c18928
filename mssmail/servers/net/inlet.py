"""What stands between a transport and a protocol that takes octets: one buffer for all reads of a listener.

A transport gives an `asyncio.Protocol` each read as octets of their own, for which uvloop's TLS takes 256 KiB and gives
most of it back: an mmap and munmap a read (10 KB cost 80 µs instead of 45). Keeping glibc from that, by its threshold,
cost each idle connection 25 KB, since the buffer that every TLS connection has of uvloop came from the heap, too.
"""

import asyncio
from collections.abc import Callable

READ_OCTETS = 256 * 1024
"""What uvloop reads at once of TLS."""

Factory = Callable[[], asyncio.BaseProtocol]


class Inlet(asyncio.BufferedProtocol):
    """Hands what comes to a protocol. All methods on the loop, by the transport."""

    __slots__ = ("_buffer", "_protocol")

    def __init__(self, protocol: asyncio.Protocol, buffer: memoryview) -> None:
        """`buffer` may be others' too: what it holds is taken out of it before anybody else reads into it."""
        self._protocol = protocol
        self._buffer = buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._buffer[:nbytes]))

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)


def through_inlets(factory: Callable[[], asyncio.Protocol]) -> Factory:
    """A factory for `loop.create_server` whose connections read into one buffer."""
    buffer = memoryview(bytearray(READ_OCTETS))
    return lambda: Inlet(factory(), buffer)
