"""One HTTP/1.1 connection: uvicorn's protocol on httptools, with what it lacks on a port that anybody may call.

- The certificate that the peer showed and TLS chained to an anchor is in `scope["extensions"]["tls"]["certificate"]`.
- Heads and bodies have limits, counted in octets as they come, so that neither endless fields nor endless chunk
  extensions cost memory: 431 and 413 (RFC 6585 §5, RFC 9110 §15.5.14).
- Each phase has a deadline that no trickle of octets puts off: head, body, answer, and silence between requests.
- At most `MOST_PIPELINED` requests wait behind the one that is served.

Reaches into attributes of uvicorn's class, which is why its version is pinned.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mssmail.servers.net.peer import address_of
from mssmail.servers.net.tls import peer_certificate

if TYPE_CHECKING:
    from mssmail.servers.web.server import WebServer

MAX_HEAD_OCTETS: Final = 32 * 1024
"""Cookies and an authorization request's query are the largest things in one; some servers stop at 8 KiB."""
MAX_BODY_OCTETS: Final = 64 * 1024
"""Forms are the only bodies there are."""
HEAD_S: Final = 10.0
BODY_S: Final = 20.0
ANSWER_S: Final = 60.0
"""From a request's end to the last octet of its answer, a password's turn at Argon2 and a slow reader included."""
IDLE_S: Final = 30.0
MOST_PIPELINED: Final = 4

_OVERHEAD_OCTETS: Final = 16 * 1024
"""Of chunked coding, for which a body of single octets needs six times its size; beyond that it is an attack."""


class _Refused(Exception):
    """Ends the parsing of a request that isn't served."""


class Connection(HttpToolsProtocol):
    """A connection, known to its server from its first moment to its last."""

    def __init__(self, server: "WebServer", config: Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._server = server
        self._deadline: asyncio.TimerHandle | None = None
        self._octets = 0
        """Of the present message."""
        self._in_head = True
        self.address = ""
        self._certificate: bytes | None = None

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = address_of(transport)
        self._certificate = peer_certificate(transport)
        self.client = (self.address, 0)
        if not self._server.arrive(self):
            self.refuse(b"503 Service Unavailable")
        else:
            self._within(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._server.left(self)
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Close: nobody half-closes and waits for an answer."""

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._octets += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._octets > MAX_HEAD_OCTETS:
            self.refuse(b"431 Request Header Fields Too Large")
        elif self._octets > MAX_HEAD_OCTETS + MAX_BODY_OCTETS + _OVERHEAD_OCTETS and self._is_coming():
            self.refuse(b"413 Content Too Large")

    def _is_coming(self) -> bool:
        """Whether a body isn't all there."""
        return self.cycle is not None and self.cycle.more_body

    def refuse(self, status: bytes) -> None:
        """Answer without a request that could be served, and close."""
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self.transport.close()
            self._within(1.0)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or was refused already; what is wrong with it isn't told."""
        self.refuse(b"400 Bad Request")

    # --- the parser's calls ---

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise _Refused
        super().on_message_begin()
        self._octets, self._in_head = 0, True
        cast("dict[str, Any]", self.scope)["extensions"] = {"tls": {"certificate": self._certificate}}

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_OCTETS:
            self.refuse(b"431 Request Header Fields Too Large")
            raise _Refused
        super().on_headers_complete()
        self._octets, self._in_head = 0, False
        self._within(BODY_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; trailers behind a body are dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._within(ANSWER_S)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._within(ANSWER_S if self._waits() else IDLE_S)

    def _waits(self) -> bool:
        """Whether the next request is served already."""
        return self.cycle is not None and not self.cycle.response_complete

    # --- deadlines ---

    def _within(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Close at once. asyncio of CPython 3.11.2 fails where TLS has just ended and the loop hasn't told yet."""
        with contextlib.suppress(AttributeError):
            self.transport.abort()
