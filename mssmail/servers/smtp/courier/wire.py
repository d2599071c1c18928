"""One connection to a server: octets out, replies in, TLS, and a limit on every wait. Knows no command.

Nothing is read ahead beyond `READ_AHEAD_OCTETS` and one read; `drain` before writing much.
"""

import asyncio
import ssl
from typing import Final

from mssmail.servers.net.tls import HANDSHAKE_TIMEOUT_S
from mssmail.servers.smtp.courier.reply import Replies, Reply

READ_AHEAD_OCTETS: Final = 65_536
READ_OCTETS: Final = 4096
"""Replies are short. Into a buffer of our own: else uvloop's TLS takes and gives back 256 KiB a read."""
WRITE_AHEAD_OCTETS: Final = 262_144
LINGER_S: Final = 2.0
"""How long a farewell may take to leave."""


class Lost(Exception):
    """The connection is gone; the text says how, as far as is known."""


class TlsFailed(Lost):
    """By TLS: the handshake, or an alert after it."""


class Distrusted(TlsFailed):
    """The server's certificate chains to no anchor, or isn't one for servers."""


class TimedOut(Exception):
    """The server neither said nor took anything for too long."""


class Wire(asyncio.BufferedProtocol):
    """Made by `connect`. All methods on the loop, one task at a time."""

    __slots__ = (
        "_buffer",
        "_clogged",
        "_drained",
        "_error",
        "_loop",
        "_paused",
        "_replies",
        "_transport",
        "_upgrading",
        "_waiter",
        "closed",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(READ_OCTETS))
        self._replies = Replies()
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._clogged = self._paused = self._upgrading = False
        self._error: Exception | None = None
        self.closed = False
        """Whether nothing will come any more."""

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._at().set_write_buffer_limits(high=WRITE_AHEAD_OCTETS)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._replies.feed(self._buffer[:nbytes])
        if len(self._replies) > READ_AHEAD_OCTETS and not (self._paused or self._upgrading):
            self._paused = True
            self._at().pause_reading()
        self._wake(self._waiter)

    def eof_received(self) -> bool:
        self.closed = True
        self._wake(self._waiter)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._error = self._error or exc
        self._clogged = False
        self._wake(self._waiter)
        self._wake(self._drained)

    def pause_writing(self) -> None:
        self._clogged = True

    def resume_writing(self) -> None:
        self._clogged = False
        self._wake(self._drained)

    @staticmethod
    def _wake(waiter: "asyncio.Future[None] | None") -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _at(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    # --- talking ---

    @property
    def unread(self) -> bool:
        """Whether the server said more than it was asked."""
        return len(self._replies) > 0

    def write(self, data: bytes) -> None:
        """Send octets; lost without a word where the server is gone, which the next reply will tell."""
        if not self.closed:
            self._at().write(data)

    async def drain(self, timeout_s: float) -> None:
        """Wait until little enough waits to be sent. Raises Lost, TimedOut."""
        while self._clogged and not self.closed:
            waiter = self._drained = self._loop.create_future()
            timer = self._loop.call_later(timeout_s, self._wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._drained = None
            if self._clogged and not self.closed:
                raise TimedOut
        if self.closed:
            raise self._lost()

    def ready(self) -> Reply | None:
        """The next reply where it is here already. Raises NotSmtp."""
        return self._replies.take()

    async def reply(self, timeout_s: float) -> Reply:
        """The next reply, whole within this time. Raises NotSmtp, Lost, TimedOut."""
        found = self._replies.take()
        return found if found is not None else await self._awaited(timeout_s)

    async def _awaited(self, timeout_s: float) -> Reply:
        ends = self._loop.time() + timeout_s
        while True:
            if self.closed:
                raise self._lost()
            if self._paused:
                self._paused = False
                self._at().resume_reading()
            waiter = self._waiter = self._loop.create_future()
            timer = self._loop.call_at(ends, self._wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
            found = self._replies.take()
            if found is not None:
                return found
            if not self.closed and self._loop.time() >= ends:
                raise TimedOut

    def _lost(self) -> Lost:
        error = self._error
        if isinstance(error, ssl.SSLError):
            return TlsFailed(_reason(error))
        return Lost("closed" if error is None else type(error).__name__)

    # --- TLS ---

    def hold(self) -> bool:
        """Hear no more in clear, whose last word was the answer to STARTTLS; False where something follows it."""
        if not self.closed:
            self._at().pause_reading()
        return not self.unread

    async def start_tls(self, context: ssl.SSLContext, name: str | None) -> None:
        """Turn to TLS after `hold`; `name`: the host's, for SNI. Raises TlsFailed, Lost, TimedOut."""
        if self.closed:
            raise self._lost()
        self._upgrading = True
        try:
            secured = await self._loop.start_tls(
                self._at(), self, context, server_hostname=name, ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S
            )
        except ssl.SSLCertVerificationError as error:
            self.abort()
            raise Distrusted(error.verify_message or _reason(error)) from error
        except ssl.SSLError as error:
            self.abort()
            raise TlsFailed(_reason(error)) from error
        except TimeoutError as error:
            self.abort()
            raise TimedOut from error
        except (OSError, EOFError) as error:
            self.abort()
            if "SSL handshake is taking longer" in str(error):  # how both loops say it
                raise TimedOut from error
            raise TlsFailed("closed in the handshake") from error
        finally:
            self._upgrading = False
        if secured is None:
            raise Lost("closed in the handshake")
        self._transport = secured
        self._paused = False
        secured.set_write_buffer_limits(high=WRITE_AHEAD_OCTETS)

    @property
    def tls(self) -> ssl.SSLObject | None:
        found: ssl.SSLObject | None = self._at().get_extra_info("ssl_object")
        return found

    # --- ending ---

    def close(self, farewell: bytes = b"") -> None:
        """Send what waits and a farewell, then close without waiting for the server."""
        transport = self._at()
        if not (self.closed or transport.is_closing()):
            transport.write(farewell)
            transport.close()
            self._loop.call_later(LINGER_S, transport.abort)
        self.closed = True

    def abort(self) -> None:
        """Close at once; what waits to be sent is lost."""
        self.closed = True
        self._at().abort()


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "TLS").replace("_", " ").lower()


async def connect(host: str, port: int, timeout_s: float) -> Wire:
    """A connection to an IP address. Raises OSError, TimeoutError."""
    async with asyncio.timeout(timeout_s):
        _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
    return wire
