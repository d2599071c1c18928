"""SMTP under fuzz: whole sessions as their octets come, the envelope's grammar, messages by DATA and BDAT, SASL.

The session is the real one; who may sign in, what a gate says and where messages go are stubs, so that no thread and
no store is in the way.
"""

import asyncio
import base64
import binascii
import re
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import BoxKind, Door, LetIn, Mechanism, Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import By
from mssmail.base.secret import Secret
from mssmail.flow.sessions import Session as Entered
from mssmail.flow.submit import Acknowledgements, Submission
from mssmail.servers.smtp import commands, connection, replies
from mssmail.servers.smtp.chunking import parse_bdat
from mssmail.servers.smtp.data import MAX_LINE_OCTETS, Chunks, Decoder
from mssmail.servers.smtp.envelope import BadCommand, Mail, parse_mail, parse_rcpt
from mssmail.servers.smtp.roles import Role, announcement
from mssmail.servers.smtp.server import SubmissionServer
from mssmail.servers.smtp.session import Session
from mssmail.settings.model import Server, Settings, Smtp
from mssmail.settings.units import Octets
from mssmail.wire.sasl import registry
from mssmail.wire.sasl.bearer import OAuthBearer, XOAuth2
from mssmail.wire.sasl.exchange import Challenge, Done, Failed, Token, decode
from tests.fuzz.target import Target, cut

DOMAIN = "h.fr"
_REPLY = re.compile(rb"(?:[2-5][0-9]{2}-[ -~]{0,506}\r\n)*[2-5][0-9]{2} [ -~]{0,506}\r\n")
_PRINCIPAL = Principal(
    AccountId(1), AccountId(1), Address("claire", DOMAIN), BoxKind.PER, Mechanism.PASSWORD, 1, "192.0.2.1", "smtp"
)
_SETTINGS = Settings(server=Server(domains=(DOMAIN,)), smtp=Smtp(max_message_size=Octets(2_000), max_recipients=5))


class _Stubs:
    """Login, gate, sessions and server in one: what a session asks of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, role: Role) -> None:
        self.loop, self.role = loop, role
        self.house = SimpleNamespace(settings=_SETTINGS)
        self.login = self.gate = self.sessions = self.rate = self.tls = self.readings = self
        self.greeting = b"220 h.fr ESMTP\r\n"
        self.kept: list[bytes] = []

    discovery = "https://id.example/.well-known/openid-configuration"

    def there(self, door: Door) -> frozenset[registry.Need]:
        return frozenset({registry.Need.TOKENS})

    def announced(self, door: Door, *, tls: bool) -> bytes:
        return announcement(_SETTINGS, self.there(door), tls=tls)

    def scope(self, door: Door) -> str:
        return "smtp"

    def arrive(self, session: Session, transport: object) -> bytes | None:
        session.door = Door("smtp", "192.0.2.1")
        return None

    def left(self, session: Session) -> None:
        pass

    async def by_password(self, door: Door, authzid: str, login: str, secret: object) -> Principal:
        if login != "claire":
            raise Refusal(Reason.CREDENTIALS)
        return _PRINCIPAL

    async def by_token(self, door: Door, authzid: str, token: Secret) -> Principal:
        if token.reveal() != "x":
            raise Refusal(Reason.TOKEN)
        return _PRINCIPAL

    async def envelope_sender(self, principal: Principal, address: Address) -> None:
        if address.local == "other":
            raise Refusal(Reason.NOT_YOUR_ADDRESS)

    async def recipients(
        self, principal: Principal, addresses: list[Address], size_octets: int
    ) -> list[LetIn | Refusal]:
        return [
            Refusal(Reason.NOT_REGISTERED) if address.local == "other" else Recipient(address, AccountId(2))
            for address in addresses
        ]

    def enter(self, principal: Principal, end: object) -> Entered:
        return cast(Entered, SimpleNamespace(leave=lambda: None))


class _Message:
    """A submission that is kept, or refused as the session said."""

    replay_digest = b""

    def __init__(self, stubs: _Stubs) -> None:
        self._stubs = stubs
        self._octets: list[bytes] = []
        self._refusal: Refusal | None = None
        self.is_over = False

    @property
    def is_refused(self) -> bool:
        return self._refusal is not None

    def refuse(self, reason: Reason, detail: str = "") -> None:
        self._refusal = self._refusal or Refusal(reason, detail)

    async def write(self, data: bytes) -> None:
        assert not self.is_over
        self._octets.append(data)

    async def finish(self) -> str:
        assert not self.is_over
        self.is_over = True
        if self._refusal is not None:
            raise self._refusal
        self._stubs.kept.append(b"".join(self._octets))
        return "1"

    async def abort(self) -> None:
        self.is_over = True


class _Session(Session):
    """A session whose messages and TLS are stubs."""

    def __init__(self, stubs: _Stubs) -> None:
        super().__init__(cast(SubmissionServer, stubs))
        self._stubs = stubs
        self.begun: list[_Message] = []
        self._acks = cast(Acknowledgements, SimpleNamespace(sent=lambda d: None, read=bool, lost=bool))

    def _begin(self, mail: Mail) -> Submission:
        message = _Message(self._stubs)
        self.begun.append(message)
        return cast(Submission, message)

    async def _start_tls(self) -> None:
        self._buffer.clear()
        self._say(replies.START_TLS)
        self._tls = True

    @property
    def waits(self) -> bool:
        return self._waiting


class _Wire(asyncio.Transport):
    """The peer's end: keeps what is said, and ends as a socket does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.protocol: Session | None = None
        self.said = bytearray()
        self._closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            assert self.protocol is not None
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def _raise(log: object, event: str, error: BaseException, **more: object) -> None:
    """What would be answered as our own fault is a finding."""
    raise error


async def _talk(role: Role, pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    loop = asyncio.get_running_loop()
    stubs, wire = _Stubs(loop, role), _Wire(loop)
    session = wire.protocol = _Session(stubs)
    session.connection_made(wire)
    task = session.task
    assert task is not None
    for piece in pieces:
        while not (session.waits or task.done()):
            await asyncio.sleep(0)
        if task.done() or wire.is_closing():
            break
        session.data_received(piece)
        await asyncio.sleep(0)
    while not (session.waits or task.done()):
        await asyncio.sleep(0)
    if not task.done():
        session.eof_received()
    await task
    wire.close()
    await asyncio.sleep(0)
    assert all(message.is_over for message in session.begun)
    return bytes(wire.said), stubs.kept


def _session(role: Role, octets: bytes, sizes: bytes) -> None:
    with (
        patch.object(connection, "failure", _raise),
        patch.object(commands, "failure", _raise),
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
    ):
        said, kept = runner.run(_talk(role, [octets]))
        assert re.fullmatch(rb"(?:" + _REPLY.pattern + rb"|334 [A-Za-z0-9+/=]*\r\n)*", said)
        if role is Role.SUBMISSIONS:
            again = runner.run(_talk(role, cut(octets, sizes or b"\6")))
            assert again == (said, kept)
        assert all(len(message) <= 3 * _SETTINGS.smtp.max_message_size + 2 * MAX_LINE_OCTETS for message in kept)


def session(data: bytes) -> None:
    """The first octet chooses how far the client is, and how many of the next ones cut the rest."""
    if not data:
        return
    many = data[0] // 4 % 4
    sizes, octets = data[1 : 1 + many], data[1 + many :]
    greeted = b"EHLO x\r\n"
    signed_in = greeted + b"AUTH PLAIN AGNsYWlyZQB4\r\n"
    ahead = (b"", greeted, signed_in, signed_in + b"MAIL FROM:<claire@h.fr>\r\nRCPT TO:<a@h.fr>\r\n")[data[0] % 4]
    _session(Role.SUBMISSIONS, ahead + octets, sizes)
    _session(Role.SUBMISSION, octets, sizes)


def envelope(data: bytes) -> None:
    """A command is read or told to be bad; what is read is valid and spelt in one line."""
    text = data.decode("utf-8", "replace")
    for extended in (False, True):
        for prefix in ("", "FROM:<a@b> ", "FROM:<a@b>"):
            try:
                mail = parse_mail(prefix + text, extended=extended)
            except BadCommand as bad:
                assert _REPLY.fullmatch(bad.reply)
            else:
                assert mail.sender is None or Address.parse(str(mail.sender)) == mail.sender
                wishes = mail.wishes
                assert (wishes.envid + wishes.ret).isprintable()
                assert -9 <= wishes.priority <= 9
                assert wishes.by_s is None or wishes.by_s > 0 or wishes.by is By.NOTIFY
                assert wishes.utf8 or mail.sender is None or mail.sender.is_ascii
        for prefix in ("", "TO:<a@b> ", "TO:<"):
            for utf8 in (False, True):
                try:
                    rcpt = parse_rcpt(prefix + text, extended=extended, utf8=utf8, domain=DOMAIN)
                except BadCommand as bad:
                    assert _REPLY.fullmatch(bad.reply)
                else:
                    assert Address.parse(str(rcpt.recipient)) == rcpt.recipient
                    assert utf8 or (rcpt.recipient.is_ascii and rcpt.wishes.orcpt.isascii())
    bdat = parse_bdat(text)
    assert bdat is None or 0 <= bdat.size_octets < 10**18


def _by_lines(octets: bytes) -> tuple[bytes, bytes | None]:
    """RFC 5321 §4.5.2, line by line: the message, and what came behind its end."""
    at = 0
    out: list[bytes] = []
    while (end := octets.find(b"\r\n", at)) >= 0:
        line, at = octets[at : end + 2], end + 2
        if line == b".\r\n":
            return b"".join(out), octets[at:]
        out.append(line.removeprefix(b"."))
    return b"".join(out), None


def message(data: bytes) -> None:
    """The first octet says how many cut the rest: by DATA as line by line, by BDAT octet for octet."""
    many = data[0] % 4 if data else 0
    sizes, octets = data[1 : 1 + many], data[1 + many :]
    expected, rest = _by_lines(octets)
    for pieces in ([octets], cut(octets, sizes or b"\0")):
        decoder, out, behind = Decoder(), bytearray(), bytearray()
        for piece in pieces:
            if decoder.rest is None:
                out += decoder.feed(piece)
            else:
                behind += piece
        assert decoder.octets == len(out)
        if rest is None:
            assert decoder.rest is None
            assert out.startswith(expected[: len(out)])
        else:
            assert (bytes(out), (decoder.rest or b"") + bytes(behind)) == (expected, rest)
            came = octets[: len(octets) - len(rest) - 3].replace(b"\r\n", b"")
            assert decoder.bare_newline == (b"\r" in came or b"\n" in came)
    bare = octets.replace(b"\r\n", b"")
    for pieces in ([octets], cut(octets, sizes or b"\0")):
        chunks = Chunks()
        taken = b"".join(chunks.feed(piece) for piece in pieces)
        chunks.finish()
        assert octets.startswith(taken)
        assert chunks.bare_newline == (b"\r" in bare or b"\n" in bare)
        assert len(octets) - len(taken) <= (octets[-1:] == b"\r")


def bearer(data: bytes) -> None:
    """A token's message is read or malformed; what is read, written anew, is read as the same."""
    read = OAuthBearer().step(data)
    if isinstance(read, Done):
        assert isinstance(read.credentials, Token)
        name, token = read.credentials.authzid, read.credentials.token.reveal()
        spelt = name.replace("=", "=3D").replace(",", "=2C")
        header = f"n,a={spelt}," if spelt else "n,,"
        assert OAuthBearer().step(f"{header}\1auth=Bearer {token}\1\1".encode()) == read
    read = XOAuth2().step(data)
    if isinstance(read, Done):
        assert isinstance(read.credentials, Token)
        name, token = read.credentials.authzid, read.credentials.token.reveal()
        assert XOAuth2().step(f"user={name}\1auth=Bearer {token}\1\1".encode()) == read


def exchange(data: bytes) -> None:
    """Lines of a sign-in, the first with the mechanism: it ends in credentials or in a failure, and shows no secret."""
    name, *lines = data.split(b"\n")
    mechanism, _, initial = name.partition(b" ")
    for begun in (mechanism.decode("latin-1"), *(row.name for row in registry.ROWS)):
        talk = registry.begin(begun, frozenset(registry.Need))
        if talk is None:
            continue
        step = talk.begin(initial or None)
        for line in (*lines, b"*"):
            if not isinstance(step, Challenge):
                break
            assert decode(step.line) == step.octets
            step = talk.answer(line)
        assert isinstance(step, Done | Failed)
        repr(step).encode()
    bearer(data)
    octets = decode(data)
    assert isinstance(octets, Failed) or binascii.b2a_base64(octets, newline=False) == data
    assert decode(base64.b64encode(data)) == data


_LINES = tuple(
    line.encode() + b"\r\n"
    for line in """EHLO x|HELO x|STARTTLS|AUTH PLAIN|AUTH LOGIN|AUTH PLAIN AGNsYWlyZQB4|Y2xhaXJl|*|
    AUTH XOAUTH2 dXNlcj0BYXV0aD1CZWFyZXIgeAEB|AUTH XOAUTH2|AQ==|
    AUTH OAUTHBEARER bixhPW1lLAFhdXRoPUJlYXJlciB5AQE=|
    MAIL FROM:<claire@h.fr>|MAIL FROM:<claire@h.fr> SIZE=10 BODY=8BITMIME|MAIL FROM:<>|RCPT TO:<a@h.fr>|
    RCPT TO:<other@h.fr>|RCPT TO:<b@h.fr> NOTIFY=NEVER|DATA|.|BDAT 3|BDAT 0 LAST|BDAT 3 LAST|RSET|NOOP|QUIT|
    VRFY x|HELP|Subject: x|From: claire@h.fr|""".replace("\n    ", "").split("|")
)
_PARAMETERS = tuple(
    b"SIZE= SMTPUTF8 BODY= 7BIT 8BITMIME RET= FULL HDRS ENVID= AUTH= <> NOTIFY= NEVER SUCCESS, FAILURE ORCPT=rfc822; "
    b"+2B + = < > FROM: TO: postmaster @ . a@b.fr \xc3\xa9 LAST 10".split()
)
_SASL_WORDS = (
    b"PLAIN LOGIN EXTERNAL = OAUTHBEARER XOAUTH2 * AGEAYg== Y2xhaXJl bixhPW1lLAFhdXRoPUJlYXJlciB4AQE= "
    b"dXNlcj1tZQFhdXRoPUJlYXJlciB4AQE= AQ=="
).split()
_BEARER_WORDS = (
    b"n, y, p=x, F, a= me@x.fr , =2C =3D host= port= auth= Bearer bearer user= t0k.en = k=v \xc3\xa9".split()
)
TARGETS = (
    Target("smtp", session, (*_LINES, b"\n", b"\r", b"abc", b" ", b"\0", b"\xff"), 2048),
    Target("envelope", envelope, (*_PARAMETERS, b" "), 600),
    Target("data", message, (b"\r\n", b"\r\n.\r\n", b".", b"..", b"\r", b"\n", b"\r\n.", b"a" * 40), 1024),
    Target("sasl", exchange, (*_SASL_WORDS, b" ", b"\n", b"\1"), 512),
    Target("bearer", bearer, (*_BEARER_WORDS, b" ", b"\1", b"\1\1", b"\0"), 512),
)
