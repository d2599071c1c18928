"""A courier of the hospital's, hosts of the laboratory's for it to go to, and the demo's certificates for both."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.address import Address
from mssmail.base.clock import SystemClock
from mssmail.base.relay import Attempt, Cause, Errand, RecipientWishes, Wishes
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.flow.courier import Unvouched
from mssmail.servers.smtp.courier.carrier import SmtpCourier
from mssmail.settings.model import Server, Settings, Tls, Trust
from mssmail.settings.trust_space import Relay, Route
from mssmail.settings.units import Seconds
from tests.servers.smtp.courier.sink import Manners, Sink, server_tls

LABO = "labo.mssante.fr"
SOON = Seconds(1)
MESSAGE = b"From: dr.house@hopital.mssante.fr\r\nSubject: x\r\n\r\nbonjour\r\n"


def address(text: str) -> Address:
    parsed = Address.parse(text)
    assert parsed is not None
    return parsed


def errand(
    *recipients: str,
    size: int = len(MESSAGE),
    sender: str | None = "dr.house@hopital.mssante.fr",
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    each: RecipientWishes = RecipientWishes(),  # noqa: B008 - frozen
) -> Errand:
    people = recipients or (f"anne@{LABO}",)
    return Errand(None if sender is None else address(sender), [(address(one), each) for one in people], wishes, size)


async def message(octets: bytes = MESSAGE, piece: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), piece):
        yield octets[at : at + piece]


class Jetty:
    """Opens couriers and hosts, and closes them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = DemoPki.create_or_load(folder / "pki", SystemClock())
        self.own = self.pki.organisation("smtp.hopital.mssante.fr", "1750000002", "HÔPITAL", "Puy-de-Dôme (63)")
        self.labo = self.pki.organisation("smtp.labo.mssante.fr", "1750000003", "LABO", "Paris (75)")
        self.anchors = folder / "anchors.pem"
        self.anchors.write_bytes(self.pki.organisations.pem + self.pki.root.pem)
        self.vouched: list[str] = []
        self.verdict: Cause | None = None
        """What is wrong with every peer from now on."""
        self._sinks: list[Sink] = []
        self._couriers: list[SmtpCourier] = []

    async def sink(
        self, manners: Manners | None = None, leaf: Leaf | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> Sink:
        made = await Sink(server_tls(leaf or self.labo, self.anchors), manners).open(host, port)
        self._sinks.append(made)
        return made

    def settings(self, relay: Relay) -> Settings:
        quick = replace(
            relay,
            connect_timeout=SOON,
            reply_timeout=SOON,
            block_timeout=SOON,
            end_timeout=SOON,
            dns_timeout=SOON,
            idle_timeout=Seconds(60) if relay.idle_timeout else Seconds(0),
        )
        return Settings(
            server=Server(name="smtp.hopital.mssante.fr"),
            tls=Tls(self.own.cert, self.own.key),
            trust=Trust(operators_ca=self.anchors),
            relay=quick,
        )

    async def vouch(self, certificate: bytes | None, domain: str) -> str:
        assert certificate is not None
        self.vouched.append(domain)
        if self.verdict is not None:
            raise Unvouched(self.verdict, "so the test says", "CN=LABO")
        return "CN=LABO"

    def courier(self, relay: Relay) -> SmtpCourier:
        made = SmtpCourier(self.settings(relay), self.vouch)
        self._couriers.append(made)
        return made

    def to(self, *sinks: Sink, domain: str = LABO, relay: Relay = Relay()) -> SmtpCourier:  # noqa: B008
        """A courier with a fixed route to one sink."""
        route = Route(domain, "127.0.0.1", sinks[0].port)
        return self.courier(replace(relay, routes=(route,)))

    async def close(self) -> None:
        for courier in self._couriers:
            await courier.close()
        for sink in self._sinks:
            await sink.close()


def causes(attempt: Attempt) -> Sequence[Cause]:
    return [outcome.cause for outcome in attempt.outcomes]


@pytest.fixture
async def jetty(tmp_path: Path) -> AsyncIterator[Jetty]:
    built = Jetty(tmp_path)
    async with asyncio.timeout(60):
        yield built
        await built.close()
