"""Whom the courier gives a domain's mail: hosts with certificates good and bad, judged by a true white list."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mssmail.base.relay import Attempt, Cause
from mssmail.demo.pki import Leaf
from mssmail.directory.trustlist import Trust as WhiteList
from mssmail.flow.standing import Standing
from mssmail.flow.trust import TrustLists
from mssmail.flow.vouch import ListVouch
from mssmail.servers.smtp.courier.carrier import SmtpCourier
from mssmail.settings.trust_space import Relay, Route
from tests.servers.smtp.courier.jetty import SOON, causes, errand, message
from tests.servers.smtp.courier.sink import Sink, server_tls
from tests.servers.smtp.quay import HOSPITAL, LABORATORY, Quay, subject_of
from tests.support.issuance import Wish, issue, save
from tests.support.town import Town
from tests.support.whitelist import white_list

SERVER = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
CLIENT = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)


class Berth:
    """A server of the demo's domain that writes to the laboratory, whose host shows what a test gives it."""

    def __init__(self, quay: Quay) -> None:
        self.quay = quay
        self._sinks: list[Sink] = []
        self._courier: SmtpCourier | None = None
        self.house = quay.town.house

    def wish(self, **how: object) -> Leaf:
        """A certificate of the laboratory's name, or of another."""
        given: dict[str, object] = {
            "subject": x509.load_pem_x509_certificates(self.quay.laboratory.cert.read_bytes())[0].subject,
            "extensions": (SERVER,),
        }
        wish = Wish(**(given | how))  # type: ignore[arg-type]
        return save(self.quay.home.folder, "host", *issue(self.quay.pki.organisations, self.quay.home.clock, wish))

    async def send(self, leaf: Leaf) -> tuple[Attempt, Sink]:
        """An errand to a host that shows this certificate; over the connection that is there, where it is the same."""
        if self._courier is None:
            sink = await Sink(server_tls(leaf)).open()
            self._sinks.append(sink)
            route = Route(LABORATORY, "127.0.0.1", sink.port)
            relay = Relay(routes=(route,), reply_timeout=SOON, certificate=self.quay.hospital.cert)
            settings = replace(self.quay.settings, relay=replace(relay, key=self.quay.hospital.key))
            vouch = ListVouch(self.house, Standing(self.house, self.quay.certificates))
            self._courier = SmtpCourier(settings, vouch)
        return await self._courier.carry(errand(f"anne@{LABORATORY}"), message), self._sinks[0]

    async def close(self) -> None:
        if self._courier is not None:
            await self._courier.close()
        for sink in self._sinks:
            await sink.close()


@pytest.fixture
async def berth(town: Town) -> AsyncIterator[Berth]:
    quay = Quay(town)
    await quay.berth()
    built = Berth(quay)
    yield built
    await built.close()
    await quay.close()


def no_list(berth: Berth) -> Leaf:
    """The white list is gone."""
    house = berth.house
    berth.house = replace(house, white_list=WhiteList(house.settings.trust_list.folder / "nowhere.xml", house.clock))
    return berth.quay.laboratory


def revoked(berth: Berth) -> Leaf:
    serial = x509.load_pem_x509_certificates(berth.quay.laboratory.cert.read_bytes())[0].serial_number
    berth.quay.pki.revoke(berth.quay.pki.organisations, serial)
    berth.quay.certificates.reload_if_changed()
    return berth.quay.laboratory


def old_lists(berth: Berth) -> Leaf:
    berth.quay.town.clock.advance(31 * 86_400.0)
    return berth.quay.laboratory


@dataclass
class Case:
    show: Callable[[Berth], Leaf]
    cause: Cause
    names: bool = field(default=False)
    """Whether the attempt tells whom it met."""


CASES = {
    "for both ends": Case(lambda b: b.quay.laboratory, Cause.DELIVERED, names=True),
    "for servers alone": Case(lambda b: b.wish(), Cause.DELIVERED, names=True),
    "for any use": Case(lambda b: b.wish(extensions=()), Cause.DELIVERED, names=True),
    "another operator's": Case(lambda b: b.quay.hospital, Cause.NOT_LISTED, names=True),
    "this server's own": Case(lambda b: b.quay.pki.server(), Cause.NOT_LISTED, names=True),
    "of nearly its name": Case(
        lambda b: b.wish(subject=(((NameOID.COMMON_NAME, "smtp.labo.mssante.fr"),),)), Cause.NOT_LISTED, names=True
    ),
    "a person's": Case(lambda b: b.quay.pki.person("810000000001", "MARTIN", "CLAIRE", "Médecin"), Cause.CERTIFICATE),
    "for clients alone": Case(lambda b: b.wish(extensions=(CLIENT,)), Cause.CERTIFICATE),
    "with a critical extension": Case(lambda b: b.wish(extensions=(SERVER, UNKNOWN)), Cause.CERTIFICATE),
    "with a weak key": Case(lambda b: b.wish(key=lambda: rsa.generate_private_key(65_537, 1024)), Cause.CERTIFICATE),
    "expired": Case(lambda b: b.wish(begins=-10.0, ends=-1.0), Cause.EXPIRED),
    "not yet good": Case(lambda b: b.wish(begins=1.0), Cause.EXPIRED),
    "revoked": Case(revoked, Cause.REVOKED),
    "no white list here": Case(no_list, Cause.UNJUDGED, names=True),
    "old revocation lists here": Case(old_lists, Cause.UNJUDGED),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_certificate(berth: Berth, case: Case) -> None:
    """Certificate and white list alone say who is given mail; whatever is wrong has its cause, never for good."""
    attempt, sink = await berth.send(case.show(berth))
    (outcome,) = attempt.outcomes
    assert (outcome.cause, outcome.permanent) == (case.cause, False)
    assert len(sink.messages) == (case.cause is Cause.DELIVERED)
    assert attempt.hop is not None
    assert bool(attempt.hop.operator) is case.names
    assert outcome.detail.isprintable()


async def test_expires_meanwhile(berth: Berth) -> None:
    """A certificate that expires while the connection is kept ends what it was good for."""
    leaf = berth.wish(ends=2.0)
    attempt, sink = await berth.send(leaf)
    assert causes(attempt) == [Cause.DELIVERED]
    berth.quay.town.clock.advance(3 * 86_400.0)
    attempt, sink = await berth.send(leaf)
    assert causes(attempt) == [Cause.EXPIRED]
    assert (len(sink.messages), sink.connections) == (1, 2)


async def test_moves_meanwhile(berth: Berth) -> None:
    """A domain that another operator takes over isn't written to by the connection to the former one."""
    leaf = berth.quay.laboratory
    assert causes((await berth.send(leaf))[0]) == [Cause.DELIVERED]
    berth.quay.town.clock.advance(1)

    entries = [(domain, subject_of(berth.quay.hospital)) for domain in (HOSPITAL, LABORATORY)]
    listed = white_list(berth.quay.town.clock.now(), *entries)
    await TrustLists(berth.quay.town.house, "root").load(listed, name="list.xml", allow_shrink=True)
    attempt, sink = await berth.send(leaf)
    assert causes(attempt) == [Cause.NOT_LISTED]
    assert len(sink.messages) == 1
