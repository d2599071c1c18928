"""The metrics page: `GET /metrics`, in the Prometheus text format, over plain HTTP on loopback."""

import asyncio
from collections.abc import Callable
from typing import cast

MAX_REQUEST_OCTETS = 8192
TIMEOUT_S = 10.0


class MetricsServer:
    """Serves one page; makes a protocol for each connection."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render

    def factory(self) -> asyncio.Protocol:
        return _Request(self._render)


class _Request(asyncio.Protocol):
    """One request, one answer, then the connection ends."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._timeout = asyncio.get_running_loop().call_later(TIMEOUT_S, self._transport.abort)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._timeout is not None:
            self._timeout.cancel()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return  # answered already
        self._head += data
        if b"\r\n\r\n" in self._head or b"\n\n" in self._head:
            self._answer()
        elif len(self._head) > MAX_REQUEST_OCTETS:
            self._send(b"431 Request Header Fields Too Large", b"")

    def _answer(self) -> None:
        words = bytes(self._head.split(b"\n", 1)[0]).split()
        if len(words) < 2 or words[0] not in (b"GET", b"HEAD"):
            return self._send(b"405 Method Not Allowed", b"")
        if words[1].split(b"?")[0] not in (b"/metrics", b"/"):
            return self._send(b"404 Not Found", b"")
        body = self._render()
        return self._send(b"200 OK", body, without_body=words[0] == b"HEAD")

    def _send(self, status: bytes, body: bytes, *, without_body: bool = False) -> None:
        assert self._transport is not None
        head = b"HTTP/1.1 %b\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" % status
        head += b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        self._transport.write(head if without_body else head + body)
        self._transport.close()
