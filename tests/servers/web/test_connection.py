"""Connections of the HTTPS port under peers that send too much, too slowly, too often or nonsense."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from mssmail.servers.web import connection, server
from mssmail.servers.web.pages import STYLE
from tests.servers.web.portal import Portal

PATIENCE_S = 10.0
GET = b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n"


@asynccontextmanager
async def peer(portal: Portal) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", portal.port, ssl=portal.tls(), server_hostname="localhost"
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All until the server closes, as it must."""
    try:
        return await asyncio.wait_for(reader.read(-1), PATIENCE_S)
    except (ConnectionError, OSError):
        return b""


async def alive(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/style.css")).status_code == 200


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET \xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n",
    ],
)
async def test_nonsense(portal: Portal, browser: httpx.AsyncClient, octets: bytes) -> None:
    """What is no request that we serve is refused in one short answer, and the connection ends."""
    async with peer(portal) as (reader, writer):
        writer.write(octets)
        writer.write_eof() if writer.can_write_eof() else None
        told = await rest(reader) if b"CONNECT" not in octets else b"HTTP/1.1 4"
        assert told.startswith((b"HTTP/1.1 4", b"")) and b"Traceback" not in told and len(told) < 3000
    assert await alive(browser)


async def test_large_body(browser: httpx.AsyncClient) -> None:
    """A body of a megabyte is refused, told length or none, and costs no more than its first part."""
    form = {"content-type": "application/x-www-form-urlencoded"}

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(16):
            yield b"a" * 65_536

    for path in ("/oauth/token", "/sign-in", "/oauth/revoke"):
        for content in (b"a=" + b"b" * (1 << 20), chunks()):
            try:
                sent = await browser.post(path, content=content, headers=form)
            except httpx.TransportError:
                continue  # it was closed while it sent
            assert sent.status_code == 413
    assert await alive(browser)


@pytest.mark.parametrize(
    "head",
    [
        GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
        GET + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 300_000,
        GET + b"X: " + b"a" * 300_000,
    ],
)
async def test_large_head(portal: Portal, browser: httpx.AsyncClient, head: bytes) -> None:
    """A head beyond 32 KiB is refused, whole or without an end."""
    async with peer(portal) as (reader, writer):
        writer.write(head)
        assert (await rest(reader)).startswith((b"HTTP/1.1 431 ", b""))
    assert await alive(browser)


async def test_chunk_extensions(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Octets of chunked coding count like others: endless extensions end the connection."""
    async with peer(portal) as (reader, writer):
        writer.write(b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n")
        writer.write(b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            writer.write(b"1;" + b"e" * 8000 + b"\r\na\r\n")
        told = await rest(reader)
        assert b" 200 " not in told
    assert await alive(browser)


@pytest.mark.parametrize("sent", [b"", b"G", GET, GET + b"Content-Length: 10\r\n\r\nabc"])
async def test_slow(portal: Portal, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Whoever trickles octets is cut off at the phase's deadline, which no octet puts off."""
    for name in ("HEAD_S", "BODY_S", "ANSWER_S", "IDLE_S"):
        monkeypatch.setattr(connection, name, 0.3)
    async with peer(portal) as (reader, writer):
        writer.write(sent)

        async def trickle() -> None:
            while not writer.is_closing():
                writer.write(b"x" if sent else b"")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        try:
            assert b" 500 " not in await rest(reader)
        finally:
            task.cancel()


async def test_idle(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that asks nothing more is closed after a while, and serves until then."""
    monkeypatch.setattr(connection, "IDLE_S", 0.3)
    async with peer(portal) as (reader, writer):
        for _ in range(2):
            writer.write(GET + b"\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(len(STYLE))
        assert (await rest(reader)).count(b"HTTP/1.1") == 0


async def test_pipelined(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Some requests may be sent ahead and are answered in order; thousands end the connection."""
    async with peer(portal) as (reader, writer):
        writer.write((GET + b"\r\n") * 3 + GET + b"Connection: close\r\n\r\n")
        assert (await rest(reader)).count(b"HTTP/1.1 200 OK") == 4
    async with peer(portal) as (reader, writer):
        writer.write((GET + b"\r\n") * 4000)
        assert (await rest(reader)).count(b"HTTP/1.1 200 OK") < 50
    assert await alive(browser)


async def test_too_many_connections(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections beyond the limit of an address, or of all, hear 503 and are closed; places come free again."""
    portal.change(server={"loopback_unlimited": False}, web={"max_connections_per_address": 2})
    async with peer(portal), peer(portal), peer(portal) as (reader, _):
        assert (await rest(reader)).startswith(b"HTTP/1.1 503 ")
    portal.change(server={"loopback_unlimited": True})
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)
    await asyncio.sleep(0)
    async with portal.browser() as one:
        while not await _taken(one):
            pass


async def _taken(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/style.css")).status_code == 200


async def test_websocket(browser: httpx.AsyncClient) -> None:
    """An upgrade isn't made: the request is answered as if none was asked for."""
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": "x", "sec-websocket-version": "13"}
    assert (await browser.get("/style.css", headers=headers)).status_code == 200
    assert await alive(browser)


async def test_close(portal: Portal) -> None:
    """When the server stops, idle connections end and new ones are turned away."""
    async with peer(portal) as (reader, writer):
        writer.write(GET + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await portal.web.close(1.0)
        assert b"HTTP/1.1" not in await rest(reader)
