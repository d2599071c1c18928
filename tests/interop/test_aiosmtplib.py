"""aiosmtplib submits by each mechanism it knows, several messages at once in several connections."""

import asyncio

import aiosmtplib
import pytest

from tests.demo_process import DemoProcess, message
from tests.interop.witness import Box, digest, text

pytestmark = pytest.mark.interop


def client(demo: DemoProcess, listener: str, how: str) -> aiosmtplib.SMTP:
    """An unconnected client, over STARTTLS or implicit TLS, that shows a certificate for EXTERNAL."""
    implicit = listener == "submissions"
    return aiosmtplib.SMTP(
        hostname=demo.host,
        port=demo.port(listener),
        use_tls=implicit,
        start_tls=not implicit,
        tls_context=demo.tls("box0026" if how == "certificate" else None),
        timeout=20,
    )


@pytest.mark.parametrize("listener", ["submission", "submissions"])
@pytest.mark.parametrize("how", ["plain", "login", "certificate"])
async def test_submits(demo: DemoProcess, listener: str, how: str) -> None:
    """Four messages at once in four connections arrive whole; the certificate counts without AUTH."""
    sender, recipient = demo.account("box0026"), demo.account("box0027")["address"]

    async def send(number: int) -> None:
        subject = f"aiosmtplib {how} {listener} {number}"
        async with client(demo, listener, how) as smtp:
            await smtp.ehlo()
            if how == "plain":
                await smtp.auth_plain(sender["login"], demo.password("box0026"))
            elif how == "login":
                await smtp.auth_login(sender["login"], demo.password("box0026"))
            mail = message(sender["address"], recipient, subject, text(subject))
            refused, _ = await smtp.sendmail(sender["address"], [recipient], mail)
            assert refused == {}

    await asyncio.gather(*(send(number) for number in range(4)))
    for number in range(4):
        subject = f"aiosmtplib {how} {listener} {number}"
        found = Box(demo, "box0027").find("INBOX", subject)
        assert found is not None
        assert digest(found[1]) == digest(text(subject).encode())


async def test_refused_and_taken(demo: DemoProcess) -> None:
    """Of two recipients the refused one is told by its code, and the other gets the message."""
    sender, recipient = demo.account("box0026"), demo.account("box0027")["address"]
    refused = demo.description["refused"][0]["address"]
    async with client(demo, "submissions", "plain") as smtp:
        await smtp.ehlo()
        await smtp.auth_plain(sender["login"], demo.password("box0026"))
        mail = message(sender["address"], recipient, "aiosmtplib both", "Bonjour,\r\n")
        answers, _ = await smtp.sendmail(sender["address"], [recipient, refused], mail)
    assert set(answers) == {refused}
    assert answers[refused].code // 100 == 5
    assert Box(demo, "box0027").find("INBOX", "aiosmtplib both") is not None
