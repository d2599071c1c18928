"""A connection of the SMTP side: how it begins, reads, writes, waits and ends. Knows no command and no reply's meaning.

It is aiosmtpd 1.4.6's protocol class, kept for its writing end; each override names the defect it mends.

Invariants:
- One task a connection, which nobody cancels: a client that leaves cuts no commit short. It ends because reading or
  writing fails, and whoever wants it gone says so by `part`, `end` or `abort`.
- Replies wait in `_out` until the client's turn comes, so that a pipelined group costs one write (RFC 2920 §3.2).
- `_waiting` is true only while we wait for the peer; only then does the clock run against it, and only then may another
  part of the program hang up.
- Memory: `HIGH_OCTETS` and one read of the transport, whatever the peer sends.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, AnyStr, Final

from aiosmtpd.smtp import SMTP

from mssmail.base.principal import Door
from mssmail.base.refusal import Reason
from mssmail.flow.submit import Acknowledgements
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import counter
from mssmail.servers.net.tls import HANDSHAKE_TIMEOUT_S, peer_certificate
from mssmail.servers.smtp import replies
from mssmail.wire.sasl.exchange import MAX_LINE_OCTETS

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import SmtpServer

MAX_AUTH_OCTETS: Final = MAX_LINE_OCTETS + 64
"""`AUTH`, the mechanism and CRLF around an initial response (RFC 4954 §4): the longest line there is."""
MAX_SKIPPED_OCTETS: Final = 1 << 20
"""How much of one endless line is read before the connection is closed."""
HIGH_OCTETS: Final = 128 * 1024
"""With more than this unread, the peer isn't listened to until we wait for it again."""
LINGER_S: Final = 5.0
"""How long a closed connection may take to read our last words."""

# aiosmtpd logs each command at info and each line of a message at debug.
logging.getLogger("mail.log").disabled = True

_broken = counter("mssmail_smtp_handshakes_failed_total", "STARTTLS handshakes that failed.")
_log = get_logger("servers.smtp")


class Gone(Exception):
    """The peer is no longer there, or was told to go."""


class Connection(SMTP):
    """One client of a listener; `Session` obeys its lines."""

    def __init__(self, server: "SmtpServer") -> None:
        """Mends: socket.getfqdn() for each connection; limits of commands shared by all of them (ours are constants);
        `auth_require_tls`, which refuses AUTH on an implicitly encrypted connection.
        """
        self._server = server
        self._settings = server.house.settings.smtp
        super().__init__(None, enable_SMTPUTF8=True, hostname=server.house.settings.server.name, loop=server.loop)
        self.door = Door("smtp", "")
        self.uncapped = False
        """Whether numbers of connections and mails aren't capped for this client."""
        self.task: asyncio.Task[None] | None = None
        self._tls = server.role.implicit_tls
        self._buffer = bytearray()
        """What the peer sent and nobody took yet."""
        self._waiter: asyncio.Future[None] | None = None
        self._held_back = self._at_end = self._clogged = False
        self._out: list[bytes] = []
        self._waiting = self._closing = self._handshaking = False
        self._receiving = False
        """Whether a message is under way, from the 354 or the first chunk to its answer."""
        self._fresh = False
        """Whether octets have come since our last words left."""
        self._parting: bytes | None = None
        self._ended: Reason | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._at_latest = 0.0
        """When the peer's time is up however often it speaks: to sign in, or to send a message."""
        self._acks = Acknowledgements(server.house, server.readings)

    async def _obey(self, line: bytes | None) -> None:
        """Carry out a command; None for one that was too long. Raises Gone."""
        raise NotImplementedError

    async def _leave(self) -> None:
        """Let go of what a session holds."""

    async def _handle_client(self) -> None:
        """Greet, then take commands until one side has enough.

        Mends: the text of an exception sent to the client; commands and peers written to the log.
        """
        self._say(self._server.greeting)
        try:
            while not self._closing:
                await self._obey(await self._line())
                if self._parting is not None and not self._receiving:
                    self._hang_up(self._parting)
        except Gone:
            pass
        except Exception as error:  # noqa: BLE001 - ours; the connection ends, the server goes on
            failure(_log, "smtp session failed", error)
        finally:
            self._acks.lost()
            await self._leave()
            if not self._closing:
                self._writer.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Mends: no limit on connections; a second call in mid-connection, by which STARTTLS was done."""
        super(SMTP, self).connection_made(transport)
        self.transport = transport
        now = self.loop.time()
        self._at_latest = now + self._settings.timeout
        refused = self._server.arrive(self, transport)
        self._deadline = self._at_latest
        self._timer = self.loop.call_later(self._settings.timeout, self._tick)
        if refused is not None:
            self._hang_up(refused)
            return
        self.task = self.loop.create_task(self._handle_client())

    def data_received(self, data: bytes) -> None:
        """Mends: a StreamReader between the transport and us, whose copies and limit of 1001 octets we don't need."""
        self._fresh = True
        if self._closing:
            return
        self._buffer += data
        if len(self._buffer) > HIGH_OCTETS and not self._held_back:
            self._held_back = True
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _end_input(self) -> None:
        """The peer says no more, or isn't heard any more."""
        self._at_end = True
        self._wake()

    def eof_received(self) -> bool | None:
        """Mends: a half-closed connection cancelled the task, in the midst of a commit too."""
        self._end_input()
        keeps = None if self._closing else super(SMTP, self).eof_received()
        # TLS has no half-closed connections: to ask for one earns a warning in the log each time
        return None if self._tls else keeps

    def pause_writing(self) -> None:
        self._clogged = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._clogged = False
        super().resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Mends: a lost connection cancelled the task, in the midst of a commit too."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._server.left(self)
        self._end_input()
        super(SMTP, self).connection_lost(error)
        self.transport = None

    def _tick(self) -> None:
        """See whether the peer's time is up. Mends: a timer made anew for each command, none while a message comes, and
        an end without 421. One timer a connection looks at the deadline when it would have been due.
        """
        now = self.loop.time()
        if self._waiting and now >= self._deadline:
            self._hang_up(replies.TIMEOUT)
        else:
            # While the work is ours there is nothing to be late for; look again in a moment.
            self._timer = self.loop.call_later(self._deadline - now if self._waiting else 1.0, self._tick)

    def _hang_up(self, last_words: bytes = b"") -> None:
        """Write what waits and `last_words`, then close; the task finds the stream at its end."""
        if self._closing:
            return
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        transport = self._writer.transport
        if self._handshaking:
            transport.abort()
            return
        self._writer.write(b"".join(self._out) + last_words)
        self._out.clear()
        self._writer.close()
        self._timer = self.loop.call_later(LINGER_S, transport.abort)
        self._end_input()

    def end(self, reason: Reason) -> None:
        """Close because the right to be in has ended: at once, or when our own work in hand is done.

        A message that is still coming is refused; one whose commit is under way is answered as it turns out.
        """
        self._ended = reason
        self._parting = replies.ENDED
        if self._waiting:
            self._hang_up(replies.ENDED)

    def part(self, last_words: bytes) -> None:
        """Close as soon as no message is under way."""
        self._parting = self._parting or last_words
        if self._waiting and not self._receiving:
            self._hang_up(last_words)

    def abort(self) -> None:
        """Close at once, without a word."""
        self._closing = True
        self._writer.transport.abort()

    # -- reading and writing -------------------------------------------------------------------------------------

    def _say(self, reply: bytes) -> None:
        self._out.append(reply)

    async def push(self, status: AnyStr) -> None:
        """Mends: encoding, logging, a write and a drain for each line, a quarter of a small message's cost."""
        self._say((status.encode() if isinstance(status, str) else status) + b"\r\n")

    async def _more(self) -> None:
        """Send what waits, then wait until the peer has sent more into `_buffer`. Raises Gone."""
        if self._parting is not None and (self._ended is not None or not self._receiving):
            self._hang_up(self._parting)
        if self._closing:
            raise Gone
        had = len(self._buffer)
        self._deadline = min(self.loop.time() + self._settings.timeout, self._at_latest)
        self._waiting = True
        try:
            if self._out:
                self._fresh = False
                self._writer.write(b"".join(self._out) if len(self._out) > 1 else self._out[0])
                self._out.clear()
                if self._clogged:
                    await self._writer.drain()
            if self._held_back:
                self._held_back = False
                self._writer.transport.resume_reading()  # type: ignore[attr-defined]
            while len(self._buffer) == had and not self._at_end:
                self._waiter = self.loop.create_future()
                await self._waiter
        except OSError:
            raise Gone from None
        finally:
            self._waiting = False
        if len(self._buffer) == had:
            raise Gone
        if self._fresh:
            # What came after our last words left tells that they were read; what lay here before tells nothing.
            self._acks.read()

    def _take(self, most: int | None = None) -> bytes:
        """What is there, at most so many octets."""
        buffer = self._buffer
        if most is None or most >= len(buffer):
            octets = bytes(buffer)
            buffer.clear()
        else:
            octets = bytes(memoryview(buffer)[:most])
            del buffer[:most]
        return octets

    async def _line(self) -> bytes | None:
        """The next line with its LF, None where it was over MAX_AUTH_OCTETS; it is read to its end first. Raises Gone.

        Mends: readline() with the stream's limit, which raised ValueError in an exchange.
        """
        buffer, start, skipped = self._buffer, 0, 0
        while (end := buffer.find(b"\n", start)) < 0:
            if len(buffer) > MAX_AUTH_OCTETS:
                skipped += len(buffer)
                buffer.clear()
                if skipped > MAX_SKIPPED_OCTETS:
                    self._hang_up(replies.TOO_LONG)
            start = len(buffer)
            await self._more()
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        return None if skipped or len(line) > MAX_AUTH_OCTETS else line

    async def _start_tls(self) -> None:
        """Turn to TLS. Raises Gone where the handshake fails.

        Mends: asyncio's private SSLProtocol, on uvloop too (280 KB an idle connection), without a time limit. Whatever
        came in clear behind the command is dropped: it may not be the client's (RFC 3207 §5, CVE-2011-0411).
        """
        # From here on nothing more is read in clear; what was read is thrown away, as aiosmtpd does.
        if not self._held_back:
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]
        self._held_back = False
        self._buffer.clear()
        self._writer.write(b"".join(self._out) + replies.START_TLS)
        self._out.clear()
        self._deadline, self._handshaking, self._waiting = self.loop.time() + HANDSHAKE_TIMEOUT_S, True, True
        clear = self._writer.transport
        try:
            await self._writer.drain()
            secured = await self.loop.start_tls(
                clear,
                clear.get_protocol(),
                self._server.tls,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except (OSError, EOFError):
            _broken.inc()
            self.abort()
            raise Gone from None
        finally:
            self._handshaking = self._waiting = False
        if self._closing:
            raise Gone
        # a second writer would do, but that the first one's end closes what is below
        self._writer._transport = self.transport = secured  # type: ignore[attr-defined]
        self._tls = True
        self.door = Door("smtp", self.door.client, peer_certificate(self.transport))
