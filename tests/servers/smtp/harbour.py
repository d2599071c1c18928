"""Submission ports over real sockets and TLS, on a real house; sign-in and gate answer by what a test names.

A login or a recipient whose local part is a reason's word is refused for it; `claire` and `paul` are at home.
"""

import asyncio
import base64
import shutil
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace

from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import Door, LetIn, Mechanism, Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.base.section import Section
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.flow.bearer import TokenLogin
from mssmail.flow.gate import Gate
from mssmail.flow.read import Reader
from mssmail.flow.sessions import Session, Sessions
from mssmail.flow.view import open_view
from mssmail.servers.net.tls import server_context
from mssmail.servers.smtp.roles import Role
from mssmail.servers.smtp.server import SubmissionServer
from mssmail.settings.model import Settings, Trust
from mssmail.store import trail
from mssmail.store.trail import EventRow
from tests.support.houses import DOMAIN, Home

PATIENCE_S = 20.0


def named(word: str) -> Reason | None:
    return next((reason for reason in Reason if reason.value == word), None)


class FakeLogin(TokenLogin):
    """`claire` with the password `good`, or any certificate; a reason's word as login is refused for it."""

    tokens_acceptable = False
    discovery = ""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.asked: list[tuple[Door, str]] = []

    async def by_password(self, door: Door, authzid: str, login: str, secret: Secret) -> Principal:
        self.asked.append((door, login))
        if (reason := named(login)) is not None:
            raise Refusal(reason)
        if login == "broken":
            raise RuntimeError("text of ours")
        if login != "claire" or secret.reveal() != "good":
            raise Refusal(Reason.CREDENTIALS)
        return self.principal

    async def by_certificate(self, door: Door, authzid: str) -> Principal:
        self.asked.append((door, authzid))
        if (reason := named(authzid)) is not None:
            raise Refusal(reason)
        return replace(self.principal, mechanism=Mechanism.EXTERNAL)


class FakeGate(Gate):
    """Lets the accounts of a house be written to, and claire write as herself."""

    def __init__(self, people: Sequence[Principal]) -> None:
        self.people = {person.address.key: person for person in people}
        self.asked: list[tuple[str, int]] = []

    async def recipients(
        self, principal: Principal, addresses: Sequence[Address], size_octets: int | None = None
    ) -> list[LetIn | Refusal]:
        return [self._decided(address, size_octets) for address in addresses]

    def _decided(self, address: Address, size_octets: int | None) -> LetIn | Refusal:
        self.asked.append((str(address), size_octets or 0))
        if (reason := named(address.local)) is not None:
            return Refusal(reason)
        if address.local == "broken":
            raise RuntimeError("text of ours")
        found = self.people.get(address.key)
        if found is None and address.local.startswith("many"):
            found = self.people[f"paul@{DOMAIN}"]
        if found is None:
            return Refusal(Reason.NOT_REGISTERED)
        return Recipient(address, found.account)

    async def sender(self, principal: Principal, address: Address) -> AccountId:
        if address.key != principal.address.key:
            raise Refusal(Reason.NOT_YOUR_ADDRESS)
        return principal.account

    async def envelope_sender(self, principal: Principal, address: Address) -> None:
        await self.sender(principal, address)


class FakeSessions(Sessions):
    """Who is in, and no one who looks."""

    def __init__(self) -> None:
        self.inside: list[Session] = []

    def enter(self, principal: Principal, end: Callable[[Reason], None], *, counts: bool = True) -> Session:
        session = Session(principal, end, self)
        self.inside.append(session)
        return session

    def forget(self, session: Session) -> None:
        self.inside.remove(session)


class Client:
    """The other end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *lines: str | bytes) -> None:
        """Send lines in one go."""
        octets = [line.encode() if isinstance(line, str) else line for line in lines]
        self.writer.write(b"".join(line + b"\r\n" for line in octets))

    async def reply(self) -> str:
        """One whole reply, its lines joined by LF."""
        lines: list[str] = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), PATIENCE_S)).decode("ascii")
            if not line:
                raise EOFError("\n".join(lines))
            assert line.endswith("\r\n")
            assert len(line) <= 512
            lines.append(line[:-2])
            if line[3:4] != "-":
                return "\n".join(lines)

    async def ask(self, *lines: str | bytes) -> str:
        """Send lines; the reply to the first."""
        self.send(*lines)
        return await self.reply()

    async def rest(self) -> bytes:
        """All that the server says until it closes; nothing where what we sent unheard reset the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        except ConnectionError:
            return b""

    async def end(self) -> bool:
        """Whether the server closes now, having said no more."""
        return await self.rest() == b""

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert (await self.ask("STARTTLS")).startswith("220 2.0.0")
        await self.writer.start_tls(context, server_hostname="localhost")

    async def sign_in(self) -> None:
        await self.ask("EHLO me")
        assert (await self.ask("AUTH PLAIN " + plain("claire", "good"))).startswith("235 2.7.0")

    async def begin_mail(self, *recipients: str, sender: str = f"claire@{DOMAIN}") -> None:
        """Everything up to the 354."""
        assert (await self.ask(f"MAIL FROM:<{sender}>")).startswith("250")
        for recipient in recipients or (f"paul@{DOMAIN}",):
            assert (await self.ask(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")

    def close(self) -> None:
        self.writer.transport.abort()


def plain(login: str, password: str) -> str:
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Ports:
    """The listeners of a house. `open`, then `close`."""

    def __init__(
        self, home: Home, pki: DemoPki, settings: Settings, login: TokenLogin, gate: Gate, sessions: Sessions
    ) -> None:
        self.home = home
        self.pki = pki
        self.settings = settings
        self._asked = (login, gate, sessions)
        self._clients: list[Client] = []
        self.servers: dict[Role, SubmissionServer] = {}
        self._listeners: dict[Role, asyncio.Server] = {}
        server = pki.server()
        shutil.copy(server.cert, home.folder / "server.pem")
        shutil.copy(server.key, home.folder / "server.key")

    async def open(self, *roles: Role) -> None:
        loop, house = asyncio.get_running_loop(), self.home.with_settings(self.settings)
        tls = server_context(self.settings)
        for role in roles:
            server = SubmissionServer(house, *self._asked, role, tls=tls)
            self.servers[role] = server
            self._listeners[role] = await loop.create_server(
                server.factory, "127.0.0.1", 0, ssl=tls if role.implicit_tls else None
            )

    def client_context(self, leaf: Leaf | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.pki.anchors)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fake clock's certificates may not be of today
        if leaf is not None:
            context.load_cert_chain(leaf.cert, leaf.key)
        return context

    async def connect(self, role: Role = Role.SUBMISSIONS, leaf: Leaf | None = None) -> Client:
        """A connection, its greeting not read."""
        tls = self.client_context(leaf) if role.implicit_tls else None
        port = self._listeners[role].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, limit=1 << 20)
        client = Client(reader, writer)
        self._clients.append(client)
        return client

    async def enter(self, role: Role = Role.SUBMISSIONS, leaf: Leaf | None = None) -> Client:
        """A connection after the greeting, and STARTTLS where that is the way."""
        client = await self.connect(role, None if not role.implicit_tls else leaf)
        assert (await client.reply()).startswith("220 ")
        if not role.implicit_tls:
            await client.ask("EHLO me")
            await client.start_tls(self.client_context(leaf))
        return client

    async def signed_in(self, role: Role = Role.SUBMISSIONS) -> Client:
        client = await self.enter(role)
        await client.sign_in()
        return client

    async def messages_of(self, principal: Principal) -> list[bytes]:
        """The octets of every message in somebody's INBOX."""
        view = await open_view(self.home.house, principal, "INBOX", read_only=True)
        reader, found = Reader(self.home.house, view), list[bytes]()
        async for fetched in reader.messages(range(len(view)), [(Section(), None)]):
            (piece,) = fetched.pieces
            assert piece is not None
            found.append(piece.data if piece.data is not None else b"".join([p async for p in reader.stream(piece)]))
        return found

    def trail(self) -> list[EventRow]:
        """Every event so far."""
        return trail.events_of(self.home.tx(), self.home.chain, 0, 10_000)

    async def close(self) -> None:
        for client in self._clients:
            client.close()
        for listener in self._listeners.values():
            listener.close()
        for server in self.servers.values():
            await server.close(PATIENCE_S)


class Harbour(Ports):
    """Ports where claire and paul are at home, and login and gate are the fakes."""

    def __init__(self, home: Home, settings: Settings | None = None) -> None:
        pki = DemoPki.create_or_load(home.folder / "pki", home.clock)
        chain = home.folder / "persons-anchors.pem"
        chain.write_bytes(pki.persons.pem + pki.root.pem)
        self.claire, self.paul = home.add_account("claire"), home.add_account("paul")
        self.login = FakeLogin(self.claire)
        self.gate = FakeGate([self.claire, self.paul])
        self.sessions = FakeSessions()
        given = replace(settings or home.settings, trust=Trust(persons_ca=chain))
        super().__init__(home, pki, given, self.login, self.gate, self.sessions)

    def person(self) -> Leaf:
        return self.pki.person("810000000001", "MARTIN", "CLAIRE", "Médecin")

    async def messages(self) -> list[bytes]:
        return await self.messages_of(self.paul)
