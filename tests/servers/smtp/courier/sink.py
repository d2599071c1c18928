"""Hosts that take mail over real sockets and TLS, as well or as badly as a test wants."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mssmail.demo.pki import Leaf

OFFERS = ("PIPELINING", "SIZE 50000000", "CHUNKING", "8BITMIME", "SMTPUTF8", "DSN")
CLOSE = b"close"
"""Instead of a reply: the connection is closed."""
HANG = b"hang"
"""Instead of a reply: nothing."""


@dataclass
class Manners:
    """How a sink behaves. Replies without CRLF, by command; `EHLO` is the one in clear, `END` the one to a message."""

    says: Mapping[str, bytes] = field(default_factory=dict)
    rcpt: Callable[[str], bytes] = lambda address: b"250 2.1.5 ok"
    clear: tuple[str, ...] = ("STARTTLS",)
    offers: tuple[str, ...] = OFFERS
    behind_starttls: bytes = b""
    """Slipped in behind the 220 to STARTTLS, in clear."""
    after: Callable[[str], bytes | None] = lambda command: None
    """Asked at each command under TLS; what it returns goes before `says`."""


@dataclass
class Message:
    """One that a sink took."""

    mail: str
    rcpts: list[str]
    octets: bytes
    by: str
    """DATA or BDAT."""


def server_tls(leaf: Leaf, anchors: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that it may show what a good host wouldn't
    context.load_cert_chain(leaf.cert, leaf.key)
    if anchors is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(anchors)
    return context


class Sink:
    """`open` it, then `close`."""

    def __init__(self, context: ssl.SSLContext, manners: Manners | None = None) -> None:
        self.context = context
        self.manners = manners or Manners()
        self.messages: list[Message] = []
        self.commands: list[str] = []
        self.connections = 0
        self.open_now = 0
        self.port = 0
        self.peer: bytes | None = None
        self.deaf = False
        """Whether it stops reading once a message by DATA begins."""
        self.held = asyncio.Event()
        """Set when a sink has begun to say nothing."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> "Sink":
        self._server = await asyncio.start_server(self._serve, host, port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def left(self) -> None:
        """Wait until nobody is connected any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_now += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            await Dialogue(self, reader, writer).run()
        self.open_now -= 1
        writer.transport.abort()
        self._tasks.discard(task)


class Closing(ConnectionError):
    """The sink closes."""


class Dialogue:
    """One connection to a sink."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._reader = reader
        self._writer = writer
        self._tls = False
        self._mail = ""
        self._rcpts: list[str] = []
        self._chunks: list[bytes] = []

    async def run(self) -> None:
        await self._say("GREETING", b"220 sink.example ESMTP")
        while line := await self._reader.readline():
            await self._obey(line.decode().rstrip("\r\n"))

    async def _say(self, command: str, default: bytes) -> bool:
        """Whether the reply was a yes."""
        manners = self._sink.manners
        reply = (manners.after(command) if self._tls else None) or manners.says.get(command, default)
        if reply == HANG:
            self._sink.held.set()
            await asyncio.Event().wait()
        if reply == CLOSE:
            raise Closing
        self._writer.write(reply + b"\r\n")
        await self._writer.drain()
        return reply[:1] in (b"2", b"3")

    async def _obey(self, line: str) -> None:
        self._sink.commands.append(line)
        match line.split(maxsplit=1)[0].upper():
            case "EHLO":
                lines = ["sink.example", *(self._sink.manners.offers if self._tls else self._sink.manners.clear)]
                text = "\r\n".join(
                    f"250{' ' if at == len(lines) - 1 else '-'}{each}" for at, each in enumerate(lines)
                ).encode()
                await self._say("HELLO" if self._tls else "EHLO", text)
            case "STARTTLS":
                await self._start_tls()
            case "MAIL":
                if await self._say("MAIL", b"250 2.1.0 ok"):
                    self._mail, self._rcpts, self._chunks = line, [], []
            case "RCPT":
                address = line.partition("<")[2].partition(">")[0]
                if not self._mail:
                    await self._say("RCPT", b"503 5.5.1 MAIL first")
                elif await self._say("RCPT", self._sink.manners.rcpt(address)):
                    self._rcpts.append(line)
            case "DATA":
                await self._data()
            case "BDAT":
                await self._bdat(line)
            case "RSET":
                self._mail = ""
                await self._say("RSET", b"250 2.0.0 ok")
            case "QUIT":
                await self._say("QUIT", b"221 2.0.0 bye")
                raise Closing
            case _:
                await self._say("", b"500 5.5.1 what")

    async def _start_tls(self) -> None:
        if not await self._say("STARTTLS", b"220 2.0.0 go"):
            return
        if self._sink.manners.behind_starttls:
            self._writer.write(self._sink.manners.behind_starttls)
            await self._writer.drain()
        await self._writer.start_tls(self._sink.context)
        self._tls = True
        tls = self._writer.get_extra_info("ssl_object")
        self._sink.peer = tls.getpeercert(True)

    async def _data(self) -> None:
        if not self._rcpts:
            await self._say("NODATA", b"554 5.5.1 no valid recipients")
            return
        if not await self._say("DATA", b"354 go"):
            return
        if self._sink.deaf:
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.Event().wait()
        lines: list[bytes] = []
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        await self._end(b"".join(lines), "DATA")

    async def _bdat(self, line: str) -> None:
        words = line.split()
        octets = await self._reader.readexactly(int(words[1]))
        if not self._rcpts:
            await self._say("NOBDAT", b"503 5.5.1 RCPT first")
            return
        self._chunks.append(octets)
        if words[2:] == ["LAST"]:
            await self._end(b"".join(self._chunks), "BDAT")
        else:
            await self._say("BDAT", b"250 2.0.0 so far")

    async def _end(self, octets: bytes, by: str) -> None:
        message = Message(self._mail, self._rcpts, octets, by)
        self._mail, self._rcpts = "", []
        if await self._say("END", b"250 2.0.0 taken as 1"):
            self._sink.messages.append(message)
