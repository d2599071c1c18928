"""Listening behind a proxy: each connection is introduced first, and counts as the client's that the proxy names.

The introduction is looked at in the socket before it is taken out, and exactly it: a TLS handshake may stand right
behind it, and goes to the protocol untouched. A connection from an address that isn't trusted, one that doesn't begin
with an introduction within `PATIENCE_S`, and a malformed one are closed without a word, and counted.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from mssmail.base.network import Network
from mssmail.metrics.logs import get_logger
from mssmail.metrics.registry import counter
from mssmail.servers.net.introduction import MOST_OCTETS, Introduction, Malformed, read
from mssmail.servers.net.peer import introduced, spelled
from mssmail.servers.net.tls import HANDSHAKE_TIMEOUT_S

PATIENCE_S: Final = 5.0
"""The proxy sends it with the first segment: more than a lost one sent again is no proxy."""
LOOK_AGAIN_S: Final = 0.02
"""While part of it is there, nothing tells when more has come but looking."""
MOST_WAITING: Final = 1_000
"""Connections whose introduction is awaited."""
OUT_OF_SOCKETS_S: Final = 0.5

_refused = counter(
    "mssmail_proxy_refused_total", "Connections behind the proxy that were closed unheard.", labels=("reason",)
)
_log = get_logger("servers.net")

Factory = Callable[[], asyncio.BaseProtocol]


class _Unheard(Exception):
    """Close the connection; the reason is a label."""


class ProxiedListener:
    """A listening socket whose connections come through a proxy. In place of `loop.create_server`."""

    def __init__(
        self, sock: socket.socket, factory: Factory, trusted: Sequence[Network], tls: ssl.SSLContext | None
    ) -> None:
        """`sock` listens already. `tls`: the context where TLS is implicit; else None. On the loop."""
        self._sock = sock
        self._factory = factory
        self._trusted = tuple(trusted)
        self._tls = tls
        self._waiting: set[asyncio.Task[None]] = set()
        self._task = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Take nothing new; connections that were handed over stay."""
        self._task.cancel()
        for task in list(self._waiting):
            task.cancel()
        self._sock.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                conn, address = await loop.sock_accept(self._sock)
            except OSError as error:  # out of file descriptors, as a rule: those who wait are waited for
                _log.warning("nothing can be accepted", why=error.strerror or "")
                await asyncio.sleep(OUT_OF_SOCKETS_S)
                continue
            if len(self._waiting) >= MOST_WAITING:
                _refused.labels(reason="too-many").inc()
                conn.close()
                continue
            task = loop.create_task(self._introduce(conn, str(address[0])))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _introduce(self, conn: socket.socket, proxy: str) -> None:
        conn.setblocking(False)
        try:
            if not self._is_trusted(proxy):
                raise _Unheard("untrusted")
            async with asyncio.timeout(PATIENCE_S):
                introduction = await _read(conn)
        except (_Unheard, TimeoutError, OSError) as error:
            _refused.labels(reason=str(error) if isinstance(error, _Unheard) else "silent").inc()
            conn.close()
            return
        except asyncio.CancelledError:
            conn.close()
            raise
        # The task's own context, which the transport takes over: see `peer.address_of`.
        introduced.set(introduction.client)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, ssl.SSLError, EOFError):
            await loop.connect_accepted_socket(
                self._factory,
                conn,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_TIMEOUT_S,
            )

    def _is_trusted(self, proxy: str) -> bool:
        address = ipaddress.ip_address(spelled(proxy))
        return any(address in network for network in self._trusted)


async def _read(conn: socket.socket) -> Introduction:
    """Take the introduction out of the socket, and nothing behind it. Raises _Unheard, OSError."""
    seen = 0
    while True:
        try:
            octets = conn.recv(MOST_OCTETS, socket.MSG_PEEK)
        except BlockingIOError:
            await _readable(conn)
            continue
        if not octets:
            raise _Unheard("silent")
        try:
            found = read(octets)
        except Malformed:
            raise _Unheard("malformed") from None
        if found is not None:
            conn.recv(found.octets)
            return found
        if len(octets) == seen:
            await asyncio.sleep(LOOK_AGAIN_S)
        seen = len(octets)


async def _readable(conn: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()
    loop.add_reader(conn, lambda: None if arrived.done() else arrived.set_result(None))
    try:
        await arrived
    finally:
        loop.remove_reader(conn)
