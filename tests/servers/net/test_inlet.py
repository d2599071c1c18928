"""A listener's connections read into one buffer and get each their own octets, in clear, by TLS and after STARTTLS."""

import asyncio
import ssl

import pytest

from mssmail.servers.net.inlet import READ_OCTETS, through_inlets
from mssmail.servers.net.stream import Closed, Stream
from tests.servers.imap.harness import LOOPS, WAIT_S, client_context, run
from tests.servers.net.test_stream import server_side

OCTETS = 3 * READ_OCTETS + 17


async def _read(stream: Stream) -> bytes:
    got = b""
    while len(got) < OCTETS:
        got += await stream.read(WAIT_S)
    return got


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["clear", "implicit", "starttls"])
def test_octets(loop: str, how: str) -> None:
    """Two peers that send at the same time are never mixed up, and each gets an answer and an end."""
    context = server_side()

    async def life(stream: Stream) -> None:
        if how == "starttls":
            await stream.read(WAIT_S)
            await stream.start_tls(context, b"go\r\n")
        got = await _read(stream)
        stream.write(bytes({got[0]}) if set(got) == {got[0]} else b"mixed")
        await stream.drain(WAIT_S)
        with pytest.raises(Closed):
            await stream.read(WAIT_S)
        stream.close(1.0)

    async def talk(port: int, octet: bytes) -> bytes:
        secured: ssl.SSLContext | None = client_context() if how == "implicit" else None
        name = None if secured is None else "localhost"
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secured, server_hostname=name)
        if how == "starttls":
            writer.write(b"STARTTLS\r\n")
            await reader.readline()
            await writer.start_tls(client_context(), server_hostname="localhost")
        for start in range(0, OCTETS, 9_973):
            writer.write(octet * min(9_973, OCTETS - start))
            await writer.drain()
            await asyncio.sleep(0)
        answered = await reader.read(16)
        writer.close()
        return answered

    async def main() -> None:
        factory = through_inlets(lambda: Stream(life))
        implicit = context if how == "implicit" else None
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=implicit)
        port = server.sockets[0].getsockname()[1]
        octets = [b"a", b"b", b"c"]
        answered = await asyncio.wait_for(asyncio.gather(*(talk(port, octet) for octet in octets)), WAIT_S)
        assert answered == octets
        server.close()

    run(main(), loop)
