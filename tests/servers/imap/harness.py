"""A real IMAP server on loopback: real house, real TLS; who may sign in is a table, since that is another room's."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar, cast

import uvloop

from mssmail.audit.events import Event, Kind
from mssmail.base.clock import Clock, SystemClock
from mssmail.base.ids import AccountId
from mssmail.base.principal import Door, Mechanism, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Delegation, Right
from mssmail.base.secret import Secret
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.flow.bearer import TokenLogin
from mssmail.flow.delegations import Administrator, Delegations
from mssmail.flow.deliver import deliver
from mssmail.flow.keep import Keeper
from mssmail.flow.sessions import Sessions
from mssmail.flow.standing import Standing
from mssmail.identity.credentials import Credentials, Dossier
from mssmail.servers.imap.server import ImapServer
from mssmail.servers.net.tls import server_context
from mssmail.settings.model import Settings, Tls, Trust
from mssmail.store import accounts, replays
from mssmail.store.accounts import State
from mssmail.store.interface import Transaction
from tests.support.houses import Home, recipient, settings_for

T = TypeVar("T")

WAIT_S = 10.0
"""After this a test has failed: a server that is right answers in milliseconds."""
LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def run(main: Coroutine[Any, Any, T], loop: str = "uvloop") -> T:
    """Run on one of the two loops."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)


@lru_cache
def pki() -> DemoPki:
    """The certificates of all tests of a process."""
    return DemoPki.create_or_load(Path(mkdtemp(prefix="mssmail-pki-")), SystemClock())


@lru_cache
def server_leaf() -> Leaf:
    return pki().server()


@lru_cache
def person_leaf() -> Leaf:
    return pki().person("810000000001", "MARTIN", "Claire", "Médecin")


class TableLogin:
    """Lets in who stands in a table, by the password `secret`, or by any certificate as `alice`."""

    def __init__(self) -> None:
        self.known: dict[str, Principal] = {}

    tokens_acceptable = False
    discovery = ""

    def certificate_acceptable(self, door: Door) -> bool:
        return door.certificate is not None

    def scope(self, door: Door) -> str:
        return door.protocol

    async def by_certificate(self, door: Door, authzid: str) -> Principal:
        if door.certificate is None:
            raise Refusal(Reason.CERTIFICATE)
        if authzid:
            raise Refusal(Reason.NOT_DELEGATED)
        return replace(self.known["alice"], mechanism=Mechanism.EXTERNAL, client=door.client)

    async def by_password(self, door: Door, authzid: str, login: str, secret: Secret) -> Principal:
        principal = self.known.get(login)
        if principal is None or secret.reveal() != "secret":
            raise Refusal(Reason.CREDENTIALS)
        return replace(principal, client=door.client)


class StateStanding:
    """Ends the sessions of accounts that aren't open, and takes everybody for registered."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def struck_off(self, dossier: Dossier) -> bool:
        return False

    async def renew_if_changed(self) -> bool:
        return False

    def reason_to_end(
        self,
        principal: Principal,
        found: Mapping[int, tuple[int, State, bytes, str] | None],
        alive: AbstractSet[int],
    ) -> Reason | None:
        standings = [found.get(account) for account in (principal.person, principal.account)]
        return None if all(s is not None and s[1] is State.OPEN for s in standings) else Reason.SUSPENDED


class Site:
    """A house that serves IMAP: ports, accounts, ways to send and to suspend."""

    def __init__(self, folder: Path, settings: Settings | None = None, clock: Clock | None = None) -> None:
        leaf = server_leaf()
        given = replace(
            settings or settings_for(folder),
            tls=Tls(leaf.cert, leaf.key),
            trust=Trust(persons_ca=pki().anchors, organisations_ca=pki().anchors),
        )
        self.home = Home(folder, clock, settings=given)
        self.house = self.home.house
        self.login = TableLogin()
        self.standing = cast(Standing, StateStanding(Credentials(self.house.keys)))
        self.sessions = Sessions(self.house, self.standing)
        self.delegations = Delegations(self.house, self.standing)
        self.tls = server_context(given)
        self.server = ImapServer(self.house, cast(TokenLogin, self.login), self.standing, self.sessions, tls=self.tls)
        self._listeners: list[asyncio.Server] = []
        self.imap = 0
        self.imaps = 0

    def add(self, local: str, **more: int) -> Principal:
        """An account that signs in as `local`."""
        principal = self.home.add_account(local, **more)
        self.login.known[local] = principal
        return principal

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.house.changes.attach(loop)
        clear = await loop.create_server(self.server.starttls, "127.0.0.1", 0)
        secured = await loop.create_server(self.server.implicit, "127.0.0.1", 0, ssl=self.tls)
        self._listeners = [clear, secured]
        self.imap, self.imaps = (listener.sockets[0].getsockname()[1] for listener in self._listeners)
        await self.sessions.start()

    async def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        await self.server.close(1.0)
        self.home.close()

    async def send(self, to: Principal | str, octets: bytes) -> None:
        """Deliver a message, as the submission room does."""
        principal = self.login.known[to] if isinstance(to, str) else to
        keeper = Keeper(self.house)
        for start in range(0, len(octets), 65_536):
            keeper.write(octets[start : start + 65_536])
            if keeper.is_full:
                await keeper.flush()
        kept = await keeper.finish()
        event = Event(Kind.SUBMITTED, principal.account, details={"id": f"{kept.body:x}"})
        await deliver(self.house, kept, [recipient(principal)], event, None)

    async def grant(self, box: str, to: str, rights: Right, until_at: int | None = None) -> None:
        """As administration does, by the names that they sign in under."""
        given = Delegation(rights, int(self.house.clock.now()), until_at)
        known = self.login.known
        await self.delegations.grant(Administrator("root"), known[box].address, known[to].address, given)

    async def withdraw(self, box: str, to: str) -> None:
        """As administration does; and a look at it."""
        known = self.login.known
        await self.delegations.withdraw(Administrator("root"), known[box].address, known[to].address)
        await self.sessions.look()

    async def suspend(self, principal: Principal) -> None:
        """As administration does: the state, a notice, and a look at it."""

        def work(tx: Transaction) -> None:
            accounts.set_state(tx, AccountId(principal.account), State.SUSPENDED)
            replays.notify(tx, principal.account, "account")

        await self.house.write.run(work)
        await self.sessions.look()


@asynccontextmanager
async def site(
    folder: Path, *names: str, settings: Settings | None = None, clock: Clock | None = None
) -> AsyncIterator[Site]:
    made = Site(folder, settings, clock)
    for name in names or ("alice",):
        made.add(name)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def client_context(leaf: Leaf | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki().anchors))
    if leaf is not None:
        context.load_cert_chain(leaf.cert, leaf.key)
    return context


class Client:
    """A client that says what it is told and hands over whole responses, literals included."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._tags = 0

    @classmethod
    async def secured(cls, site: Site, leaf: Leaf | None = None, limit: int = 1 << 26) -> "Client":
        """Connect over TLS; the greeting is still to be read. `limit`: octets it reads ahead."""
        pair = await asyncio.open_connection(
            "127.0.0.1", site.imaps, ssl=client_context(leaf), server_hostname="localhost", limit=limit
        )
        return cls(*pair)

    @classmethod
    async def clear(cls, site: Site) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", site.imap, limit=1 << 26))

    @classmethod
    async def signed_in(cls, site: Site, name: str = "alice", select: str | None = None) -> "Client":
        client = await cls.secured(site)
        await client.response()
        await client.ok(f"LOGIN {name} secret")
        if select is not None:
            await client.ok(f"SELECT {select}")
        return client

    async def start_tls(self, leaf: Leaf | None = None) -> None:
        await self.writer.start_tls(client_context(leaf), server_hostname="localhost")

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def response(self) -> bytes:
        """The next response, without its last CRLF; empty once the server has closed."""
        return await _in_time(self._response())

    async def _response(self) -> bytes:
        out = b""
        while True:
            line = await self.reader.readline()
            out += line
            size = _literal(line)
            if size is None:
                return out.removesuffix(b"\r\n")
            out += await self.reader.readexactly(size)

    async def until(self, tag: str) -> list[bytes]:
        """Responses up to the tagged one, that included."""
        out: list[bytes] = []
        while not out or not out[-1].startswith(tag.encode() + b" "):
            out.append(await self.response())
            assert out[-1], f"closed after {out}"
        return out

    async def ask(self, command: str | bytes) -> list[bytes]:
        """Send a command under a tag of its own and return what came."""
        self._tags += 1
        tag = f"t{self._tags}"
        self.send(tag.encode() + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return await self.until(tag)

    async def ok(self, command: str | bytes) -> list[bytes]:
        """As `ask`, and it must succeed; the untagged responses."""
        answer = await self.ask(command)
        assert b" OK " in answer[-1], answer[-1]
        return answer[:-1]

    async def append(self, octets: bytes, mailbox: str = "INBOX", flags: str = "") -> list[bytes]:
        return await self.ok(b"APPEND %b %b{%d+}\r\n%b" % (mailbox.encode(), flags.encode(), len(octets), octets))

    def close(self) -> None:
        self.writer.close()


def _literal(line: bytes) -> int | None:
    if not line.endswith(b"}\r\n"):
        return None
    digits = line[line.rindex(b"{") + 1 : -3]
    return int(digits) if digits.isdigit() else None


async def _in_time(what: Awaitable[T]) -> T:
    return await asyncio.wait_for(what, WAIT_S)


def numbers(responses: Sequence[bytes], word: bytes) -> list[int]:
    """The numbers of untagged responses such as `* 3 EXPUNGE`."""
    return [int(r.split()[1]) for r in responses if r.split()[2:3] == [word]]
