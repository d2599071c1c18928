"""The IMAP server of one worker: makes sessions, caps them by address, ends them when it stops."""

import asyncio
from collections import Counter

from mssmail.flow.bearer import TokenLogin
from mssmail.flow.boxes import Boxes
from mssmail.flow.delegations import Delegations
from mssmail.flow.house import House
from mssmail.flow.sessions import Sessions
from mssmail.flow.shared import Shared
from mssmail.flow.standing import Standing
from mssmail.metrics.registry import gauge
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands import HANDLERS
from mssmail.servers.imap.session import BYE_S, Service, Session, is_uncapped
from mssmail.servers.net.stream import Stream, TlsContext
from mssmail.wire.imap import encode, table

_connections = gauge("mssmail_imap_connections", "Open IMAP connections.")


class ImapServer:
    """Hand `starttls` and `implicit` to `loop.create_server`; the latter with the TLS context as `ssl`."""

    def __init__(
        self, house: House, login: TokenLogin, standing: Standing, sessions: Sessions, *, tls: TlsContext
    ) -> None:
        """Refuses to start where a command that is announced has no handler."""
        missing = [row.name.decode() for row in table.ROWS if row.command not in HANDLERS]
        if missing:
            raise LookupError(f"no handler for {', '.join(missing)}")
        boxes, shared, delegations = Boxes(house), Shared(house, standing), Delegations(house, standing)
        self._service = Service(house, login, boxes, shared, delegations, sessions, tls, HANDLERS)
        self._sessions: set[Session] = set()
        self._by_client: Counter[str] = Counter()
        self._closing = False

    def starttls(self) -> Stream:
        """A connection that begins in clear and can do nothing but STARTTLS."""
        return Stream(self._live_clear)

    def implicit(self) -> Stream:
        """A connection over TLS from its first octet."""
        return Stream(self._live_secured)

    async def _live_clear(self, stream: Stream) -> None:
        await self._live(stream, Session(self._service, stream, tls=False))

    async def _live_secured(self, stream: Stream) -> None:
        await self._live(stream, Session(self._service, stream, tls=True))

    async def _live(self, stream: Stream, session: Session) -> None:
        client, house = stream.client, self._service.house
        cap = house.settings.imap.max_connections_per_address
        if self._closing or (self._by_client[client] >= cap and not is_uncapped(house, client)):
            reply = replies.SHUTTING_DOWN if self._closing else replies.TOO_MANY_CONNECTIONS
            stream.write(encode.encode(replies.bye(reply)))
            stream.close(BYE_S)
            return
        self._by_client[client] += 1
        self._sessions.add(session)
        _connections.inc()
        try:
            await session.live()
        finally:
            _connections.dec()
            self._sessions.discard(session)
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    async def close(self, grace_s: float) -> None:
        """End idle sessions at once, let commands under way end within `grace_s` seconds, then end those too."""
        self._closing = True
        for session in list(self._sessions):
            session.finish()
        await self._gone(grace_s)
        for session in list(self._sessions):
            session.dismiss(replies.SHUTTING_DOWN)
        await self._gone(BYE_S)
        for session in list(self._sessions):
            session.stream.abort()

    async def _gone(self, within_s: float) -> None:
        tasks = [s.stream.task for s in self._sessions if s.stream.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
