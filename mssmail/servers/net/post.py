"""A worker's post: its number, its ports, and the sockets by which workers wake each other."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from mssmail.servers.net.listener import Place

_DATAGRAM_OCTETS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is told of its place: its number, the ports, and its colleagues' wake-up sockets."""

    slot: int
    workers: int
    places: dict[str, Place]
    _mine: socket.socket | None = None
    _others: tuple[socket.socket, ...] = field(default=())

    @property
    def broadcast(self) -> Callable[[bytes], None] | None:
        """Send a datagram to every other worker, without ever blocking; None where there is none."""
        if not self._others:
            return None

        def send(datagram: bytes) -> None:
            for other in self._others:
                with contextlib.suppress(OSError):  # full: the other has much to look at already
                    other.send(datagram, socket.MSG_DONTWAIT)

        return send

    def listen(self, loop: asyncio.AbstractEventLoop, receive: Callable[[bytes], None]) -> None:
        """Hand the others' datagrams to `receive`, on the loop."""
        mine = self._mine
        if mine is None:
            return

        def read() -> None:
            for _ in range(64):
                try:
                    datagram = mine.recv(_DATAGRAM_OCTETS)
                except (BlockingIOError, InterruptedError):
                    return
                receive(datagram)

        loop.add_reader(mine.fileno(), read)


Ready = Callable[[], None]
