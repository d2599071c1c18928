"""A house with all five doors open over real sockets and TLS, and for each protocol a client that tries one sign-in.

Knows how each mechanism is spoken at each door; what the answer should be is the table's to say.
"""

import asyncio
import base64
import html
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto, unique
from typing import Any, Final

import httpx

from mssmail.base.principal import Mechanism
from mssmail.demo.pki import Leaf
from mssmail.flow.sessions import Sessions
from mssmail.servers.imap.server import ImapServer
from mssmail.servers.net.tls import server_context
from mssmail.servers.smtp.roles import Role
from mssmail.servers.smtp.server import SubmissionServer
from mssmail.servers.web.server import WebServer
from tests.support.bearer import TokenTown
from tests.support.town import address

PATIENCE_S: Final = 20.0
TLS_ALERT: Final = b"\x15"
"""The first octet of what TLS says to who doesn't speak it: an alert."""
DOORS: Final[Mapping[str, str]] = {
    "submission": "smtp",
    "submissions": "smtp",
    "imap": "imap",
    "imaps": "imap",
    "https": "https",
}
"""The listeners, by the names that settings give them, and the protocol of each."""
ALREADY: Final = "503 5.5.1 Already authenticated"
"""What SMTP says to AUTH where one is in."""
BY_STARTTLS: Final = frozenset({"submission", "imap"})


@unique
class Family(Enum):
    """What is shown for a proof."""

    CERTIFICATE = auto()
    PASSWORD = auto()
    OWN_TOKEN = auto()
    PROVIDED_TOKEN = auto()

    @property
    def mechanism(self) -> Mechanism:
        """What the trail calls it."""
        match self:
            case Family.CERTIFICATE:
                return Mechanism.EXTERNAL
            case Family.PASSWORD:
                return Mechanism.PASSWORD
        return Mechanism.TOKEN


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign in."""

    name: str
    family: Family
    protocols: frozenset[str]
    announced: str
    """How a door says that it takes this: a SASL name, a command, a form's action."""
    sasl: bool = True


SASL: Final = frozenset({"smtp", "imap"})
EXTERNAL: Final = Way("EXTERNAL", Family.CERTIFICATE, SASL, "EXTERNAL")
MAIL: Final = Way("MAIL without AUTH", Family.CERTIFICATE, frozenset({"smtp"}), "MAIL", sasl=False)
CARD_PAGE: Final = Way(
    "page, certificate", Family.CERTIFICATE, frozenset({"https"}), "/sign-in/certificate", sasl=False
)
PLAIN: Final = Way("PLAIN", Family.PASSWORD, SASL, "PLAIN")
LOGIN: Final = Way("LOGIN", Family.PASSWORD, SASL, "LOGIN")
IMAP_LOGIN: Final = Way("IMAP LOGIN", Family.PASSWORD, frozenset({"imap"}), "the command LOGIN", sasl=False)
PAGE: Final = Way("page, password", Family.PASSWORD, frozenset({"https"}), "/sign-in", sasl=False)
OAUTHBEARER_OWN: Final = Way("OAUTHBEARER, ours", Family.OWN_TOKEN, SASL, "OAUTHBEARER")
OAUTHBEARER_PROVIDED: Final = Way("OAUTHBEARER, provider's", Family.PROVIDED_TOKEN, SASL, "OAUTHBEARER")
XOAUTH2_OWN: Final = Way("XOAUTH2, ours", Family.OWN_TOKEN, SASL, "XOAUTH2")
XOAUTH2_PROVIDED: Final = Way("XOAUTH2, provider's", Family.PROVIDED_TOKEN, SASL, "XOAUTH2")
WAYS: Final = (
    EXTERNAL,
    MAIL,
    CARD_PAGE,
    PLAIN,
    LOGIN,
    IMAP_LOGIN,
    PAGE,
    OAUTHBEARER_OWN,
    OAUTHBEARER_PROVIDED,
    XOAUTH2_OWN,
    XOAUTH2_PROVIDED,
)
PAIRS: Final = tuple((way, door) for way in WAYS for door, protocol in DOORS.items() if protocol in way.protocols)


@unique
class Slip(Enum):
    """What a client does wrong on the wire, whatever it has to show."""

    UNREADABLE = auto()
    """Not base64; an unfinished quoted string; no form's coding."""
    EMPTY = auto()
    CANCELLED = auto()
    NUL = auto()
    IN_CLEAR = auto()
    """Before TLS, or without it where it begins at once."""
    NO_CERTIFICATE = auto()
    FORGED = auto()
    """A form that isn't of our page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client has to show."""

    local: str = ""
    """The box that it means to open, by its local part."""
    leaf: Leaf | None = None
    password: str = ""
    code: str = ""
    token: str = ""
    authzid: str = ""
    client: str | None = None
    """The address that it comes from; None for one that nobody used."""
    slip: Slip | None = None

    @property
    def login(self) -> str:
        return str(address(self.local))

    def response(self, way: Way) -> list[str]:
        """The messages of a SASL mechanism, not encoded."""
        match way.announced:
            case "EXTERNAL":
                said = [self.authzid]
            case "PLAIN":
                said = [f"{self.authzid}\0{self.login}\0{self.password}{self.code}"]
            case "LOGIN":
                said = [self.login, self.password + self.code]
            case "OAUTHBEARER":
                said = [f"n,{f'a={self.authzid}' if self.authzid else ''},\1auth=Bearer {self.token}\1\1"]
            case _:
                said = [f"user={self.authzid or self.login}\1auth=Bearer {self.token}\1\1"]
        return ["a\0b\0c\0d", *said[1:]] if self.slip is Slip.NUL else said

    def lines(self, way: Way) -> list[str]:
        """The same as they go over the wire; a slip ends it at the first."""
        match self.slip:
            case Slip.UNREADABLE:
                return ["!!!!"]
            case Slip.EMPTY:
                return [""]
            case Slip.CANCELLED:
                return ["*"]
        lines = [base64.b64encode(message.encode()).decode() for message in self.response(way)]
        return lines[:1] if self.slip is Slip.NUL else lines


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a try."""

    answer: str
    """The reply that told it: SMTP's, IMAP's without its tag, HTTP's status with what the page says."""
    inside: bool
    """Whether somebody is signed in on that connection, or that browser, now."""
    complaint: Mapping[str, str] | None = None
    """The error in the challenge before a failure, if there was one (RFC 7628 §3.2.2)."""


class Line:
    """A client of a protocol of lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")

    async def line(self) -> str:
        """The next line, empty at the connection's end."""
        octets = await asyncio.wait_for(self._reader.readline(), PATIENCE_S)
        return octets.decode().removesuffix("\r\n")

    async def ask(self, line: str) -> str:
        """Send a line; the last line of the reply, or a BYE."""
        self.send(line)
        while True:
            said = await self.line()
            if said[3:4] != "-" and (not said.startswith("* ") or said.startswith("* BYE")):
                return said

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self._writer.start_tls(context, server_hostname="localhost")

    async def rest(self) -> bytes:
        try:
            return await asyncio.wait_for(self._reader.read(), PATIENCE_S)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._writer.transport.abort()


class Doors:
    """The doors of a town's house. `open` them, then `close`."""

    def __init__(self, town: TokenTown) -> None:
        self.town = town
        self.ports: dict[str, int] = {}
        self._listeners: list[asyncio.Server] = []
        self._servers: list[Any] = []
        self._clients = 0

    async def open(self) -> None:
        town, house, loop = self.town, self.town.house, asyncio.get_running_loop()
        sessions, tls = Sessions(house, town.standing), server_context(house.settings)
        by_role = {role: SubmissionServer(house, town.login, town.gate, sessions, role, tls=tls) for role in Role}
        imap = ImapServer(house, town.login, town.standing, sessions, tls=tls)
        web = WebServer(house, town.login, town.standing, port=443)
        self._servers = [*by_role.values(), imap, web]
        makers: dict[str, Callable[[], asyncio.BaseProtocol]] = {
            "submission": by_role[Role.SUBMISSION].factory,
            "submissions": by_role[Role.SUBMISSIONS].factory,
            "imap": imap.starttls,
            "imaps": imap.implicit,
            "https": web.factory,
        }
        for door, make in makers.items():
            context = None if door in BY_STARTTLS else tls
            listener = await loop.create_server(make, "127.0.0.1", 0, ssl=context)
            self._listeners.append(listener)
            self.ports[door] = listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for server in self._servers:
            await server.close(1.0)

    def newcomer(self) -> str:
        """A client address that nobody used: what one row leaves behind is no other's."""
        self._clients += 1
        return f"127.1.{self._clients // 250}.{self._clients % 250 + 1}"

    def _context(self, leaf: Leaf | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.town.pki.anchors)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fake clock's certificates may not be of today
        if leaf is not None:
            context.load_cert_chain(leaf.cert, leaf.key)
        return context

    async def _connect(self, door: str, client: str, tls: ssl.SSLContext | None = None) -> Line:
        address_of = (client, 0)
        return Line(*await asyncio.open_connection("127.0.0.1", self.ports[door], ssl=tls, local_addr=address_of))

    async def _enter(self, door: str, shown: Shown, client: str) -> Line:
        """A connection that was greeted, under TLS unless that is the slip."""
        context, clear = self._context(shown.leaf), shown.slip is Slip.IN_CLEAR
        line = await self._connect(door, client, None if door in BY_STARTTLS else context)
        await line.line()
        if door in BY_STARTTLS and not clear:
            if DOORS[door] == "smtp":
                await line.ask("EHLO me")
            said = await line.ask("STARTTLS" if DOORS[door] == "smtp" else "s STARTTLS")
            assert said.startswith(("220 2.0.0 ", "s OK ")), said
            await line.start_tls(context)
        return line

    async def announced(self, door: str, leaf: Leaf) -> frozenset[str]:
        """Every way that a door says to take, of a client that shows a certificate."""
        if door == "https":
            async with self._browser(leaf, self.newcomer()) as browser:
                page = (await browser.get("/sign-in")).text
            return frozenset(re.findall(r'<form method="post" action="([^"]*)"', page))
        line = await self._enter(door, Shown(leaf=leaf), self.newcomer())
        line.send("EHLO me" if DOORS[door] == "smtp" else "a CAPABILITY")
        said = [await line.line()]
        while not said[-1].startswith(("250 ", "a ")):
            said.append(await line.line())
        line.close()
        if DOORS[door] == "smtp":
            (offered,) = (one[4:].split()[1:] for one in said if one[4:].startswith("AUTH "))
            return frozenset({*offered, "MAIL"})
        words = said[0].split()
        by_command = set() if "LOGINDISABLED" in words else {"the command LOGIN"}
        return frozenset(word[5:] for word in words if word.startswith("AUTH=")) | by_command

    async def attempt(self, way: Way, door: str, shown: Shown) -> Heard:
        """Try that at that door, and see whether one is in."""
        client = shown.client or self.newcomer()
        if shown.slip is Slip.IN_CLEAR and door not in BY_STARTTLS:
            return await self._in_clear(door, client)
        if door == "https":
            async with self._browser(shown.leaf, client) as browser:
                return await _by_page(way, browser, shown)
        line = await self._enter(door, shown, client)
        try:
            return await (_by_smtp if DOORS[door] == "smtp" else _by_imap)(way, line, shown)
        finally:
            line.close()

    async def _in_clear(self, door: str, client: str) -> Heard:
        """Speak without TLS where TLS begins at once: nothing is answered but TLS's own alert."""
        line = await self._connect(door, client)
        line.send("EHLO me\r\nAUTH PLAIN =")
        said = await line.rest()
        line.close()
        return Heard("" if said[:1] == TLS_ALERT else said.decode("latin-1"), inside=False)

    def _browser(self, leaf: Leaf | None, client: str) -> httpx.AsyncClient:
        way_out = httpx.AsyncHTTPTransport(verify=self._context(leaf), local_address=client)
        base = f"https://localhost:{self.ports['https']}"
        return httpx.AsyncClient(base_url=base, transport=way_out, timeout=PATIENCE_S)


async def _by_smtp(way: Way, line: Line, shown: Shown) -> Heard:
    await line.ask("EHLO me")
    complaint = None
    if way is MAIL:
        said = await line.ask(f"MAIL FROM:<{shown.login}>")
    else:
        said = await line.ask(f"AUTH {way.announced}")
        for response in shown.lines(way) if said.startswith("334 ") else ():
            said = await line.ask(response)
        if said.startswith("334 "):
            complaint = json.loads(base64.b64decode(said[4:]))
            said = await line.ask("AQ==")
    again = await line.ask("AUTH PLAIN")
    return Heard(said, again == ALREADY, complaint)


async def _by_imap(way: Way, line: Line, shown: Shown) -> Heard:
    complaint = None
    if way is IMAP_LOGIN:
        said = await line.ask(_login_command(shown))
    else:
        said = await line.ask(f"a AUTHENTICATE {way.announced}")
        for response in shown.lines(way) if said.startswith("+ ") else ():
            said = await line.ask(response)
        if said.startswith("+ "):
            complaint = json.loads(base64.b64decode(said[2:]))
            said = await line.ask("AQ==")
    opened = await line.ask("b STATUS INBOX (MESSAGES)")
    return Heard(said.removeprefix("a "), opened.startswith("b OK "), complaint)


def _login_command(shown: Shown) -> str:
    match shown.slip:
        case Slip.UNREADABLE:
            return 'a LOGIN "me'
        case Slip.EMPTY:
            return 'a LOGIN "" ""'
        case Slip.NUL:
            return 'a LOGIN "a\0b" "c"'
    return f'a LOGIN "{shown.login}" "{shown.password}{shown.code}"'


async def _by_page(way: Way, browser: httpx.AsyncClient, shown: Shown) -> Heard:
    page = (await browser.get("/sign-in")).text
    form = next(f for f in re.findall(r"<form.*?</form>", page, re.S) if f'action="{way.announced}"' in f)
    pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    fields = {html.unescape(name): html.unescape(value) for name, value in pairs}
    if way is PAGE and shown.slip is not Slip.EMPTY:
        typed = "a\0b" if shown.slip is Slip.NUL else shown.password
        fields |= {"address": shown.login, "password": typed, "code": shown.code}
    if shown.slip is Slip.FORGED:
        fields["form_token"] = fields["form_token"][::-1]
    if shown.slip is Slip.UNREADABLE:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        said = await browser.post(way.announced, content=b"form_token=%ff&address=\xff", headers=headers)
    else:
        said = await browser.post(way.announced, data=fields)
    told = html.unescape(re.sub(r"<[^>]*>|\s+", " ", said.text))
    account = await browser.get("/account")
    return Heard(f"{said.status_code} {told}", account.status_code == 200)
