"""Connections that a proxy introduces: over real sockets, with TLS and without, and those that aren't introduced."""

import asyncio
from ipaddress import ip_network

import pytest

from mssmail.base.network import Network
from mssmail.servers.net import proxied
from mssmail.servers.net.listener import listening, reserve
from mssmail.servers.net.proxied import ProxiedListener
from mssmail.servers.net.stream import Stream
from tests.servers.imap.harness import LOOPS, WAIT_S, client_context, run
from tests.servers.net.test_introduction import FOUR, SIX, TLV, second
from tests.servers.net.test_stream import server_side

ONE = b"PROXY TCP4 192.0.2.9 198.51.100.1 4000 993\r\n"
HERE = (ip_network("127.0.0.0/8"),)


class Listener:
    """A proxied listener that echoes a line after the client's address; the streams it made."""

    def __init__(self, *, tls: bool, trusted: tuple[Network, ...] = HERE) -> None:
        place, self._held = reserve("imaps", "127.0.0.1", 0)
        self.port = place.port
        self.streams: list[Stream] = []
        self._server = ProxiedListener(
            listening(place),
            self._make,
            trusted,
            server_side() if tls else None,
        )

    def _make(self) -> Stream:
        self.streams.append(Stream(self._live))
        return self.streams[-1]

    async def _live(self, stream: Stream) -> None:
        line = await stream.read(WAIT_S)
        stream.write(stream.client.encode() + b" " + line)
        if line == b"STARTTLS\r\n":
            await stream.start_tls(server_side(), b"")
            stream.write(stream.client.encode() + b" secured " + await stream.read(WAIT_S))
        stream.close(1.0)

    def close(self) -> None:
        self._server.close()
        self._held.close()


async def ask(port: int, pieces: list[bytes], line: bytes, *, tls: bool) -> bytes:
    """What comes back for an introduction, in pieces, and a line behind it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(0.05)  # so that they come apart
        writer.write(piece)
    if tls:
        await writer.start_tls(client_context(), server_hostname="localhost")
    writer.write(line)
    try:
        return await asyncio.wait_for(reader.read(), WAIT_S)
    except OSError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("pieces", "client"),
    [
        ([ONE], b"192.0.2.9"),
        ([ONE[:9], ONE[9:]], b"192.0.2.9"),
        ([second(payload=FOUR + TLV)], b"192.0.2.9"),
        ([second(family=0x21, payload=SIX)], b"2001:db8::9"),
        ([second(command=0x20, family=0)], b"127.0.0.1"),
        ([b"PROXY UNKNOWN\r\n"], b"127.0.0.1"),
    ],
)
def test_introduced(loop: str, tls: bool, pieces: list[bytes], client: bytes) -> None:
    """The client that the proxy names is who counts, and its first octets arrive, a TLS handshake's too."""

    async def play() -> None:
        listener = Listener(tls=tls)
        assert await ask(listener.port, pieces, b"hello\r\n", tls=tls) == client + b" hello\r\n"
        listener.close()

    run(play(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_together(loop: str) -> None:
    """Octets in the same segment as the introduction are the client's; two clients aren't mixed up."""

    async def play() -> None:
        listener = Listener(tls=False)
        other = ONE.replace(b".9 ", b".77 ")
        both = await asyncio.gather(
            *(ask(listener.port, [intro + b"first\r\n"], b"", tls=False) for intro in (ONE, other))
        )
        assert both == [b"192.0.2.9 first\r\n", b"192.0.2.77 first\r\n"]
        listener.close()

    run(play(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_starttls(loop: str) -> None:
    """A client stays who it is through STARTTLS."""

    async def play() -> None:
        listener = Listener(tls=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(ONE + b"STARTTLS\r\n")
        assert await asyncio.wait_for(reader.readline(), WAIT_S) == b"192.0.2.9 STARTTLS\r\n"
        await writer.start_tls(client_context(), server_hostname="localhost")
        writer.write(b"again\r\n")
        assert await asyncio.wait_for(reader.readline(), WAIT_S) == b"192.0.2.9 secured again\r\n"
        writer.close()
        listener.close()

    run(play(), loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("said", "trusted", "reason"),
    [
        (b"a LOGIN x y\r\n", HERE, "malformed"),
        (ONE[:20], HERE, "silent"),
        (b"", HERE, "silent"),
        (ONE, (ip_network("192.0.2.0/24"),), "untrusted"),
    ],
)
def test_unheard(
    loop: str, said: bytes, trusted: tuple[Network, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who isn't introduced, or by nobody trusted, is closed without a word, counted, and never reaches a session."""
    monkeypatch.setattr(proxied, "PATIENCE_S", 0.2)

    async def play() -> None:
        listener = Listener(tls=False, trusted=trusted)
        count = proxied._refused.labels(reason=reason)._value
        before = count.get()
        assert await ask(listener.port, [said], b"", tls=False) == b""
        assert count.get() == before + 1
        assert listener.streams == []
        listener.close()

    run(play(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_no_tls(loop: str) -> None:
    """A handshake that fails behind the introduction ends that connection alone."""

    async def play() -> None:
        listener = Listener(tls=True)
        told = await ask(listener.port, [ONE + b"no handshake at all\r\n"], b"", tls=False)
        assert b"192.0.2.9" not in told
        assert await ask(listener.port, [ONE], b"hello\r\n", tls=True) == b"192.0.2.9 hello\r\n"
        listener.close()

    run(play(), loop)
