"""One connection: octets in and out, with limits on time and memory. A protocol of its own, lean while idle.

Nothing is read ahead beyond `READ_AHEAD_OCTETS` (and the one piece of up to 256 KiB that a loop may hand over at
once); nothing is written ahead beyond `WRITE_AHEAD_OCTETS` once the writer waits for `drain`. Every wait has a limit.

STARTTLS: reading is paused before the peer is told to go ahead, and whatever it sent before that is an attack (it was
injected in clear, CVE-2011-0411) and ends the connection. What TLS hands over before `start_tls` returns is kept.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from mssmail.servers.net.peer import address_of
from mssmail.servers.net.tls import HANDSHAKE_TIMEOUT_S, peer_certificate

TlsContext = ssl.SSLContext

READ_AHEAD_OCTETS = 65_536
WRITE_AHEAD_OCTETS = 262_144
"""A batch of a FETCH is four times that: the next is read while the last quarter goes out."""


_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Closed(Exception):
    """The peer is gone, or we closed the connection."""


class TimedOut(Exception):
    """The peer neither sent nor took anything for too long."""


class Injected(Exception):
    """Clear text stood behind STARTTLS."""


Life = Callable[["Stream"], Coroutine[Any, Any, None]]


class Stream(asyncio.Protocol):
    """A connection, and the task that lives it: `life` begins when it opens. All methods on the loop."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_closed",
        "_life",
        "_loop",
        "_nudged",
        "_over",
        "_read_paused",
        "_reader",
        "_transport",
        "_upgrading",
        "_write_paused",
        "_writer",
        "client",
        "task",
    )

    def __init__(self, life: Life) -> None:
        self._life = life
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._read_paused = False
        self._write_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._nudged = False
        self._closed = False
        """No octet will come any more."""
        self._over = False
        """No octet can be sent any more."""
        self._upgrading = False
        self.client = ""
        """The peer's IP address as text; empty where it left while it came."""
        self.task: asyncio.Task[None] | None = None

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self.client = address_of(transport)
        self._limit_writes()
        self.task = self._loop.create_task(self._life(self))

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > READ_AHEAD_OCTETS and not (self._read_paused or self._upgrading):
            self._read_paused = True
            self._at().pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        """Close: a mail client that only listens is gone. What is written from here on goes nowhere."""
        self._closed = self._over = True
        self._wake_reader()
        self.resume_writing()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = self._over = True
        self._wake_reader()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    # --- who it is ---

    @property
    def certificate(self) -> bytes | None:
        """The DER of the certificate that the peer showed and TLS chained to an anchor."""
        return peer_certificate(self._transport)

    @property
    def is_over(self) -> bool:
        return self._over

    def _at(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    # --- reading ---

    async def read(self, timeout_s: float) -> bytes:
        """Return what came, some octets at least. Raises Closed at the end, TimedOut."""
        while not self._chunks:
            if self._closed:
                raise Closed
            if not await self.wait(timeout_s) and not self._chunks and not self._closed:
                raise TimedOut
        data = self._chunks.pop(0)
        self._buffered -= len(data)
        if self._read_paused and self._buffered <= READ_AHEAD_OCTETS:
            self._read_paused = False
            if not self._over:
                self._at().resume_reading()
        return data

    def acknowledge(self) -> None:
        """Tell the peer's TCP at once that its octets came, where the platform can: more of them are awaited.

        Otherwise a client that writes a little behind a lot, under Nagle's algorithm, waits for our acknowledgement,
        and the kernel delays that by 40 ms.
        """
        if _QUICK_ACK is not None and not self._over:
            sock = self._at().get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    @property
    def readable(self) -> bool:
        """Whether `read` would return, or raise Closed, at once."""
        return bool(self._chunks) or self._closed

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something came, the end is known, or `nudge` was called; False where time ran out first."""
        if self.readable or self._nudged:
            self._nudged = False
            return True
        waiter = self._reader = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._reader = None
        woken = self.readable or self._nudged
        self._nudged = False
        return woken

    def nudge(self) -> None:
        """End a `wait`, now or the next: there is something else to look at."""
        self._nudged = True
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- writing ---

    def write(self, data: bytes) -> None:
        """Send octets, or keep them for sending; `drain` before writing much more. Lost where the peer is gone."""
        if not self._over:
            self._at().write(data)

    async def drain(self, timeout_s: float) -> None:
        """Wait until little enough waits to be sent. Raises Closed, TimedOut where the peer takes nothing."""
        while self._write_paused and not self._over:
            waiter = self._writer = self._loop.create_future()
            timer = self._loop.call_later(timeout_s, _expire, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._writer = None
            if self._write_paused and not self._over:
                raise TimedOut
        if self._over:
            raise Closed

    def _limit_writes(self) -> None:
        self._at().set_write_buffer_limits(high=WRITE_AHEAD_OCTETS)

    # --- TLS ---

    async def start_tls(self, context: TlsContext, go_ahead: bytes) -> None:
        """Send `go_ahead` and turn to TLS. The caller has used every octet it read.

        Raises Injected where clear text came behind the command, Closed where the handshake fails.
        """
        transport = self._at()
        if self._closed:
            raise Closed
        transport.pause_reading()
        if self._chunks:
            raise Injected
        self._upgrading = True
        try:
            transport.write(go_ahead)
            secured = await self._loop.start_tls(
                transport,
                transport.get_protocol(),
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except (OSError, EOFError, ssl.SSLError) as error:
            self.abort()
            raise Closed from error
        finally:
            self._upgrading = False
        if secured is None:
            raise Closed
        self._transport = secured
        self._read_paused = False
        self._limit_writes()

    # --- ending ---

    def close(self, within_s: float) -> None:
        """Send what waits, then close; after `within_s` seconds without waiting for the peer."""
        transport = self._at()
        self._over = True
        if not transport.is_closing():
            transport.close()
            self._loop.call_later(within_s, transport.abort)

    def abort(self) -> None:
        """Close at once; what waits to be sent is lost."""
        self._over = self._closed = True
        self._at().abort()


def _expire(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
