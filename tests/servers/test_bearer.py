"""OAUTHBEARER and XOAUTH2 on both protocols, over real sockets and TLS: who is let in, and each exact refusal."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason
from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from mssmail.flow.sessions import Sessions
from mssmail.servers.imap import replies as imap_replies
from mssmail.servers.imap.server import ImapServer
from mssmail.servers.net.tls import server_context
from mssmail.servers.smtp import replies as smtp_replies
from mssmail.servers.smtp.roles import Role
from mssmail.settings.model import Listen
from mssmail.wire.imap.encode import encode
from tests.servers.smtp.harbour import PATIENCE_S, Client, Ports
from tests.support.bearer import TokenTown
from tests.support.provider import b64url, forged, hs256, rsa_key
from tests.support.town import CLAIRE, ORG, PAUL, address

ME = str(address(CLAIRE))
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a server said to one sign-in."""

    complaint: dict[str, str] | None
    """The error in the challenge before the failure, if there was one."""
    last: str
    """The reply, for IMAP without its tag."""


class Doors(Ports):
    """A town's submission port and its IMAP port."""

    def __init__(self, town: TokenTown) -> None:
        self.town = town
        self.sessions = Sessions(town.house, town.standing)
        super().__init__(town.home, town.pki, town.house.settings, town.login, town.gate, self.sessions)
        self._clients_from = 1
        self.imap: ImapServer
        self._imap_port = 0

    async def begin(self) -> None:
        await self.sessions.start()
        await self.open(Role.SUBMISSIONS)
        tls = server_context(self.settings)
        house = self.town.house
        self.imap = ImapServer(house, self.town.login, self.town.standing, self.sessions, tls=tls)
        loop = asyncio.get_running_loop()
        self._imap_listener = await loop.create_server(self.imap.implicit, "127.0.0.1", 0, ssl=tls)
        self._imap_port = self._imap_listener.sockets[0].getsockname()[1]

    async def finish(self) -> None:
        await self.close()
        self._imap_listener.close()
        await self.imap.close(1.0)

    def _source(self) -> tuple[str, int]:
        """An address of its own for each connection: failures of one case lock no other out."""
        self._clients_from += 1
        return (f"127.0.0.{self._clients_from}", 0)

    async def smtp(self) -> Client:
        """A connection that was greeted and has heard the EHLO."""
        port = self._listeners[Role.SUBMISSIONS].sockets[0].getsockname()[1]
        pair = await asyncio.open_connection(
            "127.0.0.1", port, ssl=self.client_context(), limit=1 << 22, local_addr=self._source()
        )
        client = Client(*pair)
        self._clients.append(client)
        await client.reply()
        self.announced = await client.ask("EHLO me")
        return client

    async def imaps(self) -> "ImapClient":
        pair = await asyncio.open_connection(
            "127.0.0.1", self._imap_port, ssl=self.client_context(), limit=1 << 22, local_addr=self._source()
        )
        client = ImapClient(*pair)
        self._clients.append(client)
        self.announced = await client.line()
        return client


class ImapClient(Client):
    async def line(self) -> str:
        return (await asyncio.wait_for(self.reader.readline(), PATIENCE_S)).decode().removesuffix("\r\n")


def message(mechanism: str, token: str, authzid: str = "") -> str:
    text = (
        f"n,{f'a={authzid}' if authzid else ''},\1host=localhost\1port=993\1auth=Bearer {token}\1\1"
        if mechanism == "OAUTHBEARER"
        else f"user={authzid}\1auth=Bearer {token}\1\1"
    )
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


async def by_smtp(client: Client, mechanism: str, line: str, *, at_once: bool = True, answer: str = "AQ==") -> Heard:
    if at_once:
        said = await client.ask(f"AUTH {mechanism} {line}")
    else:
        assert await client.ask(f"AUTH {mechanism}") == "334 "
        said = await client.ask(line)
    if not said.startswith("334 "):
        return Heard(None, said)
    return Heard(json.loads(base64.b64decode(said[4:])), await client.ask(answer))


async def by_imap(
    client: ImapClient, mechanism: str, line: str, *, at_once: bool = True, answer: str = "AQ=="
) -> Heard:
    if at_once:
        client.send(f"a AUTHENTICATE {mechanism} {line}")
    else:
        client.send(f"a AUTHENTICATE {mechanism}")
        assert await client.line() == "+ "
        client.send(line)
    said = await client.line()
    if not said.startswith("+ "):
        return Heard(None, said.removeprefix("a "))
    complaint = json.loads(base64.b64decode(said[2:]))
    client.send(answer)
    return Heard(complaint, (await client.line()).removeprefix("a "))


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    town = TokenTown(tmp_path)
    await town.settle_in()
    town.trust()
    built = Doors(town)
    await built.begin()
    yield built
    await built.finish()
    town.close()


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("own", [True, False])
async def test_let_in(doors: Doors, mechanism: str, at_once: bool, own: bool) -> None:
    """A good token lets in, with an initial response and without, and what the person does then works."""
    token = doors.town.grant().access.reveal() if own else doors.town.played.token()
    line = message(mechanism, token, ME)
    smtp, imap = await doors.smtp(), await doors.imaps()
    assert (await by_smtp(smtp, mechanism, line, at_once=at_once)).last.startswith("235 2.7.0")
    await smtp.begin_mail(ME, sender=ME)
    assert (await smtp.ask(f"From: {ME}", "", "y", ".")).startswith("250 2.6.0")
    assert (await by_imap(imap, mechanism, line, at_once=at_once)).last.startswith("OK [CAPABILITY IMAP4rev1 ")
    imap.send("b STATUS INBOX (MESSAGES)")
    assert await imap.line() == "* STATUS INBOX (MESSAGES 1)"


@pytest.mark.parametrize("size", [1_000, 5_300])
async def test_large_token(doors: Doors, size: int) -> None:
    """A token of 2 to 8 KB fits into a line of either protocol (RFC 4954 §4: 12,288 octets)."""
    token = doors.town.played.token(pad="x" * size)
    assert 2_000 < len(token) < 8_192
    for mechanism in MECHANISMS:
        line = message(mechanism, token)
        for at_once in (True, False):
            assert (await by_smtp(await doors.smtp(), mechanism, line, at_once=at_once)).last.startswith("235 ")
            assert (await by_imap(await doors.imaps(), mechanism, line, at_once=at_once)).last.startswith("OK ")


async def test_offered_where_tokens_are_judged(doors: Doors) -> None:
    """Both are announced while tokens are given, by us or a provider; else they aren't known, from the next time on."""
    await doors.smtp()
    assert re.search(r"AUTH .*\bOAUTHBEARER XOAUTH2$", doors.announced, re.MULTILINE)
    await doors.imaps()
    assert "AUTH=OAUTHBEARER AUTH=XOAUTH2" in doors.announced
    doors.town.house.renew(doors.town.home.settings)
    await doors.smtp()
    assert "OAUTHBEARER XOAUTH2" in doors.announced
    town = doors.town
    town.house.renew(replace(town.home.settings, listen=Listen(https=None)))
    doors.town.login.renew()
    smtp = await doors.smtp()
    assert "OAUTH" not in doors.announced
    assert (await by_smtp(smtp, "XOAUTH2", "=")).last.startswith("504 5.5.4")
    imap = await doors.imaps()
    assert "OAUTH" not in doors.announced
    assert (await by_imap(imap, "OAUTHBEARER", "=")).last.startswith("NO [CANNOT]")


# --- refusals ---

INVALID = ("invalid_token", "401")
NARROW = ("insufficient_scope", "403")
Make = Callable[[TokenTown], str]


def _hs256(town: TokenTown) -> str:
    return hs256(town.played.claims(), rsa_key("k1").as_pem(private=False), "k1")


PROVIDED: list[tuple[str, Make, str, Reason]] = [
    ("alg none", lambda t: forged({"alg": "none", "kid": "k1"}, t.played.claims()), "", Reason.TOKEN),
    ("HS256 by the public key", _hs256, "", Reason.TOKEN),
    ("wrong key", lambda t: t.played.token(key=rsa_key("k2"), header={"kid": "k1"}), "", Reason.TOKEN),
    ("unknown kid", lambda t: t.played.token(key=rsa_key("k2")), "", Reason.TOKEN),
    ("another audience", lambda t: t.played.token(aud="other"), "", Reason.TOKEN),
    ("another issuer", lambda t: t.played.token(iss="https://evil.example"), "", Reason.TOKEN),
    ("expired", lambda t: t.played.token(exp=t.played.now - 60), "", Reason.TOKEN),
    ("not yet valid", lambda t: t.played.token(nbf=t.played.now + 60), "", Reason.TOKEN),
    ("no end", lambda t: t.played.token(exp=None), "", Reason.TOKEN),
    ("acr too low", lambda t: t.played.token(acr="eidas0"), "", Reason.TOKEN),
    ("no acr", lambda t: t.played.token(acr=None), "", Reason.TOKEN),
    ("garbage", lambda t: f"{b64url(b'{')}.{b64url(b'{')}.{b64url(b'{')}", "", Reason.TOKEN),
    ("nested", lambda t: t.played.token(header={"cty": "JWT"}), "", Reason.TOKEN),
    ("encrypted", lambda t: t.played.encrypted(), "", Reason.TOKEN),
    ("opaque", lambda t: "0123456789", "", Reason.TOKEN),
    ("empty", lambda t: "", "", Reason.TOKEN),
    ("nobody here", lambda t: t.played.token("810000000777"), "", Reason.TOKEN),
    ("no practice", lambda t: t.played.token(SubjectRefPro={"exercices": []}), "", Reason.NOT_ELIGIBLE),
    ("somebody else's box", lambda t: t.played.token(), str(address(PAUL)), Reason.NOT_DELEGATED),
    ("a box that isn't there", lambda t: t.played.token(), "x@demo.mssante.fr", Reason.NOT_DELEGATED),
]


def _revoked(town: TokenTown) -> str:
    issued = town.grant()
    town.revoke(issued)
    return issued.access.reveal()


OWN: list[tuple[str, Make, str, Reason]] = [
    ("revoked", _revoked, "", Reason.TOKEN),
    ("made up", lambda t: "mssat_" + "A" * 43, "", Reason.TOKEN),
    ("a refresh token", lambda t: t.grant().refresh.reveal(), "", Reason.TOKEN),
    ("for nothing", lambda t: t.grant(scope="").access.reveal(), "", Reason.SCOPE),
    ("somebody else's box", lambda t: t.grant().access.reveal(), str(address(PAUL)), Reason.NOT_DELEGATED),
]


async def check(doors: Doors, name: str, token: str, authzid: str, reason: Reason) -> None:
    """Both mechanisms on both protocols refuse for that reason, as they should."""
    told = {Reason.TOKEN: INVALID, Reason.SCOPE: NARROW}.get(reason)
    for mechanism in MECHANISMS:
        line = message(mechanism, token, authzid)
        for scope, heard, last in (
            ("smtp", await by_smtp(await doors.smtp(), mechanism, line), _smtp(reason)),
            ("imap", await by_imap(await doors.imaps(), mechanism, line), _imap(reason)),
        ):
            expected: dict[str, str] | None = None
            if told is not None and mechanism == "OAUTHBEARER":
                discovery = doors.town.played.rules().description
                expected = {"status": told[0], "scope": scope, "openid-configuration": discovery}
            elif told is not None:
                expected = {"status": told[1], "schemes": "Bearer", "scope": scope}
            assert (name, mechanism, heard) == (name, mechanism, Heard(expected, last))


def _smtp(reason: Reason) -> str:
    return smtp_replies.REASONS[reason].decode().removesuffix("\r\n")


def _imap(reason: Reason) -> str:
    return encode(imap_replies.of(reason, b"a")).decode().removeprefix("a ").removesuffix("\r\n")


async def test_refused_provided(doors: Doors) -> None:
    """Each of a provider's tokens that isn't right is refused, on both protocols in the mechanism's own words."""
    for name, make, authzid, reason in PROVIDED:
        await check(doors, name, make(doors.town), authzid, reason)


async def test_refused_own(doors: Doors) -> None:
    """Each of our own tokens that isn't right is refused alike."""
    for name, make, authzid, reason in OWN:
        await check(doors, name, make(doors.town), authzid, reason)
    token = doors.town.grant().access.reveal()
    doors.town.clock.advance(3_600)
    await check(doors, "expired", token, "", Reason.TOKEN)


async def test_replies() -> None:
    """What a client's program reads of each refusal is as RFC 4954 §6 and RFC 5530 §3 have it."""
    codes = {
        Reason.TOKEN: ("535 5.7.8 ", "NO [AUTHENTICATIONFAILED] "),
        Reason.SCOPE: ("535 5.7.8 ", "NO [AUTHORIZATIONFAILED] "),
        Reason.NOT_DELEGATED: ("535 5.7.8 ", "NO [AUTHORIZATIONFAILED] "),
        Reason.NOT_ELIGIBLE: ("550 5.7.0 ", "NO [CONTACTADMIN] "),
        Reason.SUSPENDED: ("550 5.2.1 ", "NO [CONTACTADMIN] "),
        Reason.LOCKED: ("454 4.7.0 ", "NO [UNAVAILABLE] "),
        Reason.UNAVAILABLE: ("451 4.3.0 ", "NO [UNAVAILABLE] "),
    }
    for reason, (smtp, imap) in codes.items():
        assert _smtp(reason).startswith(smtp)
        assert _imap(reason).startswith(imap)


async def test_standing(doors: Doors) -> None:
    """Who is suspended or struck off hears that at once: another token would mend nothing."""
    town = doors.town
    await town.delegate(ORG, CLAIRE)
    await town.people.suspend(address(ORG))
    await check(doors, "suspended box", town.played.token(), str(address(ORG)), Reason.SUSPENDED)
    await town.people.suspend(address(PAUL))
    await check(doors, "suspended", town.played.token(demo.PAUL.national_id), "", Reason.SUSPENDED)
    await town.load(town.population.without(demo.CLAIRE.national_id))
    await check(doors, "struck off", town.played.token(), "", Reason.STRUCK_OFF)
    await check(doors, "struck off, our own", town.grant().access.reveal(), "", Reason.STRUCK_OFF)


async def test_provider_away(doors: Doors) -> None:
    """Without keys the answer is to come back later, and nothing is said against the token."""
    doors.town.played.away()
    await check(doors, "away", doors.town.played.token(), "", Reason.UNAVAILABLE)


async def test_locked(doors: Doors) -> None:
    """From an address that is locked, a good token is told so, and to come back later."""
    client = doors._source()[0]
    for n in range(10):
        with pytest.raises(Exception, match="token"):
            await doors.town.by_token(Secret(f"guess{n}"), client=client)
    doors._clients_from -= 1
    smtp = await doors.smtp()
    heard = await by_smtp(smtp, "XOAUTH2", message("XOAUTH2", doors.town.played.token(), ME))
    assert heard == Heard(None, _smtp(Reason.LOCKED))


# --- what the client says wrongly ---


@pytest.mark.parametrize("answer", ["AQ==", "", "*", "!!", "QUFB", "A" * 13_000], ids=lambda text: text[:5] or "empty")
@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_answer_to_the_complaint(doors: Doors, mechanism: str, answer: str) -> None:
    """Whatever the client answers to the error, the sign-in has failed for its reason, and the next one is heard."""
    line = message(mechanism, "opaque", ME)
    smtp, imap = await doors.smtp(), await doors.imaps()
    heard = await by_smtp(smtp, mechanism, line, answer=answer)
    assert (heard.complaint is not None, heard.last) == (True, _smtp(Reason.TOKEN))
    heard = await by_imap(imap, mechanism, line, answer=answer)
    assert (heard.complaint is not None, heard.last) == (True, _imap(Reason.TOKEN))
    good = message(mechanism, doors.town.grant().access.reveal(), ME)
    assert (await by_smtp(smtp, mechanism, good)).last.startswith("235 ")
    assert (await by_imap(imap, mechanism, good)).last.startswith("OK ")


BROKEN = [
    ("not base64", "!!!!", "501 5.5.2", "BAD "),
    ("cut base64", "bix", "501 5.5.2", "BAD "),
    ("not encoded", "user=me", "501 5.5.2", "BAD "),
    ("empty", "=", "501 5.5.2", "BAD "),
    ("kvsep alone", "AQ==", "501 5.5.2", "BAD "),
    ("NULs", base64.b64encode(b"\0" * 30).decode(), "501 5.5.2", "BAD "),
    ("no token", base64.b64encode(b"n,,\1\1").decode(), "501 5.5.2", "BAD "),
    ("too long", "A" * 13_000, "500 5.5.6", None),
]


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_broken(doors: Doors, mechanism: str) -> None:
    """What is no message of the mechanism is a fault of syntax on either protocol, and counts as no guess."""
    for name, line, smtp, imap in BROKEN:
        for at_once in (True, False):
            given = "" if line == "=" and not at_once else line
            heard = await by_smtp(await doors.smtp(), mechanism, given, at_once=at_once)
            assert (name, heard.complaint, heard.last[:9]) == (name, None, smtp)
            heard = await by_imap(await doors.imaps(), mechanism, given, at_once=at_once)
            assert (name, heard.complaint) == (name, None)
            assert re.match(imap or r"(a )?(BAD|NO) |\* BYE ", heard.last), (name, heard.last)
    assert (await by_smtp(await doors.smtp(), mechanism, "*", at_once=False)).last.startswith("501 5.7.0")
    assert (await by_imap(await doors.imaps(), mechanism, "*", at_once=False)).last.startswith("BAD ")
    assert await doors.town.bans.list() == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_megabyte(doors: Doors, at_once: bool) -> None:
    """A megabyte in a token's place is refused without being kept: SMTP goes on, IMAP ends the connection."""
    line = "A" * 1_000_000
    smtp, imap = await doors.smtp(), await doors.imaps()
    heard = await by_smtp(smtp, "XOAUTH2", line, at_once=at_once)
    assert heard.last.startswith("500 5.5.")
    assert (await smtp.ask("NOOP")).startswith("250 ")
    heard = await by_imap(imap, "XOAUTH2", line, at_once=at_once)
    assert heard.last.startswith("* BYE [TOOBIG] ")
    assert await doors.town.bans.list() == []
