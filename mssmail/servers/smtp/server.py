"""A listener of the SMTP side: what its connections share, how many there may be, and how they end.

`factory` goes to `loop.create_server`, with `ssl` where the role's TLS is implicit; `close` after the listening socket
is closed. All methods on the loop. Connections are counted for each listener of each worker.
"""

import asyncio
from collections import Counter
from typing import Final

from mssmail.base.dn import DistinguishedName
from mssmail.base.principal import Door
from mssmail.flow.bearer import TokenLogin
from mssmail.flow.gate import Gate
from mssmail.flow.hourly import Hourly
from mssmail.flow.house import House
from mssmail.flow.operators import Operators
from mssmail.flow.sessions import Sessions
from mssmail.flow.submit import Rate, Readings
from mssmail.metrics.registry import counter, gauge
from mssmail.servers.net.peer import address_of, is_loopback
from mssmail.servers.net.stream import TlsContext
from mssmail.servers.net.tls import peer_certificate
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.connection import Connection
from mssmail.servers.smtp.inbound import Inbound
from mssmail.servers.smtp.roles import Role, announcement, announcement_to_operators
from mssmail.servers.smtp.session import Session
from mssmail.wire.sasl.registry import Need, met

COMMIT_S: Final = 0.8
"""How long a commit in hand is waited for when the grace is over."""

_connections = counter("mssmail_smtp_connections_total", "Connections taken.", labels=("listener",))
_turned_away = counter(
    "mssmail_smtp_turned_away_total", "Connections over the limit of an address or operator.", labels=("listener",)
)
_open = gauge("mssmail_smtp_open", "Connections open.", labels=("listener",))


class SmtpServer:
    """The connections of one port in one worker. A role's class makes its sessions."""

    def __init__(self, house: House, role: Role, *, tls: TlsContext) -> None:
        """`tls` serves STARTTLS."""
        self.house = house
        self.role = role
        self.tls = tls
        self.readings = Readings(house)
        self.loop = asyncio.get_running_loop()
        self.greeting = f"220 {house.settings.server.name} ESMTP\r\n".encode("ascii")
        self.open: set[Connection] = set()
        """The connections there are."""
        self._by_client: Counter[str] = Counter()
        self._closing = False
        self._metrics = tuple(metric.labels(role.value) for metric in (_connections, _turned_away))
        self._gauge = _open.labels(role.value)

    def factory(self) -> Connection:
        """A protocol for one more connection."""
        raise NotImplementedError

    def announced(self, door: Door, *, tls: bool) -> bytes:
        """The answer to EHLO."""
        raise NotImplementedError

    def arrive(self, session: Connection, transport: asyncio.BaseTransport) -> bytes | None:
        """Take a connection in and tell it who is there; the 421 by which it is turned away."""
        client = address_of(transport) or "unknown"
        session.door = Door("smtp", client, peer_certificate(transport) if self.role.implicit_tls else None)
        session.uncapped = is_loopback(client) and self.house.settings.server.loopback_unlimited
        self.open.add(session)
        self._by_client[client] += 1
        self._gauge.inc()
        if self._closing:
            return replies.STOPPING
        if not session.uncapped and self._by_client[client] > self.house.settings.smtp.max_connections_per_address:
            self._metrics[1].inc()
            return replies.TOO_MANY_CONNECTIONS
        self._metrics[0].inc()
        return None

    def left(self, session: Connection) -> None:
        """A connection is over."""
        if session not in self.open:
            return
        self.open.discard(session)
        self._gauge.dec()
        client = session.door.client
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]

    async def close(self, grace_s: float) -> None:
        """Say 421 to the idle, let messages under way end within `grace_s`, then close what is left.

        A commit in hand is waited for a moment longer; whose 250 isn't read is known again when it is sent anew.
        """
        self._closing = True
        for session in list(self.open):
            session.part(replies.STOPPING)
        tasks = {session.task for session in self.open if session.task is not None}
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=grace_s)
        for session in list(self.open):
            session.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=COMMIT_S)
        self.readings.close()


class SubmissionServer(SmtpServer):
    """One submission port."""

    def __init__(
        self,
        house: House,
        login: TokenLogin,
        gate: Gate,
        sessions: Sessions,
        role: Role,
        *,
        tls: TlsContext,
        rate: Rate | None = None,
    ) -> None:
        """`tls` serves STARTTLS; one `rate` given to both ports of a worker makes them count together."""
        super().__init__(house, role, tls=tls)
        self.login = login
        self.gate = gate
        self.sessions = sessions
        self.rate = rate or Rate(house)
        self._announced: dict[tuple[bool, frozenset[Need]], bytes] = {}

    def factory(self) -> Session:
        return Session(self)

    def there(self, door: Door) -> frozenset[Need]:
        """What mechanisms may need, for this client and now."""
        return met(certificate=self.login.certificate_acceptable(door), tokens=self.login.tokens_acceptable)

    def announced(self, door: Door, *, tls: bool) -> bytes:
        key = tls, self.there(door)
        if key not in self._announced:
            self._announced[key] = announcement(self.house.settings, key[1], tls=key[0])
        return self._announced[key]


class OperatorServer(SmtpServer):
    """The port of other operators."""

    def __init__(self, house: House, operators: Operators, gate: Gate, *, tls: TlsContext) -> None:
        super().__init__(house, Role.SMTP, tls=tls)
        self.operators = operators
        self.gate = gate
        self.hourly = Hourly(house.clock)
        self._by_operator: Counter[DistinguishedName] = Counter()

    def factory(self) -> Inbound:
        return Inbound(self)

    def announced(self, door: Door, *, tls: bool) -> bytes:
        return announcement_to_operators(self.house.settings, tls=tls)

    def enter(self, name: DistinguishedName, *, uncapped: bool) -> bool:
        """Count a connection for an operator; False where it has too many already."""
        if not uncapped and self._by_operator[name] >= self.house.settings.operators.max_connections:
            self._metrics[1].inc()
            return False
        self._by_operator[name] += 1
        return True

    def leave(self, name: DistinguishedName) -> None:
        self._by_operator[name] -= 1
        if not self._by_operator[name]:
            del self._by_operator[name]
