"""A connection: bounded reading, timed waits, TLS started without what was injected before it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from mssmail.servers.net.stream import READ_AHEAD_OCTETS, Closed, Injected, Stream, TimedOut
from tests.servers.imap.harness import LOOPS, WAIT_S, client_context, run, server_leaf

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_leaf().cert, server_leaf().key)
    return context


async def between(
    life: Callable[[Stream], Awaitable[object]], talk: Talk, *, context: ssl.SSLContext | None = None
) -> object:
    """Let `life` and `talk` hold the two ends of a connection; what `life` returned or raised."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[object] = loop.create_future()

    async def lived(stream: Stream) -> None:
        try:
            outcome.set_result(await life(stream))
        except Exception as error:
            outcome.set_result(error)
        stream.close(1.0)

    server = await loop.create_server(lambda: Stream(lived), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    client = None if context is None else client_context()
    name = None if context is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
    try:
        await asyncio.wait_for(talk(reader, writer), WAIT_S)
        return await asyncio.wait_for(outcome, WAIT_S)
    finally:
        writer.close()
        server.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("secured", [False, True])
def test_flood(loop: str, secured: bool) -> None:
    """A peer that sends megabytes to somebody who doesn't read fills neither memory nor the reader's patience."""
    total = 4 << 20
    go = asyncio.Event()

    async def life(stream: Stream) -> object:
        await asyncio.wait_for(go.wait(), WAIT_S)
        first = len(await stream.read(WAIT_S))
        ahead = first + stream._buffered
        got = first
        while got < total:
            got += len(await stream.read(WAIT_S))
        return ahead, got

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=total + 1)
        writer.write(bytes(total))
        for _ in range(200):
            await asyncio.sleep(0)
        go.set()
        await writer.drain()
        await reader.read()

    outcome = run(between(life, talk, context=server_side() if secured else None), loop)
    assert isinstance(outcome, tuple)
    ahead, got = outcome
    assert got == total
    assert ahead <= READ_AHEAD_OCTETS + 2 * 262_144


@pytest.mark.parametrize("loop", LOOPS)
def test_patience(loop: str) -> None:
    """A silent peer, and one that takes nothing, each end a wait at its limit."""

    async def life(stream: Stream) -> object:
        with pytest.raises(TimedOut):
            await stream.read(0.01)
        with pytest.raises(TimedOut):
            while True:
                stream.write(bytes(1 << 20))
                await stream.drain(0.01)
        stream.abort()
        with pytest.raises(Closed):
            await stream.read(WAIT_S)
        with pytest.raises(Closed):
            await stream.drain(WAIT_S)
        return "done"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]

    assert run(between(life, talk), loop) == "done"


@pytest.mark.parametrize("loop", LOOPS)
def test_nudge(loop: str) -> None:
    """A nudge ends a wait, whether it came before or during it, once."""

    async def life(stream: Stream) -> object:
        stream.nudge()
        before = await stream.wait(WAIT_S)
        asyncio.get_running_loop().call_soon(stream.nudge)
        during = await stream.wait(WAIT_S)
        return before, during, await stream.wait(0.01), stream.readable

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    assert run(between(life, talk), loop) == (True, True, False, False)


@pytest.mark.parametrize("loop", LOOPS)
def test_start_tls(loop: str) -> None:
    """What follows the handshake at once arrives, and arrives over TLS."""

    async def life(stream: Stream) -> object:
        assert await stream.read(WAIT_S) == b"STARTTLS\r\n"
        await stream.start_tls(server_side(), b"OK\r\n")
        stream.write(b"secret\r\n")
        return await stream.read(WAIT_S)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"STARTTLS\r\n")
        assert await reader.readline() == b"OK\r\n"
        await writer.start_tls(client_context(), server_hostname="localhost")
        writer.write(b"hello\r\n")
        assert await reader.readline() == b"secret\r\n"
        assert writer.get_extra_info("cipher") is not None

    assert run(between(life, talk), loop) == b"hello\r\n"


@pytest.mark.parametrize("loop", LOOPS)
def test_injected(loop: str) -> None:
    """Clear text that came behind STARTTLS in a piece of its own ends the connection before any handshake."""

    arrived = asyncio.Event()

    async def life(stream: Stream) -> object:
        first = await stream.read(WAIT_S)
        arrived.set()
        while not stream.readable:
            await stream.wait(WAIT_S)
        assert first == b"STARTTLS\r\n"
        await stream.start_tls(server_side(), b"OK\r\n")
        return "unreached"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"STARTTLS\r\n")
        await arrived.wait()
        writer.write(b"LOGIN mallory x\r\n")
        assert await reader.read() == b""

    assert isinstance(run(between(life, talk), loop), Injected)


@pytest.mark.parametrize("loop", LOOPS)
def test_no_handshake(loop: str) -> None:
    """A peer that says no TLS after STARTTLS is closed."""

    async def life(stream: Stream) -> object:
        await stream.read(WAIT_S)
        await stream.start_tls(server_side(), b"OK\r\n")
        return "unreached"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"STARTTLS\r\n")
        assert await reader.readline() == b"OK\r\n"
        writer.write(b"this is no TLS at all, and never will be\r\n")
        await reader.read()

    assert isinstance(run(between(life, talk), loop), Closed)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("secured", [False, True])
def test_written_after_the_end(loop: str, secured: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Who writes on when the peer has said its last is told by `drain`; the loop has nothing to complain of."""

    async def life(stream: Stream) -> object:
        with pytest.raises(Closed):
            await stream.read(WAIT_S)
        for _ in range(50):
            stream.write(b"x" * 1000)
        await stream.drain(WAIT_S)
        return None

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    ended = run(between(life, talk, context=server_side() if secured else None), loop)
    assert isinstance(ended, Closed)
    assert not caplog.records
