"""HTTP calls out with bounds: verified TLS, a limit on size and on time, an end when told. Blocks; for a thread of its
own.

Knows addresses, redirections and validators (RFC 9110 §13); nothing of what is fetched. In clear only where a caller
asks for it, for what is signed itself: revocation lists, OCSP. Whatever the peer does, drip octets, never answer,
announce one length and send another, a call ends within its limits and raises a Refusal whose detail names the host and
never the address, which may hold a token.
"""

import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal

IDLE_S: Final = 30.0
"""Silence after which a connection is given up."""
WATCH_S: Final = 0.25
CHUNK_OCTETS: Final = 1 << 18
MAX_REDIRECTS: Final = 5
MAX_DOWNLOAD_OCTETS: Final = 2 << 30
"""Twice the activity file unpacked."""
MAX_DOWNLOAD_S: Final = 3600.0
"""The activity file at 2 Mbit/s."""
_NAME: Final = re.compile(r'filename="?([A-Za-z0-9][A-Za-z0-9._-]{0,127})"?(?:;|\Z)')


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of the version that it sent; sent back, they let it answer that nothing changed."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose body isn't read yet."""

    status: int
    headers: http.client.HTTPMessage
    body: http.client.HTTPResponse
    address: str
    """Where it came from in the end."""


class Caller:
    """Connections to HTTP servers, one at a time, kept open between calls to the same host; a context manager.

    All calls together take `total_s` at most. `stop`: ends whatever is under way.
    """

    def __init__(
        self, clock: Clock, stop: Event, total_s: float, authorities: Path | None = None, *, allow_clear: bool = False
    ) -> None:
        """`authorities`: a PEM file in the system's stead; `allow_clear`: http:// is called too."""
        self._authorities = authorities
        self._tls: ssl.SSLContext | None = None
        self._clock = clock
        self._stop = stop
        self._total_s = total_s
        self._idle_s = min(IDLE_S, total_s)
        self._schemes = ("https", "http") if allow_clear else ("https",)
        self._until = clock.monotonic() + total_s
        self._done = Event()
        self._host: tuple[str, str, int] | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._watcher = Thread(target=self._watch, name="mssmail-fetch-watch", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._drop()
        self._watcher.join()

    def get(self, address: str, headers: Mapping[str, str]) -> Response:
        """Ask once, following no redirection; read `body` to its end, or `read` it, before the next call.

        Raises Refusal(UNAVAILABLE).
        """
        return self._call("GET", address, headers, None)

    def post(self, address: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Send octets, likewise. May be sent twice where a kept connection breaks."""
        return self._call("POST", address, headers, body)

    def split(self, address: str) -> SplitResult:
        """An address in its parts. Raises Refusal(UNAVAILABLE) for one that isn't called, or has a name in it."""
        try:
            where = urlsplit(address)
            usable = where.scheme in self._schemes and where.hostname and "@" not in where.netloc and where.port != 0
        except ValueError:
            usable = False
        if not usable or not address.isascii() or not address.isprintable() or " " in address:
            words = " or ".join(f"{scheme}://host/…" for scheme in self._schemes)
            raise Refusal(Reason.UNAVAILABLE, f"an address that isn't {words}, or a redirection to one")
        return where

    def _call(self, method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        where = self.split(address)
        host = where.hostname or ""
        path = (where.path or "/") + (f"?{where.query}" if where.query else "")
        place = (where.scheme, host, where.port or (443 if where.scheme == "https" else 80))
        if self._host != place:
            self._drop()
        fresh = self._connection is None
        try:
            try:
                return self._ask(place, method, path, headers, body, address)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if fresh or self._ending():
                    raise
                self._drop()  # a server may close a kept connection at any moment
                return self._ask(place, method, path, headers, body, address)
        except (OSError, http.client.HTTPException, ValueError) as e:
            self._drop()
            raise self._refusal(host, e) from e

    def read(self, response: Response, most: int) -> Iterator[bytes]:
        """The body in chunks. Raises Refusal(UNAVAILABLE) where it is longer than `most` octets, or cut short."""
        host, count = urlsplit(response.address).hostname or "", 0
        announced = response.body.length
        if announced is not None and announced > most:
            self._drop()
            raise Refusal(Reason.UNAVAILABLE, f"{host}: would send more than {most} octets")
        try:
            while chunk := response.body.read(CHUNK_OCTETS):
                count += len(chunk)
                if count > most:
                    self._drop()
                    raise Refusal(Reason.UNAVAILABLE, f"{host}: sends more than {most} octets")
                if self._ending():
                    raise ConnectionAbortedError
                yield chunk
        except (OSError, http.client.HTTPException, ValueError) as e:
            self._drop()
            raise self._refusal(host, e) from e
        if announced is not None and count != announced:
            self._drop()
            raise self._refusal(host, http.client.IncompleteRead(b""))

    def _ask(
        self,
        place: tuple[str, str, int],
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        address: str,
    ) -> Response:
        if self._ending():
            raise ConnectionAbortedError
        connection = self._connection
        if connection is None or connection.sock is None:
            connection = self._connect(place)
        connection.request(method, path, body, {"Accept-Encoding": "identity", **headers})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer, address)

    def _connect(self, place: tuple[str, str, int]) -> http.client.HTTPConnection:
        """Connect here and not in http.client, so that the watcher can end the handshake, and a body that closes."""
        scheme, host, port = place
        tls = self._context() if scheme == "https" else None
        plain = socket.create_connection((host, port), self._idle_s)
        self._host = place
        if tls is None:
            connection = self._connection = http.client.HTTPConnection(host, port, timeout=self._idle_s)
            self._socket = connection.sock = plain
            return connection
        connection = self._connection = http.client.HTTPSConnection(host, port, timeout=self._idle_s, context=tls)
        secured = tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self._socket = connection.sock = secured
        secured.do_handshake()
        return connection

    def _context(self) -> ssl.SSLContext:
        """Made at the first call over TLS: reading the system's authorities takes 20 ms, and calls in clear need none.

        Raises Refusal(UNAVAILABLE) where the authorities can't be read.
        """
        if self._tls is None:
            authorities = self._authorities
            try:
                self._tls = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
            except (OSError, ValueError) as e:
                name = "the system's authorities" if authorities is None else authorities.name
                raise Refusal(Reason.UNAVAILABLE, f"{name}: {_words(e)}") from e
        return self._tls

    def _ending(self) -> bool:
        return self._stop.is_set() or self._clock.monotonic() >= self._until

    def _watch(self) -> None:
        """End a call that blocks when told to stop or when time is up: timeouts of a socket count from each octet."""
        while not self._done.wait(WATCH_S):
            open_socket = self._socket
            if self._ending() and open_socket is not None:
                with contextlib.suppress(OSError):
                    # of the plain socket: TLS's own shutdown isn't made for another thread
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)

    def _drop(self) -> None:
        connection, open_socket = self._connection, self._socket
        self._connection, self._socket, self._host = None, None, None
        if connection is not None:
            connection.close()
        if open_socket is not None:
            open_socket.close()

    def _refusal(self, host: str, error: Exception) -> Refusal:
        if self._stop.is_set():
            return Refusal(Reason.UNAVAILABLE, f"{host}: stopped")
        if self._clock.monotonic() >= self._until:
            return Refusal(Reason.UNAVAILABLE, f"{host}: took longer than {self._total_s:.0f} s")
        return Refusal(Reason.UNAVAILABLE, f"{host}: {_words(error)}")


@dataclass(frozen=True, slots=True)
class Download:
    """A file fetched, and what to send back the next time."""

    path: Path
    validators: Validators


def download(caller: Caller, address: str, folder: Path, known: Validators) -> Download | None:
    """Fetch an address into `folder` under the name the server gives it; None where nothing changed.

    Follows redirections. Raises Refusal(UNAVAILABLE, STORAGE_FULL).
    """
    response = follow(caller, address, known)
    if response is None:
        return None
    path = folder / _file_name(response)
    try:
        path.touch(mode=0o600)
        with path.open("wb") as file:
            for chunk in caller.read(response, MAX_DOWNLOAD_OCTETS):
                file.write(chunk)
    except OSError as e:
        full = e.errno in (28, 122)  # ENOSPC, EDQUOT
        raise Refusal(Reason.STORAGE_FULL if full else Reason.UNAVAILABLE, f"{path.name}: {e.strerror}") from e
    return Download(path, validators_of(response))


def follow(caller: Caller, address: str, known: Validators) -> Response | None:
    """The answer that an address and its redirections lead to; None where nothing changed. Raises Refusal(UNAVAILABLE).

    Its status is 200, its body still to be `read`.
    """
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    headers = {name: value for name, value in conditions.items() if value}
    for _ in range(MAX_REDIRECTS + 1):
        response = caller.get(address, headers)
        if response.status in (301, 302, 303, 307, 308):
            for _chunk in caller.read(response, CHUNK_OCTETS):
                pass
            address = urljoin(address, response.headers.get("Location", ""))
            continue
        break
    else:
        raise Refusal(Reason.UNAVAILABLE, f"{caller.split(address).hostname}: redirects without end")
    host = caller.split(address).hostname
    if response.status == 304 and headers:
        response.body.read()
        return None
    if response.status != 200:
        raise Refusal(Reason.UNAVAILABLE, f"{host}: answers {response.status}")
    return response


def validators_of(response: Response) -> Validators:
    """What to send back the next time."""
    return Validators(_header(response, "ETag"), _header(response, "Last-Modified"))


def _header(response: Response, name: str) -> str:
    """A header's value as it may be sent back: short and printable, else empty."""
    value = response.headers.get(name, "")
    return value if len(value) <= 256 and value.isprintable() and value.isascii() else ""


def _file_name(response: Response) -> str:
    """The name that the server gives the file, which bears its date; the address's last part, else a plain one."""
    found = _NAME.search(response.headers.get("Content-Disposition", ""))
    last = urlsplit(response.address).path.rpartition("/")[2]
    for name in (found[1] if found else "", last):
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name):
            return name
    return "extract"


def _words(error: Exception) -> str:
    """What went wrong, without what the peer wrote."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate isn't trusted: {error.verify_message}"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return error.strerror or type(error).__name__
    return type(error).__name__
