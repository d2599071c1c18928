"""Successes that senders asked to be told of: at submission into their box, to operators by the queue."""

import pytest

from tests.servers.smtp.harbour import Client, Harbour
from tests.servers.smtp.quay import CLAIRE_HERE, DOCTOR, PAUL_HERE, Quay
from tests.support.houses import DOMAIN
from tests.support.reports import events, queued, read
from tests.support.town import CLAIRE

ME, PAUL = f"claire@{DOMAIN}", f"paul@{DOMAIN}"


async def submit(harbour: Harbour, *recipients: str) -> str:
    return await give(await harbour.signed_in(), *recipients)


async def give(client: Client, *recipients: str) -> str:
    """A message of Claire's; the reply to its end."""
    assert (await client.ask(f"MAIL FROM:<{ME}> ENVID=E+2B1")).startswith("250")
    for recipient in recipients:
        assert (await client.ask(f"RCPT TO:{recipient}")).startswith("250")
    await client.ask("DATA")
    lines = (f"From: {ME}", "Subject: canari", "Message-ID: <1@demo>", "", "canari", ".")
    return await client.ask(*lines)


async def test_told_at_submission(harbour: Harbour) -> None:
    """In the transaction that delivers: one report, of those alone that it was asked for (RFC 3461 §5.2.3)."""
    said = await submit(harbour, f"<{PAUL}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;P+2Bx@x.fr", f"<{ME}> NOTIFY=FAILURE")
    assert said.startswith("250 2.6.0")
    mine = await harbour.messages_of(harbour.claire)
    (report,) = [octets for octets in mine if b"multipart/report" in octets]
    message, (words, status, headers) = read(report)
    assert message["In-Reply-To"] == "<1@demo>"
    assert "a été remis" in words.get_content()
    text = status.as_string()
    for field in (
        "Original-Envelope-Id: E+1",
        "Original-Recipient: rfc822; P+x@x.fr",
        f"Final-Recipient: rfc822; {PAUL}",
        "Action: delivered",
        "Status: 2.1.5",
    ):
        assert field in text
    assert f"rfc822; {ME}" not in text
    assert headers.get_content_type() == "text/rfc822-headers"
    assert b"canari" not in report
    (told,) = events(harbour.home)
    assert said.split("id ")[1] in str(told)


@pytest.mark.parametrize("notify", ["", " NOTIFY=NEVER", " NOTIFY=FAILURE,DELAY"])
async def test_not_told(harbour: Harbour, notify: str) -> None:
    """Who didn't ask hears of no success."""
    assert (await submit(harbour, f"<{PAUL}>{notify}")).startswith("250 2.6.0")
    assert await harbour.messages_of(harbour.claire) == []


async def test_a_repeat_is_told_of_once(harbour: Harbour) -> None:
    """A message that is known again is neither delivered nor reported anew."""
    for _ in range(2):
        client = await harbour.signed_in()
        assert (await give(client, f"<{PAUL}> NOTIFY=SUCCESS")).startswith("250 2.6.0")
        tasks = [session.task for server in harbour.servers.values() for session in server.open]
        client.close()
        for task in tasks:
            assert task is not None
            await task
    assert len(await harbour.messages_of(harbour.claire)) == 1


async def test_told_to_another_operator(quay: Quay) -> None:
    """Their own operator gets the report, without a sender, in the transaction that delivers."""
    client = await quay.call(quay.hospital)
    await client.ask(f"MAIL FROM:<{DOCTOR}>")
    await client.ask(f"RCPT TO:<{CLAIRE_HERE}> NOTIFY=SUCCESS,FAILURE")
    await client.ask(f"RCPT TO:<{PAUL_HERE}>")
    await client.ask("DATA")
    assert (await client.ask(f"From: {DOCTOR}", "Subject: canari", "", "canari", ".")).startswith("250 2.6.0")
    assert len(await quay.read(CLAIRE)) == 1
    ((sender, _, recipient, octets),) = queued(quay.home)
    assert (sender, str(recipient.address)) == (None, DOCTOR)
    assert CLAIRE_HERE in read(octets)[1][1].as_string()
    assert PAUL_HERE.encode() not in octets
    assert b"canari" not in octets


async def test_without_a_sender_nobody_is_told(quay: Quay) -> None:
    """A report of another operator's is delivered, whatever it asks for, and answered by none."""
    client = await quay.call(quay.hospital)
    await client.ask("MAIL FROM:<>")
    await client.ask(f"RCPT TO:<{CLAIRE_HERE}> NOTIFY=SUCCESS")
    await client.ask("DATA")
    assert (await client.ask(f"From: {DOCTOR}", "", "x", ".")).startswith("250 2.6.0")
    assert (len(await quay.read(CLAIRE)), queued(quay.home)) == (1, [])
