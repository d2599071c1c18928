"""Conversations (C: and S:), each line by line, octet by octet, and where nothing forbids it in one go."""

import asyncio

import pytest

from mssmail.servers.smtp.roles import SUBMITTING, Role
from tests.servers.smtp.harbour import Client, Harbour, b64, plain

LOGIN = plain("claire", "good")
ME = "claire@demo.mssante.fr"
PAUL = "paul@demo.mssante.fr"

# An S: line is the beginning of a line of the server's. $ME, $PAUL and $LOGIN stand for the above.
DIALOGUES = {
    "one message": """
        S: 220 localhost ESMTP
        C: EHLO me
        S: 250-localhost
        S: 250-PIPELINING
        S: 250-SIZE 52428800
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-CHUNKING
        S: 250-DELIVERBY 60
        S: 250-MT-PRIORITY MIXER
        S: 250-LIMITS RCPTMAX=100
        S: 250-AUTH PLAIN LOGIN
        S: 250 ENHANCEDSTATUSCODES
        C: auth plain $LOGIN
        S: 235 2.7.0
        C: mail from:<$ME> size=100 BODY=8BITMIME RET=HDRS ENVID=Ab+2Bc
        S: 250 2.1.0
        C: rcpt to:<$PAUL> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Paul@x.fr
        S: 250 2.1.5
        C: DATA
        S: 354 End data
        C: From: $ME
        C:
        C: ..stuffed
        C: .
        S: 250 2.6.0
        C: QUIT
        S: 221 2.0.0
        """,
    "order": """
        S: 220
        C: MAIL FROM:<$ME>
        S: 503 5.5.1
        C: AUTH PLAIN $LOGIN
        S: 503 5.5.1
        C: HELO me
        S: 250 localhost
        C: AUTH PLAIN $LOGIN
        S: 503 5.5.1
        C: EHLO me
        S: 250-localhost
        S: 250-PIPELINING
        S: 250-SIZE
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-CHUNKING
        S: 250-DELIVERBY 60
        S: 250-MT-PRIORITY MIXER
        S: 250-LIMITS
        S: 250-AUTH
        S: 250 ENH
        C: MAIL FROM:<$ME>
        S: 530 5.7.0
        C: RCPT TO:<$PAUL>
        S: 530 5.7.0
        C: DATA
        S: 530 5.7.0
        C: AUTH PLAIN $LOGIN
        S: 235 2.7.0
        C: AUTH PLAIN $LOGIN
        S: 503 5.5.1
        C: RCPT TO:<$PAUL>
        S: 503 5.5.1
        C: DATA
        S: 503 5.5.1
        C: MAIL FROM:<$ME>
        S: 250 2.1.0
        C: MAIL FROM:<$ME>
        S: 503 5.5.1
        C: AUTH PLAIN $LOGIN
        S: 503 5.5.1
        C: DATA
        S: 503 5.5.1
        C: RCPT TO:<outside-trust@demo.mssante.fr>
        S: 550 5.7.1
        C: DATA
        S: 554 5.5.1
        C: RSET
        S: 250 2.0.0
        C: RCPT TO:<$PAUL>
        S: 503 5.5.1
        C: STARTTLS
        S: 503 5.5.1
        C: QUIT
        S: 221 2.0.0
        """,
    "chunks": """
        S: 220
        C: EHLO me
        S: 250-localhost
        S: 250-PIPELINING
        S: 250-SIZE
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-CHUNKING
        S: 250-DELIVERBY 60
        S: 250-MT-PRIORITY MIXER
        S: 250-LIMITS
        S: 250-AUTH
        S: 250 ENH
        C: BDAT 6 LAST
        C: QUIT
        S: 530 5.7.0
        C: AUTH PLAIN $LOGIN
        S: 235 2.7.0
        C: BDAT 6
        C: QUIT
        S: 503 5.5.1
        C: MAIL FROM:<$ME>
        S: 250 2.1.0
        C: BDAT 6
        C: QUIT
        S: 503 5.5.1
        C: RSET
        S: 250 2.0.0
        C: MAIL FROM:<$ME>
        S: 250 2.1.0
        C: RCPT TO:<outside-trust@demo.mssante.fr>
        S: 550 5.7.1
        C: BDAT 6 LAST
        C: QUIT
        S: 554 5.5.1
        C: MAIL FROM:<$ME>
        S: 250 2.1.0
        C: RCPT TO:<$PAUL>
        S: 250 2.1.5
        C: BDAT 30
        C: From: $ME
        S: 250 2.0.0 30 octets
        C: RCPT TO:<$PAUL>
        S: 503 5.5.1
        C: MAIL FROM:<$ME>
        S: 503 5.5.1
        C: DATA
        S: 503 5.5.1
        C: bdat 0
        S: 250 2.0.0 0 octets
        C: BDAT 15 last
        C:
        C: .
        C: ..
        C: BDAT
        S: 250 2.6.0
        C: BDAT 6 LAST
        C: QUIT
        S: 503 5.5.1
        C: MAIL FROM:<$ME>
        S: 250 2.1.0
        C: RCPT TO:<$PAUL>
        S: 250 2.1.5
        C: BDAT 28
        C: From: $PAUL
        S: 250 2.0.0
        C: BDAT 2
        C:
        S: 553 5.7.1
        C: BDAT 6
        C: QUIT
        S: 503 5.5.1
        C: DATA
        S: 503 5.5.1
        C: RSET
        S: 250 2.0.0
        C: MAIL FROM:<$ME>
        S: 250 2.1.0
        C: RCPT TO:<$PAUL>
        S: 250 2.1.5
        C: BDAT 6
        C: RSET
        S: 250 2.0.0
        C: EHLO me
        S: 250-localhost
        S: 250-PIPELINING
        S: 250-SIZE
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-CHUNKING
        S: 250-DELIVERBY 60
        S: 250-MT-PRIORITY MIXER
        S: 250-LIMITS
        S: 250-AUTH
        S: 250 ENH
        C: BDAT 6 LAST
        C: QUIT
        S: 503 5.5.1
        C: BDAT six
        S: 501 5.5.4
        """,
    "refusals": """
        S: 220
        C: HELO me
        S: 250
        C: NOOP whatever
        S: 250 2.0.0
        C: VRFY $PAUL
        S: 252 2.5.0
        C: VRFY nobody
        S: 252 2.5.0
        C: EXPN list
        S: 502 5.5.1
        C: HELP
        S: 214 2.0.0
        C: BDAT 7 LAST
        C: QUIT?
        S: 530 5.7.0
        C: XYZZY
        S: 500 5.5.1
        C:
        S: 500 5.5.1
        C: MAILFROM:<$ME>
        S: 500 5.5.1
        C: EHLO
        S: 501 5.5.4
        C: QUIT
        S: 221 2.0.0
        """,
    "exchanges": """
        S: 220
        C: EHLO me
        S: 250-localhost
        S: 250-PIPELINING
        S: 250-SIZE
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-CHUNKING
        S: 250-DELIVERBY 60
        S: 250-MT-PRIORITY MIXER
        S: 250-LIMITS
        S: 250-AUTH
        S: 250 ENH
        C: AUTH
        S: 501 5.5.4
        C: AUTH CRAM-MD5
        S: 504 5.5.4
        C: AUTH EXTERNAL =
        S: 504 5.5.4
        C: AUTH PLAIN ***
        S: 501 5.5.2
        C: AUTH PLAIN =
        S: 501 5.5.2
        C: AUTH PLAIN QQ==
        S: 501 5.5.2
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: *
        S: 501 5.7.0
        C: AUTH PLAIN
        S: 334
        C: *
        S: 501 5.7.0
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: Y2xhaXJl
        S: 334 UGFzc3dvcmQ6
        C: YmFk
        S: 535 5.7.8
        C: AUTH LOGIN Y2xhaXJl
        S: 334 UGFzc3dvcmQ6
        C: Z29vZA==
        S: 235 2.7.0
        C: QUIT
        S: 221 2.0.0
        """,
}


def script(name: str) -> list[tuple[str, str]]:
    text = DIALOGUES[name].replace("$ME", ME).replace("$PAUL", PAUL).replace("$LOGIN", LOGIN)
    return [(line.strip()[0], line.strip()[3:]) for line in text.strip().splitlines()]


async def expect(client: Client, beginning: str) -> None:
    line = (await asyncio.wait_for(client.reader.readline(), 20)).decode("ascii")
    assert line.startswith(beginning), (beginning, line)


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.parametrize("way", ["lines", "octets", "whole"])
async def test_dialogue(harbour: Harbour, name: str, way: str) -> None:
    """The server answers as written, however the octets come."""
    client = await harbour.connect()
    said = script(name)
    if way == "whole":
        client.send(*(text for who, text in said if who == "C"))
    for who, text in said:
        if who == "S":
            await expect(client, text)
        elif way == "lines":
            client.send(text)
        elif way == "octets":
            for octet in text.encode() + b"\r\n":
                client.writer.write(bytes([octet]))
                await client.writer.drain()
    assert await client.end()
    if name == "chunks":
        (kept,) = await harbour.messages()
        assert kept.endswith(b"\r\n\r\n.\r\n..\r\nBDAT\r\n")
    if name == "one message":
        (kept,) = await harbour.messages()
        assert kept.endswith(b"\r\n\r\n.stuffed\r\n")


async def test_envelope_is_kept(harbour: Harbour) -> None:
    """What the client asked of delivery reports is in the trail of its submission."""
    client = await harbour.signed_in()
    await client.ask(f"MAIL FROM:<{ME}> RET=FULL ENVID=Ab+2Bc BODY=8BITMIME SMTPUTF8")
    await client.ask(f"RCPT TO:<{PAUL}> NOTIFY=NEVER ORCPT=rfc822;Paul@x.fr")
    await client.ask("DATA")
    assert (await client.ask(f"From: {ME}", "", "x", ".")).startswith("250 2.6.0")
    home = harbour.home
    events = [home.house.trail.open(row) for row in harbour.trail()]
    (kept,) = [event for event in events if "envid" in str(event)]
    for word in ("Ab+2Bc", "FULL", "8BITMIME", "NEVER", "rfc822;Paul@x.fr"):
        assert word in str(kept)
    assert b"with UTF8SMTPSA" in (await harbour.messages())[0]


async def test_starttls(harbour: Harbour) -> None:
    """Before STARTTLS nothing of worth is heard or said; after it the client begins anew."""
    client = await harbour.connect(Role.SUBMISSION)
    assert (await client.reply()).startswith("220 ")
    greeted = await client.ask("EHLO me")
    assert "STARTTLS" in greeted.split("\n")[-2]
    assert "AUTH" not in greeted
    for command in ("MAIL FROM:<a@b.fr>", "RCPT TO:<a@b.fr>", "DATA", "VRFY a", "RSET", "HELP"):
        assert (await client.ask(command)).startswith("530 5.7.0"), command
    assert (await client.ask("AUTH PLAIN " + LOGIN)).startswith("538 5.7.11")
    assert harbour.login.asked == []
    assert (await client.ask("STARTTLS now")).startswith("501 5.5.4")
    await client.start_tls(harbour.client_context())
    assert (await client.ask("MAIL FROM:<a@b.fr>")).startswith("503 5.5.1")
    greeted = await client.ask("EHLO me")
    assert "STARTTLS" not in greeted
    assert "250-AUTH PLAIN LOGIN\n" in greeted
    await client.sign_in()
    await client.begin_mail()
    assert (await client.ask(f"From: {ME}", "", "x" * 60_000, ".")).startswith("250 2.6.0")


async def test_starttls_injection(harbour: Harbour) -> None:
    """What comes in clear behind STARTTLS is never obeyed."""
    client = await harbour.connect(Role.SUBMISSION)
    await client.reply()
    assert (await client.ask("EHLO me")).startswith("250")
    client.send("STARTTLS", "EHLO injected", "AUTH PLAIN " + LOGIN, "NOOP")
    assert (await client.reply()).startswith("220 2.0.0")
    try:
        await client.writer.start_tls(harbour.client_context(), server_hostname="localhost")
        answer = await client.ask("RSET")
    except (OSError, EOFError):
        answer = "closed"
    assert answer == "closed" or answer.startswith("250 2.0.0")
    assert harbour.login.asked == []


@pytest.mark.parametrize("role", SUBMITTING)
async def test_certificate(harbour: Harbour, role: Role) -> None:
    """EXTERNAL is offered to who showed a certificate, and MAIL alone signs them in; to nobody else."""
    client = await harbour.enter(role, harbour.person())
    assert "250-AUTH PLAIN LOGIN EXTERNAL\n" in await client.ask("EHLO me")
    assert (await client.ask(f"MAIL FROM:<{ME}>")).startswith("250 2.1.0")
    (asked,) = harbour.login.asked
    assert asked[0].certificate is not None
    assert (asked[0].client, asked[1]) == ("127.0.0.1", "")
    assert (await client.ask("AUTH EXTERNAL =")).startswith("503 5.5.1")
    other = await harbour.enter(role, harbour.person())
    await other.ask("EHLO me")
    assert (await other.ask("AUTH EXTERNAL " + b64("certificate"))).startswith("535 5.7.8")
    assert (await other.ask("auth external", "=")).startswith("334 ")
    assert (await other.reply()).startswith("501 5.5.2")
    assert (await other.ask("AUTH EXTERNAL", "")).startswith("334 ")
    assert (await other.reply()).startswith("235 2.7.0")
