"""The courier before our own port of other operators: one mssmail gives mail to another, by the white list alone."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mssmail.base.relay import Cause, Notify, RecipientWishes, Wishes
from mssmail.flow.standing import Standing
from mssmail.flow.trust import TrustLists
from mssmail.flow.vouch import ListVouch
from mssmail.servers.smtp.courier.carrier import SmtpCourier
from mssmail.servers.smtp.courier.transaction import CHUNK_OCTETS, SMALL_OCTETS
from mssmail.servers.smtp.roles import Role
from mssmail.settings.model import Settings
from mssmail.settings.trust_space import Relay, Route
from tests.servers.smtp.courier.jetty import causes, errand, message
from tests.servers.smtp.quay import CLAIRE_HERE, DOCTOR, PAUL_HERE, Quay, subject_of
from tests.support.town import CLAIRE, PAUL
from tests.support.whitelist import white_list

DOMAIN = CLAIRE_HERE.partition("@")[2]
LETTER = f"From: {DOCTOR}\r\nSubject: x\r\nMessage-ID: <1@x>\r\n\r\n".encode()


def settings_of(quay: Quay) -> Settings:
    """The hospital's: its own certificate, and a route to this server."""
    port = quay._listeners[Role.SMTP].sockets[0].getsockname()[1]
    relay = Relay(routes=(Route(DOMAIN, "127.0.0.1", port),), certificate=quay.hospital.cert, key=quay.hospital.key)
    given = replace(quay.settings, relay=relay)
    return replace(given, server=replace(given.server, name="smtp.hopital.mssante.fr"))


@pytest.fixture
async def courier(quay: Quay) -> AsyncIterator[SmtpCourier]:
    """The hospital's, which judges this server as this server judges the hospital."""
    vouch = ListVouch(quay.town.house, Standing(quay.town.house, quay.certificates))
    built = SmtpCourier(settings_of(quay), vouch)
    yield built
    await built.close()


async def test_taken(quay: Quay, courier: SmtpCourier) -> None:
    """Messages small and large, dots and UTF-8, come to the boxes as they were, on one connection."""
    bodies = [
        LETTER + b"bonjour\r\n",
        LETTER + b".\r\n..\r\n.QUIT\r\n",
        LETTER + b"x" * 70 + b"\r\n" + b"0123456789abcdef\r\n" * (SMALL_OCTETS // 18 + 5),
        LETTER + b"0123456789abcdef\r\n" * (3 * CHUNK_OCTETS // 18),
        LETTER + "été\r\n".encode(),
    ]
    for body in bodies:
        wishes = Wishes(eight_bit=not body.isascii())
        attempt = await courier.carry(
            errand(CLAIRE_HERE, PAUL_HERE, size=len(body), sender=DOCTOR, wishes=wishes),
            lambda body=body: message(body),  # type: ignore[misc]
        )
        assert causes(attempt) == [Cause.DELIVERED] * 2, attempt
    for local in (CLAIRE, PAUL):
        found = await quay.read(local)
        assert [octets[octets.index(b"From:") :] for octets in found] == bodies


async def test_partly_taken(quay: Quay, courier: SmtpCourier) -> None:
    """Who isn't at home here is refused for good, and the others get the message."""
    body = LETTER + b"bonjour\r\n"
    work = errand(f"nobody@{DOMAIN}", CLAIRE_HERE, size=len(body), sender=DOCTOR)
    attempt = await courier.carry(work, lambda: message(body))
    assert causes(attempt) == [Cause.REFUSED, Cause.DELIVERED]
    assert attempt.outcomes[0].permanent
    assert attempt.outcomes[0].status.startswith("5.")
    assert len(await quay.read(CLAIRE)) == 1


async def test_not_ours_to_write_for(quay: Quay, courier: SmtpCourier) -> None:
    """A sender whom the hospital may not write for is refused at MAIL, and the answer is kept."""
    body = LETTER + b"bonjour\r\n"
    work = errand(CLAIRE_HERE, size=len(body), sender="anne@labo.mssante.fr")
    (outcome,) = (await courier.carry(work, lambda: message(body))).outcomes
    assert outcome.cause is Cause.REFUSED
    assert outcome.answer is not None
    assert outcome.answer.code == 550


async def test_not_listed(quay: Quay) -> None:
    """Once the white list gives the domain to another, nothing more is sent: not even on the open connection."""
    vouch = ListVouch(quay.town.house, Standing(quay.town.house, quay.certificates))
    courier = SmtpCourier(settings_of(quay), vouch)
    body = LETTER + b"bonjour\r\n"
    work = errand(CLAIRE_HERE, size=len(body), sender=DOCTOR)
    assert causes(await courier.carry(work, lambda: message(body))) == [Cause.DELIVERED]
    quay.town.clock.advance(1)
    listed = white_list(quay.town.clock.now(), (DOMAIN, subject_of(quay.laboratory)))
    await TrustLists(quay.town.house, "root").load(listed, name="list.xml", allow_shrink=True)
    assert causes(await courier.carry(work, lambda: message(body))) == [Cause.NOT_LISTED]
    assert len(await quay.read(CLAIRE)) == 1
    await courier.close()


async def test_wishes(quay: Quay, courier: SmtpCourier) -> None:
    """What this server offers is made use of, and what it doesn't is told."""
    body = LETTER + b"bonjour\r\n"
    work = errand(
        CLAIRE_HERE,
        size=len(body),
        sender=DOCTOR,
        wishes=Wishes(ret="HDRS", envid="a+2Bb", priority=3),
        each=RecipientWishes(Notify.SUCCESS | Notify.FAILURE, "rfc822;claire+40x"),
    )
    attempt = await courier.carry(work, lambda: message(body))
    assert causes(attempt) == [Cause.DELIVERED]
    assert attempt.hop is not None
    assert attempt.hop.operator.startswith("CN=localhost")
