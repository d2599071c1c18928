"""Where mail goes, by a DNS that is asked over a real socket: its hosts in their order, or what is wrong with it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from mssmail.base.relay import Cause
from mssmail.servers.smtp.courier.destination import Destinations
from mssmail.servers.smtp.courier.host import MAX_HOSTS, Host, Unroutable
from mssmail.settings.trust_space import Relay, Route
from mssmail.settings.units import Seconds
from tests.servers.smtp.courier.jetty import LABO, MESSAGE, Jetty, causes, errand, message
from tests.servers.smtp.courier.nameserver import GARBAGE, REFUSED, SERVFAIL, SILENT, STRAY, NameServer, Zone
from tests.servers.smtp.courier.sink import CLOSE, Manners

OWN = "smtp.hopital.mssante.fr"
Ask = Callable[[Zone], Awaitable[list[Host]]]


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """The hosts of the laboratory by a zone."""
    servers: list[NameServer] = []

    async def asked(zone: Zone) -> list[Host]:
        server = await NameServer(zone).open()
        servers.append(server)
        relay = Relay(nameservers=(server.place,), dns_timeout=Seconds(1))
        return await Destinations(relay, OWN).hosts(LABO)

    yield asked
    for server in servers:
        server.close()


def test_the_dns_is_not_loaded_before_it_is_asked() -> None:
    """Neither commands nor servers with fixed routes alone pay for the DNS's library."""
    code = "import sys, mssmail.app; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mssmail.servers.smtp.courier.destination" in loaded
    assert "dns" not in loaded


def host(name: str, address: str) -> Host:
    return Host(name, address, 25)


ROUTES: dict[str, tuple[Zone, list[Host]]] = {
    "mx": (
        {LABO: {"MX": ["10 mx.labo.fr."]}, "mx.labo.fr": {"A": ["192.0.2.1"]}},
        [host("mx.labo.fr", "192.0.2.1")],
    ),
    "preference": (
        {
            LABO: {"MX": ["20 b.labo.fr.", "10 a.labo.fr.", "30 c.labo.fr."]},
            "a.labo.fr": {"A": ["192.0.2.1"]},
            "b.labo.fr": {"A": ["192.0.2.2"]},
            "c.labo.fr": {"A": ["192.0.2.3"]},
        },
        [host("a.labo.fr", "192.0.2.1"), host("b.labo.fr", "192.0.2.2"), host("c.labo.fr", "192.0.2.3")],
    ),
    "ipv6 and ipv4 by turns": (
        {
            LABO: {"MX": ["10 mx.labo.fr."]},
            "mx.labo.fr": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
        },
        [host("mx.labo.fr", "2001:db8::1"), host("mx.labo.fr", "192.0.2.1")],
    ),
    "implicit": ({LABO: {"A": ["192.0.2.1"]}}, [host(LABO, "192.0.2.1")]),
    "implicit ipv6": ({LABO: {"AAAA": ["2001:db8::1"]}}, [host(LABO, "2001:db8::1")]),
    "alias": (
        {LABO: {"MX": ["10 mx.labo.fr."]}, "mx.labo.fr": {"AAAA": [], "A": ["192.0.2.1", "192.0.2.1"]}},
        [host("mx.labo.fr", "192.0.2.1")],
    ),
    "one host without a name": (
        {LABO: {"MX": ["10 gone.labo.fr.", "20 b.labo.fr."]}, "b.labo.fr": {"A": ["192.0.2.2"]}},
        [host("b.labo.fr", "192.0.2.2")],
    ),
    "one host whose name fails": (
        {
            LABO: {"MX": ["10 a.labo.fr.", "20 b.labo.fr."]},
            "a.labo.fr": SERVFAIL,
            "b.labo.fr": {"A": ["192.0.2.2"]},
        },
        [host("b.labo.fr", "192.0.2.2")],
    ),
    "addresses that mean no host": (
        {LABO: {"MX": ["10 mx.labo.fr."]}, "mx.labo.fr": {"A": ["0.0.0.0", "224.0.0.1", "192.0.2.1"], "AAAA": ["::"]}},
        [host("mx.labo.fr", "192.0.2.1")],
    ),
    "better than this server": (
        {
            LABO: {"MX": ["10 a.labo.fr.", f"20 {OWN}.", "20 b.labo.fr.", "30 c.labo.fr."]},
            "a.labo.fr": {"A": ["192.0.2.1"]},
            "b.labo.fr": {"A": ["192.0.2.2"]},
            "c.labo.fr": {"A": ["192.0.2.3"]},
            OWN: {"A": ["192.0.2.9"]},
        },
        [host("a.labo.fr", "192.0.2.1")],
    ),
}


@pytest.mark.parametrize(("zone", "hosts"), ROUTES.values(), ids=ROUTES.keys())
async def test_hosts(ask: Ask, zone: Zone, hosts: list[Host]) -> None:
    """A domain's hosts come in the order of RFC 5321 §5.1."""
    assert await ask(zone) == hosts


FAILURES: dict[str, tuple[Zone, Cause, bool]] = {
    "no such domain": ({}, Cause.NO_DOMAIN, True),
    "nothing there": ({LABO: {}}, Cause.NO_HOST, True),
    "no host has an address": ({LABO: {"MX": ["10 mx.labo.fr."]}, "mx.labo.fr": {}}, Cause.NO_HOST, True),
    "no host has a name": ({LABO: {"MX": ["10 mx.labo.fr."]}}, Cause.NO_HOST, True),
    "a host that is an address": ({LABO: {"MX": ["10 192.0.2.1."]}}, Cause.NO_HOST, True),
    "null": ({LABO: {"MX": ["0 ."], "A": ["192.0.2.1"]}}, Cause.NULL_MX, True),
    "this server": (
        {LABO: {"MX": [f"10 {OWN}.", "20 b.labo.fr."]}, "b.labo.fr": {"A": ["192.0.2.2"]}},
        Cause.LOOP,
        True,
    ),
    "servfail": ({LABO: SERVFAIL}, Cause.DNS_FAILED, False),
    "refused": ({LABO: REFUSED}, Cause.DNS_FAILED, False),
    "silent": ({LABO: SILENT}, Cause.DNS_TIMED_OUT, False),
    "host silent": ({LABO: {"MX": ["10 mx.labo.fr."]}, "mx.labo.fr": SILENT}, Cause.DNS_TIMED_OUT, False),
    "host fails": ({LABO: {"MX": ["10 mx.labo.fr."]}, "mx.labo.fr": SERVFAIL}, Cause.DNS_FAILED, False),
    "host fails, another has none": (
        {LABO: {"MX": ["10 a.labo.fr.", "20 b.labo.fr."]}, "a.labo.fr": SERVFAIL, "b.labo.fr": {}},
        Cause.DNS_FAILED,
        False,
    ),
}


@pytest.mark.parametrize(("zone", "cause", "permanent"), FAILURES.values(), ids=FAILURES.keys())
async def test_failures(ask: Ask, zone: Zone, cause: Cause, permanent: bool) -> None:
    """Each thing that can be wrong with a domain has its cause; what the DNS itself lacks is never for good."""
    with pytest.raises(Unroutable) as raised:
        await ask(zone)
    outcome = raised.value.outcome
    assert (outcome.cause, outcome.permanent) == (cause, permanent)
    assert outcome.detail.isprintable()


@pytest.mark.parametrize("how", [GARBAGE, STRAY])
async def test_lies(ask: Ask, how: str) -> None:
    """Octets that are no answer, or one to another question, lead nowhere and are never for good."""
    with pytest.raises(Unroutable) as raised:
        await ask({LABO: how})
    assert raised.value.outcome.cause in (Cause.DNS_FAILED, Cause.DNS_TIMED_OUT)


async def test_many(ask: Ask) -> None:
    """Of a domain that names a thousand addresses some are tried."""
    records = [f"10.{at // 250}.1.{at % 250 + 1}" for at in range(1000)]
    assert len(await ask({LABO: {"A": records[:400]}})) == MAX_HOSTS


@dataclass
class Second:
    """What the first host does, and whether the second is tried then."""

    manners: Manners
    tried: bool


SECONDS = {
    "closes": Second(Manners(says={"GREETING": CLOSE}), tried=True),
    "no TLS": Second(Manners(clear=()), tried=True),
    "busy": Second(Manners(says={"GREETING": b"421 busy"}), tried=True),
    "never takes mail": Second(Manners(says={"GREETING": b"521 no"}), tried=True),
    "puts off at MAIL": Second(Manners(says={"MAIL": b"451 later"}), tried=True),
    "puts off at RCPT": Second(Manners(says={"RCPT": b"450 later"}), tried=True),
    "refuses at RCPT": Second(Manners(says={"RCPT": b"550 never"}), tried=False),
    "puts off the message": Second(Manners(says={"END": b"451 later"}), tried=False),
    "leaves it in doubt": Second(Manners(says={"END": CLOSE}), tried=False),
}


@pytest.mark.parametrize("case", SECONDS.values(), ids=SECONDS.keys())
async def test_second_host(jetty: Jetty, case: Second) -> None:
    """Another host is tried while the first can't have the message and didn't say no for good."""
    first = await jetty.sink(case.manners)
    second = await jetty.sink(host="127.0.0.2", port=first.port)
    zone = {
        LABO: {"MX": ["10 a.labo.fr.", "20 b.labo.fr."]},
        "a.labo.fr": {"A": ["127.0.0.1"]},
        "b.labo.fr": {"A": ["127.0.0.2"]},
    }
    server = await NameServer(zone).open()
    courier = jetty.courier(Relay(nameservers=(server.place,), port=first.port))
    attempt = await courier.carry(errand(), message)
    assert [taken.octets for taken in second.messages] == ([MESSAGE] if case.tried else [])
    assert (causes(attempt) == [Cause.DELIVERED]) is case.tried
    assert attempt.hop is not None
    assert attempt.hop.host == ("b.labo.fr" if case.tried else "a.labo.fr")
    server.close()


async def test_obstacle_at_one_host(jetty: Jetty) -> None:
    """What one host lacks isn't for good while another one can't be asked."""
    first = await jetty.sink(Manners(offers=()))
    zone = {
        LABO: {"MX": ["10 a.labo.fr.", "20 b.labo.fr."]},
        "a.labo.fr": {"A": ["127.0.0.1"]},
        "b.labo.fr": {"A": ["127.0.0.2"]},
    }
    server = await NameServer(zone).open()
    courier = jetty.courier(Relay(nameservers=(server.place,), port=first.port))
    work = errand()
    (outcome,) = (await courier.carry(replace(work, wishes=replace(work.wishes, utf8=True)), message)).outcomes
    assert (outcome.cause, outcome.permanent) == (Cause.UNREACHABLE, False)
    server.close()


async def test_no_address_literal(jetty: Jetty) -> None:
    """A domain that reads like an address is a name, which the DNS doesn't know."""
    sink = await jetty.sink()
    server = await NameServer({}).open()
    courier = jetty.courier(Relay(nameservers=(server.place,), port=sink.port))
    assert causes(await courier.carry(errand("anne@127.0.0.1"), message)) == [Cause.NO_DOMAIN]
    assert sink.connections == 0
    server.close()


async def test_route_that_is_nowhere(jetty: Jetty) -> None:
    """A route to a host that nobody knows is a failure of ours, not the recipient's."""
    courier = jetty.courier(Relay(routes=(Route(LABO, "nowhere.invalid", 25),)))
    (outcome,) = (await courier.carry(errand(), message)).outcomes
    assert outcome.cause in (Cause.DNS_FAILED, Cause.DNS_TIMED_OUT)
    assert not outcome.permanent
