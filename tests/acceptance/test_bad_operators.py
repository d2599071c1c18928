"""Other operators' hosts that misbehave, on real sockets: what the queue makes of each, and what its sender is told.

One server writes to all of them at once, each at a domain of its own, so that nobody waits for those that hang: when
the messages are new, after the time of the notice of delay, and after their lifetime.
"""

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mssmail.base.clock import FakeClock
from mssmail.base.principal import Principal
from mssmail.base.relay import Cause
from mssmail.base.section import Section
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.flow.bounce import Bounces
from mssmail.flow.read import Reader
from mssmail.flow.relay import Relay
from mssmail.flow.standing import Standing
from mssmail.flow.trust import TrustLists
from mssmail.flow.view import open_view
from mssmail.flow.vouch import ListVouch
from mssmail.identity.certificates import Certificates
from mssmail.servers.smtp.courier.carrier import SmtpCourier
from mssmail.settings.model import Settings, Tls, Trust
from mssmail.settings.trust_space import Relay as RelaySettings
from mssmail.settings.trust_space import Route
from mssmail.settings.units import Seconds
from mssmail.store.queue_state import State
from tests.servers.smtp.courier.nameserver import GARBAGE, REFUSED, SERVFAIL, SILENT, STRAY, NameServer
from tests.servers.smtp.courier.sink import CLOSE, HANG, OFFERS, Manners, Sink, server_tls
from tests.servers.smtp.quay import subject_of
from tests.support.houses import Home, settings_for
from tests.support.issuance import Wish, issue, save
from tests.support.relays import Post
from tests.support.reports import read, status_of
from tests.support.whitelist import white_list

HOUR, DAY = 3600, 86_400
PATIENCE_S: Final = 120.0
SPACE: Final = "mssante.fr"
NO_CHUNKS = ("PIPELINING", "8BITMIME")
PLAIN = ("SIZE", "8BITMIME")
ROUTE, UNKNOWN = "a fixed route leads to the host", "no such name"
ABOUT_TLS = frozenset({Cause.TLS_FAILED, Cause.CERTIFICATE, Cause.NOT_LISTED, Cause.EXPIRED, Cause.NO_STARTTLS})
FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
DOUBT = "ask before you send it again"
WORDS = "Créatinine"
"""Stands in the body of every message, and in no notice."""


@dataclass(frozen=True)
class Case:
    """A host, and what is to come of a message for it."""

    manners: Manners = field(default_factory=Manners)
    cause: Cause = Cause.DEFERRED
    status: str = ""
    """In the notices: how it begins."""
    answer: str = ""
    """In the notices, by the host: how it begins."""
    permanent: bool = False
    in_doubt: bool = False
    reached: bool = True
    """Whether there was a host to speak with."""
    certificate: str = "own"
    closed: bool = False
    """Nobody listens."""
    dns: dict[str, list[str]] | str = ROUTE
    """What the DNS says of the domain."""


def says(offers: tuple[str, ...] = OFFERS, **replies: bytes) -> Manners:
    return Manners(says=replies, offers=offers)


MEGABYTE = b"x" * (1 << 20)
CASES: Final = {
    # certificates, judged by a true white list
    "none": Case(cause=Cause.TLS_FAILED, status="4.7.5", certificate="none"),
    "stranger": Case(cause=Cause.CERTIFICATE, status="4.7.5", certificate="stranger"),
    "anothers": Case(cause=Cause.NOT_LISTED, status="4.7.5", certificate="another's"),
    "foreign-domain": Case(cause=Cause.NOT_LISTED, status="4.7.5", certificate="unlisted"),
    "expired": Case(cause=Cause.EXPIRED, status="4.7.5", certificate="expired"),
    # TLS taken away
    "stripped": Case(Manners(clear=("PIPELINING",)), Cause.NO_STARTTLS, "4.7.4"),
    "refused-tls": Case(says(STARTTLS=b"454 4.7.0 not now"), Cause.NO_STARTTLS, "4.7.0", "454 4.7.0 not now"),
    "injected": Case(says(STARTTLS=b"220 go\r\n250 STARTTLS"), Cause.NO_STARTTLS, "4.7.4"),
    # no SMTP
    "ssh": Case(says(GREETING=b"SSH-2.0-OpenSSH_9"), Cause.GARBAGE, "4.5.0"),
    "garbage-to-mail": Case(says(NO_CHUNKS, MAIL=b"\x16\x03\x01\x02\x00"), Cause.GARBAGE, "4.5.0"),
    "garbage-at-the-end": Case(says(END=b"fine, thanks"), Cause.GARBAGE, "4.5.0", in_doubt=True),
    "long-greeting": Case(says(GREETING=b"220 " + MEGABYTE), Cause.GARBAGE, "4.5.0"),
    "long-ehlo": Case(says(HELLO=b"250-" + MEGABYTE), Cause.GARBAGE, "4.5.0"),
    "long-reply": Case(says(END=b"250 " + MEGABYTE), Cause.GARBAGE, "4.5.0", in_doubt=True),
    # later, for ever
    "busy": Case(says(GREETING=b"421 4.3.2 busy"), Cause.DEFERRED, "4.3.2", "421 4.3.2 busy"),
    "mail-later": Case(says(MAIL=b"451 4.7.1 later"), Cause.DEFERRED, "4.7.1", "451 4.7.1 later"),
    "greylisted": Case(says(RCPT=b"450 4.2.0 greylisted"), Cause.DEFERRED, "4.2.0", "450 4.2.0 greylisted"),
    "full": Case(says(NO_CHUNKS, DATA=b"452 4.3.1 full"), Cause.DEFERRED, "4.3.1", "452 4.3.1 full"),
    "end-later": Case(says(END=b"451 4.3.0 later"), Cause.DEFERRED, "4.3.0", "451 4.3.0 later"),
    # never
    "unknown": Case(says(RCPT=b"550 5.1.1 who"), Cause.REFUSED, "5.1.1", "550 5.1.1 who", permanent=True),
    "mail-never": Case(says(MAIL=b"550 5.7.1 never"), Cause.REFUSED, "5.7.1", "550 5.7.1 never", permanent=True),
    "end-never": Case(says(END=b"554 5.6.0 no"), Cause.REFUSED, "5.6.0", "554 5.6.0 no", permanent=True),
    "no-mail-here": Case(says(GREETING=b"521 no mail"), Cause.REFUSED, "5.0.0", "521 no mail", permanent=True),
    "too-large": Case(says(("SIZE 10",)), Cause.TOO_LARGE, "5.3.4", permanent=True),
    # silence
    "silent-greeting": Case(says(GREETING=HANG), Cause.TIMED_OUT, "4.4.2"),
    "silent-starttls": Case(says(STARTTLS=HANG), Cause.TIMED_OUT, "4.4.2"),
    "silent-rcpt": Case(says(PLAIN, RCPT=HANG), Cause.TIMED_OUT, "4.4.2"),
    "silent-data": Case(says(NO_CHUNKS, DATA=HANG), Cause.TIMED_OUT, "4.4.2"),
    "silent-after-data": Case(says(NO_CHUNKS, END=HANG), Cause.TIMED_OUT, "4.4.2", in_doubt=True),
    "silent-after-bdat": Case(says(END=HANG), Cause.TIMED_OUT, "4.4.2", in_doubt=True),
    # ends
    "nobody": Case(cause=Cause.UNREACHABLE, status="4.4.1", reached=False, closed=True),
    "closes": Case(says(GREETING=CLOSE), Cause.LOST, "4.4.2"),
    "closes-at-ehlo": Case(says(HELLO=CLOSE), Cause.LOST, "4.4.2"),
    "closes-at-data": Case(says(NO_CHUNKS, DATA=CLOSE), Cause.LOST, "4.4.2"),
    "closes-before-the-reply": Case(says(END=CLOSE), Cause.LOST, "4.4.2", in_doubt=True),
    "closes-before-the-reply-to-data": Case(says(PLAIN, END=CLOSE), Cause.LOST, "4.4.2", in_doubt=True),
    # the DNS
    "no-name": Case(dns=UNKNOWN, cause=Cause.NO_DOMAIN, status="5.1.2", permanent=True, reached=False),
    "empty": Case(dns={}, cause=Cause.NO_HOST, status="5.4.4", permanent=True, reached=False),
    "null-mx": Case(dns={"MX": ["0 ."]}, cause=Cause.NULL_MX, status="5.1.10", permanent=True, reached=False),
    "servfail": Case(dns=SERVFAIL, cause=Cause.DNS_FAILED, status="4.4.3", reached=False),
    "dns-refuses": Case(dns=REFUSED, cause=Cause.DNS_FAILED, status="4.4.3", reached=False),
    "dns-slow": Case(dns=SILENT, cause=Cause.DNS_TIMED_OUT, status="4.4.3", reached=False),
    "dns-garbage": Case(dns=GARBAGE, cause=Cause.DNS_TIMED_OUT, status="4.4.3", reached=False),
    "dns-of-another": Case(dns=STRAY, cause=Cause.DNS_TIMED_OUT, status="4.4.3", reached=False),
    "dns-lies": Case(dns={"A": ["127.0.0.1"]}, cause=Cause.NOT_LISTED, status="4.7.5", certificate="another's"),
}


# --- one server, and all of them ---


@dataclass
class Notice:
    """What a sender was told."""

    action: str
    status: str
    recipient: str
    remote: str
    answer: str
    words: str
    octets: bytes


@dataclass
class Story:
    """What became of a message for a host, in the end of each act."""

    states: list[State] = field(default_factory=list)
    told: list[list[Notice]] = field(default_factory=list)
    trail: list[tuple[str, str, bool]] = field(default_factory=list)
    """Of the first act: kind, outcome, whether it is in doubt."""
    commands: list[str] = field(default_factory=list)
    taken: int = 0


class World:
    """A server that writes to a host for each of these cases. `open` it, then `close`."""

    def __init__(self, folder: Path, cases: dict[str, Case]) -> None:
        self.clock = FakeClock()
        self.cases = cases
        self._folder = folder
        self._pki = pki = DemoPki.create_or_load(folder / "pki", self.clock)
        self._own = pki.organisation("smtp.labo.mssante.fr", "1750000003", "LABO", "Paris (75)")
        self._other = pki.organisation("smtp.hopital.mssante.fr", "1750000002", "HÔPITAL", "Puy-de-Dôme (63)")
        people, anchors = folder / "people.pem", folder / "anchors.pem"
        people.write_bytes(pki.persons.pem + pki.root.pem)
        anchors.write_bytes(pki.organisations.pem + pki.root.pem)
        mine = pki.server()
        self._settings: Settings = replace(
            settings_for(folder),
            trust=Trust(people, anchors, pki.crls, operators_ca=anchors),
            tls=Tls(mine.cert, mine.key),
        )
        home = Home(folder, self.clock, settings=self._settings)
        self.post = Post(folder, home=home)
        self.sinks: dict[str, Sink] = {}
        self._sent: dict[str, tuple[Principal, str]] = {}

    def _context(self, certificate: str) -> ssl.SSLContext:
        leaf: Leaf = self._own
        match certificate:
            case "none":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                context.set_ciphers("aNULL:@SECLEVEL=0")
                return context
            case "stranger":
                leaf = self._pki.person("810000000001", "MARTIN", "CLAIRE", "Médecin")
            case "another's":
                leaf = self._other
            case "expired":
                leaf = self._until(-1.0)
            case "brief":
                leaf = self._until(2.0)
        return server_tls(leaf)

    def _until(self, days: float) -> Leaf:
        """A certificate of the host's that ends then."""
        subject = x509.load_pem_x509_certificates(self._own.cert.read_bytes())[0].subject
        wish = Wish(subject=subject, extensions=((FOR_SERVERS, False),), begins=-10.0, ends=days)
        return save(self._folder, f"until{days}", *issue(self._pki.organisations, self.clock, wish))

    async def open(self) -> None:
        zone: dict[str, dict[str, list[str]] | str] = {}
        routes = []
        for name, case in self.cases.items():
            sink = self.sinks[name] = await Sink(self._context(case.certificate), case.manners).open()
            if case.dns == ROUTE:
                routes.append(Route(f"{name}.{SPACE}", "127.0.0.1", sink.port))
            elif case.dns != UNKNOWN:
                zone[f"{name}.{SPACE}"] = case.dns
        for name, case in self.cases.items():
            if case.closed:
                await self.sinks[name].close()
        self._names = await NameServer(zone).open()
        lying = [sink for name, sink in self.sinks.items() if self.cases[name].dns != ROUTE]
        soon = Seconds(2)
        relay = RelaySettings(
            routes=tuple(routes),
            port=lying[-1].port if lying else 25,
            nameservers=(self._names.place,),
            dns_timeout=soon,
            connect_timeout=soon,
            reply_timeout=soon,
            block_timeout=soon,
            end_timeout=soon,
            idle_timeout=Seconds(60),
        )
        house = self.post.house
        listed = [
            (f"{name}.{SPACE}", subject_of(self._other if case.certificate == "unlisted" else self._own))
            for name, case in self.cases.items()
        ]
        await TrustLists(house, "root").load(white_list(self.clock.now(), *listed), name="list.xml", allow_shrink=True)
        vouch = ListVouch(house, Standing(house, Certificates(self._settings.trust, self.clock)))
        self._courier = SmtpCourier(replace(self._settings, relay=relay), vouch)
        self.post.relay = Relay(house, self._courier, Bounces(house), lambda address: False, lambda: 0.0)

    async def send(self, name: str) -> None:
        """A message for a case's host, from a box of its own."""
        if name not in self._sent:
            self._sent[name] = (self.post.home.add_account(name), "")
        who, _ = self._sent[name]
        self._sent[name] = (who, await self.post.send(who, f"anne@{name}.{SPACE}"))

    async def drive(self) -> None:
        """Let the relay do all that is due now."""
        await self.post.relay.terms.look()
        tried = -1
        while (now := len(self.post.rows("SELECT 1 FROM queue_attempts"))) > tried or self.post.relay.carriers:
            tried = now
            await self.post.relay.turn()
            await self.post.settled()

    async def note(self, name: str, story: Story) -> None:
        """Write down how a message fares."""
        who, ident = self._sent[name]
        (state,) = self.post.states(ident)
        if not story.states:
            story.trail = [
                (kind, outcome, bool(said.get("in_doubt")))
                for kind, _, outcome, said in self.post.events("relayed", "relay-deferred", "relay-failed")
                if said["id"] == ident
            ]
        story.states.append(state)
        story.told.append([notice(octets) for octets in await self._inbox(who)])
        story.commands, story.taken = list(self.sinks[name].commands), len(self.sinks[name].messages)

    async def _inbox(self, who: Principal) -> list[bytes]:
        view = await open_view(self.post.house, who, "INBOX", read_only=True)
        found: list[bytes] = []
        async for fetched in Reader(self.post.house, view).messages(range(len(view)), [(Section(), None)]):
            (piece,) = fetched.pieces
            assert piece is not None
            assert piece.data is not None
            found.append(piece.data)
        return found

    async def close(self) -> None:
        await self.post.relay.close()
        await self._courier.close()
        for name, sink in self.sinks.items():
            if not self.cases[name].closed:
                await sink.close()
        self._names.close()
        self.post.close()


def notice(octets: bytes) -> Notice:
    _, (words, status, *_) = read(octets)
    assert isinstance(words, EmailMessage)
    _, about = status_of(status)
    return Notice(
        str(about["Action"]),
        str(about["Status"]),
        str(about["Final-Recipient"]).partition(";")[2].strip(),
        str(about.get("Remote-MTA", "")),
        str(about.get("Diagnostic-Code", "")).removeprefix("smtp; "),
        words.get_content(),
        octets,
    )


async def _told(folder: Path, cases: dict[str, Case]) -> dict[str, Story]:
    """Three acts: the messages are new; the notice of delay is due; the lifetime is over."""
    world = World(folder, cases)
    stories = {name: Story() for name in cases}
    async with asyncio.timeout(PATIENCE_S):
        await world.open()
        for name in cases:
            await world.send(name)
        for later in (0, 4 * HOUR + 1, 5 * DAY):
            world.clock.advance(later)
            await world.drive()
            for name, story in stories.items():
                await world.note(name, story)
        await world.close()
    return stories


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Story]:
    return asyncio.run(_told(tmp_path_factory.mktemp("world"), CASES))


@pytest.mark.parametrize("name", CASES)
def test_bad_operator(stories: dict[str, Story], name: str) -> None:
    """What a host does wrong is the queue's to bear and the sender's to know: for good only by the host's own word or
    the DNS's, else it is tried until its lifetime ends, with one notice of the delay and one of the end.
    """
    case, story = CASES[name], stories[name]
    kind = "relay-failed" if case.permanent else "relay-deferred"
    assert story.trail == [(kind, case.cause.value, case.in_doubt)]
    if case.permanent:
        assert story.states == [State.FAILED] * 3
        assert [[each.action for each in told] for told in story.told] == [["failed"]] * 3
    else:
        assert story.states == [State.WAITING, State.WAITING, State.FAILED]
        assert [[each.action for each in told] for told in story.told] == [[], ["delayed"], ["delayed", "failed"]]
    assert case.in_doubt or story.taken == 0
    if case.cause in ABOUT_TLS:
        assert {command.split()[0] for command in story.commands} <= {"EHLO", "STARTTLS", "QUIT"}


@pytest.mark.parametrize("name", CASES)
def test_notices(stories: dict[str, Story], name: str) -> None:
    """A notice says of whom it is, what the host answered or what was found, and nothing of the message."""
    case = CASES[name]
    for told in stories[name].told[-1]:
        assert told.recipient == f"anne@{name}.{SPACE}"
        assert told.status.startswith(case.status), told
        assert told.answer.startswith(case.answer)
        assert bool(told.remote) is case.reached, told
        assert told.recipient in told.words
        assert (DOUBT in told.words) is (case.in_doubt and told.action == "failed")
        assert WORDS.encode() not in told.octets
        assert "Bilan" not in told.words
        assert len(told.octets) < 10_000
        assert told.octets.count(b"x" * 1000) == 0


async def _mended(folder: Path, names: tuple[str, ...]) -> dict[str, Story]:
    world = World(folder, {name: CASES[name] for name in names})
    stories = {name: Story() for name in names}
    await world.open()
    for name in names:
        await world.send(name)
    for later in (0, HOUR):
        world.clock.advance(later)
        await world.drive()
        for name, story in stories.items():
            await world.note(name, story)
            world.sinks[name].manners = Manners()
    await world.close()
    return stories


MENDED = ("stripped", "ssh", "greylisted", "silent-data", "silent-after-bdat", "closes-before-the-reply")


def test_mended(tmp_path: Path) -> None:
    """Once a host behaves it gets what waits, and nobody is told of anything."""
    for name, story in asyncio.run(_mended(tmp_path, MENDED)).items():
        assert (name, story.states) == (name, [State.WAITING, State.RELAYED])
        assert (story.told, story.taken) == ([[], []], 1)


async def _expires(folder: Path) -> Story:
    world, story = World(folder, {"brief": Case(certificate="brief")}), Story()
    await world.open()
    for later in (0, 3 * DAY):
        world.clock.advance(later)
        await world.send("brief")
        await world.drive()
        await world.note("brief", story)
    world.clock.advance(5 * DAY)
    await world.drive()
    await world.note("brief", story)
    await world.close()
    return story


def test_expires_mid_session(tmp_path: Path) -> None:
    """A host whose certificate ends while the connection is kept gets what went before, and its sender hears of the
    rest alone.
    """
    story = asyncio.run(_expires(tmp_path))
    assert story.states == [State.RELAYED, State.WAITING, State.FAILED]
    assert story.taken == 1
    assert [[(each.action, each.status) for each in told] for told in story.told] == [[], [], [("failed", "4.7.5")]]
