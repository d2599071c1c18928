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


async def test_told_of_a_delivery(demo: DemoProcess) -> None:
    """Who asks is told in their box that the message lies in the other's, by a report that shows nothing of it."""
    sender, recipient = demo.account("box0026"), demo.account("box0027")["address"]
    async with client(demo, "submissions", "plain") as smtp:
        await smtp.ehlo()
        assert smtp.supports_extension("dsn")
        await smtp.auth_plain(sender["login"], demo.password("box0026"))
        mail = message(sender["address"], recipient, "aiosmtplib told", "Le canari chante.\r\n")
        about, told = ["RET=FULL", "ENVID=aiosmtplib"], ["NOTIFY=SUCCESS,FAILURE"]
        assert (await smtp.sendmail(sender["address"], [recipient], mail, mail_options=about, rcpt_options=told))[
            0
        ] == {}
    found = Box(demo, "box0026").find("INBOX", "Message remis / Mail delivered")
    assert found is not None
    for word in (b"Original-Envelope-Id: aiosmtplib", b"Action: delivered", recipient.encode()):
        assert word in found[1]
    assert b"canari" not in found[1]
    assert b"Subject:" not in found[1]


RECEIPT = (
    "From: {sender}\r\nTo: {to}\r\nSubject: aiosmtplib receipt\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n'
    "--b\r\n\r\nLu.\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
    "Final-Recipient: rfc822;{sender}\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
)


async def test_read_receipt(demo: DemoProcess) -> None:
    """A receipt goes without a sender, any other message doesn't (RFC 8098 §3)."""
    sender, recipient = demo.account("box0026"), demo.account("box0027")["address"]
    receipt = RECEIPT.format(sender=sender["address"], to=recipient)
    async with client(demo, "submissions", "plain") as smtp:
        await smtp.ehlo()
        await smtp.auth_plain(sender["login"], demo.password("box0026"))
        assert (await smtp.sendmail("", [recipient], receipt))[0] == {}
        with pytest.raises(aiosmtplib.SMTPDataError, match="read receipt"):
            await smtp.sendmail("", [recipient], message(sender["address"], recipient, "no receipt", "Bonjour\r\n"))
    assert Box(demo, "box0027").find("INBOX", "aiosmtplib receipt") is not None
