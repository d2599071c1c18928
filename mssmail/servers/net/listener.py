"""Listening sockets: one for each port and worker, sharing the port by SO_REUSEPORT.

The supervisor `reserve`s each port before the workers start, so that port 0 becomes one number for all, and a port
taken by another program is an error at once.
"""

import socket
from dataclasses import dataclass

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listener listens."""

    name: str
    """`submission`, `imaps`, …: as settings and `demo.json` call it."""
    host: str
    port: int


class PortTaken(Exception):
    """The text says which listener, address and port, and why."""


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host or "::", port))
    except OSError:
        sock.close()
        raise
    return sock


def reserve(name: str, host: str, port: int) -> tuple[Place, socket.socket]:
    """Bind without listening; close the socket at the end. Raises PortTaken.

    SO_REUSEPORT lets several of our processes bind; one that isn't ours, or that listens already, is found by a
    bind without it.
    """
    try:
        probe = socket.socket(socket.AF_INET6 if ":" in host or not host else socket.AF_INET, socket.SOCK_STREAM)
        with probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host or "::", port))
        sock = _bound(host, port)
    except OSError as error:
        where = f"{host or '*'}:{port}"
        raise PortTaken(f"listener {name}: {where} can't be bound: {error.strerror or type(error).__name__}") from None
    return Place(name, host, sock.getsockname()[1]), sock


def accepts(place: Place, timeout_s: float = 2.0) -> bool:
    """Whether somebody listens there."""
    host = place.host or "127.0.0.1"
    try:
        socket.create_connection((host, place.port), timeout_s).close()
    except OSError:
        return False
    return True


def listening(place: Place) -> socket.socket:
    """A socket of this worker's own on a reserved port."""
    sock = _bound(place.host, place.port)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock
