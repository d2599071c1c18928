"""Postfix as another operator: it takes our mail, and we take its."""

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssmail.base.relay import Cause, Errand, Notify, RecipientWishes, Wishes
from mssmail.demo.pki import Leaf
from mssmail.servers.smtp.courier.transaction import CHUNK_OCTETS, SMALL_OCTETS
from mssmail.settings.trust_space import Relay, Route
from tests.demo_process import DemoProcess
from tests.interop.postfix import Postfix, is_here
from tests.servers.smtp.courier.jetty import LABO, Jetty, address

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not is_here(), reason="needs Postfix, and root to start it"),
]

HEAD = (
    b"From: dr.house@hopital.mssante.fr\r\nMessage-ID: <1@hopital.mssante.fr>\r\nSubject: x\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n"
)
BODIES = (
    b"bonjour\r\n",
    b".\r\n..\r\n.QUIT\r\n",
    "été\r\n".encode(),
    b"0123456789abcdef\r\n" * (SMALL_OCTETS // 18 + 1),
    b".123456789abcdef\r\n" * (5 * CHUNK_OCTETS // 18),
)


async def _carried(folder: Path) -> None:
    jetty = Jetty(folder)
    with Postfix("smtp.labo.mssante.fr", LABO, jetty.labo, jetty.anchors) as postfix:
        courier = jetty.courier(Relay(routes=(Route(LABO, "127.0.0.1", postfix.port),)))
        for body in BODIES:
            octets = HEAD + body

            async def chunks(octets: bytes = octets) -> AsyncIterator[bytes]:
                for at in range(0, len(octets), 10_000):
                    yield octets[at : at + 10_000]

            each = RecipientWishes(Notify.FAILURE, "rfc822;x")
            people = [(address(f"{local}@{LABO}"), each) for local in ("anne", "nobody", "bob")]
            wishes = Wishes(ret="HDRS", envid="x", eight_bit=not octets.isascii())
            sender = address("dr.house@hopital.mssante.fr")
            attempt = await courier.carry(Errand(sender, people, wishes, len(octets)), chunks)
            causes = [outcome.cause for outcome in attempt.outcomes]
            assert causes == [Cause.DELIVERED, Cause.REFUSED, Cause.DELIVERED], postfix.log()
            assert attempt.outcomes[1].status == "5.1.1"
            assert attempt.hop is not None
            assert attempt.hop.dsn
        await courier.close()
        for local in ("anne", "bob"):
            found = {octets[octets.index(b"From: dr.house") :] for octets in postfix.box(local, len(BODIES))}
            assert found == {(HEAD + body).replace(b"\r\n", b"\n") for body in BODIES}
        assert postfix.log().count("starttls=1") == 1, "one connection"


def test_takes_our_mail(tmp_path: Path) -> None:
    """Postfix takes what the courier gives it, small and large, by BDAT and with DSN, octet by octet."""
    asyncio.run(_carried(tmp_path))


def test_gives_us_its_mail(demo: DemoProcess) -> None:
    """Postfix with a listed operator's certificate gives its mail to port 25, and it lies in the box."""
    hospital = demo.description["operators"][0]
    leaf = Leaf(Path(hospital["cert"]), Path(hospital["key"]))
    box = demo.account("box0036")["address"]
    hop = f"[{demo.host}]:{demo.port('smtp')}"
    sender = hospital["addresses"][0]
    message = f"From: {sender}\r\nTo: {box}\r\nSubject: de Postfix\r\nMessage-ID: <1@p>\r\n\r\n.\r\n".encode()
    with Postfix(
        "smtp.hopital-demo.mssante.fr", hospital["domain"], leaf, Path(demo.description["ca"]), next_hop=hop
    ) as postfix:
        postfix.send(sender, box, message)
        postfix.wait(lambda: [line for line in postfix.log().splitlines() if "status=" in line], 1)
        assert "status=sent (250 " in postfix.log(), postfix.log()
    context = ssl.create_default_context(cafile=demo.description["ca"])
    with imaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=context) as imap:
        imap.login(box, demo.password("box0036"))
        imap.select("INBOX", readonly=True)
        _, found = imap.search(None, "SUBJECT", "Postfix")
        assert len(found[0].split()) == 1
