"""The web server of one worker: makes connections, caps them by address and in all, ends them when it stops.

`factory` goes to `loop.create_server` with the TLS context; `close` after the listening socket is closed. All methods
on the loop.
"""

import asyncio
from collections import Counter
from typing import Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from mssmail.flow.house import House
from mssmail.flow.login import Login
from mssmail.flow.standing import Standing
from mssmail.metrics.registry import gauge
from mssmail.servers.net.peer import is_loopback
from mssmail.servers.web.app import Site, make_app
from mssmail.servers.web.connection import Connection

MOST_CONNECTIONS: Final = 2_000
"""In one worker: some 60 KB each while it is served."""

_open = gauge("mssmail_web_connections", "Open HTTPS connections.")


class WebServer:
    """The connections of the HTTPS port in one worker."""

    def __init__(self, house: House, login: Login, standing: Standing, *, port: int) -> None:
        """`port`: the one that listens, for the address that programs are told where no setting names one."""
        self.site = Site(house, login, standing, port)
        self._house = house
        self._config = Config(
            make_app(self.site),
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self._config.load()
        self._state = ServerState()
        self._open: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._closing = False

    def factory(self) -> Connection:
        """A protocol for one more connection."""
        return Connection(self, self._config, self._state)

    def arrive(self, connection: Connection) -> bool:
        """Count a connection in; False where there are too many."""
        self._open.add(connection)
        self._by_address[connection.address] += 1
        _open.inc()
        settings = self._house.settings
        uncapped = settings.server.loopback_unlimited and is_loopback(connection.address)
        too_many = self._by_address[connection.address] > settings.web.max_connections_per_address and not uncapped
        return not (self._closing or too_many or len(self._open) > MOST_CONNECTIONS)

    def left(self, connection: Connection) -> None:
        """A connection is over."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        _open.dec()
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]

    async def close(self, grace_s: float) -> None:
        """Close idle connections, let requests under way end within `grace_s` seconds, then close all."""
        self._closing = True
        for connection in list(self._open):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=grace_s)
        for connection in list(self._open):
            connection.abort()
