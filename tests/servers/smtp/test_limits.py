"""Lines, failures, faults, time and numbers: what a client may use up, and how its session ends."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mssmail.audit.events import Kind
from mssmail.base.limits import Limits
from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason
from mssmail.flow.submit import Submission
from mssmail.servers.smtp import connection, intake
from mssmail.servers.smtp.roles import Role
from mssmail.settings.model import Application, Sending
from mssmail.settings.units import Seconds
from mssmail.store import trail
from tests.servers.smtp.harbour import Harbour, b64, plain
from tests.support.houses import DOMAIN, Home

ME = f"claire@{DOMAIN}"


def encoded(octets: int) -> bytes:
    """Base64 of so many octets."""
    return base64.b64encode(b"x" * (octets // 4 * 3))


@pytest.mark.parametrize(
    ("lines", "replies"),
    [
        ([b"AUTH PLAIN " + encoded(12_288)], ["501 5.5.2"]),
        ([b"AUTH PLAIN " + encoded(12_292)], ["500 5.5.6"]),
        ([b"AUTH PLAIN " + encoded(200_000)], ["500 5.5.6"]),
        ([b"AUTH PLAIN", encoded(12_288)], ["334 ", "501 5.5.2"]),
        ([b"AUTH PLAIN", encoded(12_292)], ["334 ", "500 5.5.6"]),
        ([b"AUTH PLAIN", encoded(300_000)], ["334 ", "500 5.5.6"]),
        ([b"NOOP " + b"x" * 2041], ["250 2.0.0"]),
        ([b"NOOP " + b"x" * 2042], ["500 5.5.6"]),
        ([b"MAIL FROM:<" + b"a" * 100_000], ["500 5.5.6"]),
        ([b"NOOP \xff"], ["500 5.5.2"]),
        ([b"NOOP a\rb"], ["500 5.5.2"]),
        ([b"NOOP a\0b"], ["500 5.5.2"]),
        ([b"NOOP a\nNOOP b"], ["500 5.5.2", "250 2.0.0"]),
        ([b"\xff\xfe"], ["500 5.5.1"]),
    ],
)
async def test_lines(harbour: Harbour, lines: list[bytes], replies: list[str]) -> None:
    """A line over its limit, or that isn't text, is read to its end and refused; the next one is obeyed."""
    client = await harbour.enter()
    await client.ask("EHLO me")
    client.send(*lines, "RSET")
    for reply in [*replies, "250 2.0.0"]:
        assert (await client.reply()).startswith(reply)
    assert harbour.login.asked == []


async def test_own_recipients_per_message(harbour: Harbour) -> None:
    """An account's own number of recipients holds where it is below the server's; the others can be sent to next."""
    harbour.login.principal = replace(harbour.login.principal, limits=Limits(recipients_per_message=2))
    client = await harbour.enter()
    await client.ask("EHLO me")
    await client.ask("AUTH PLAIN " + plain("claire", "good"))
    for _ in range(2):
        await client.ask(f"MAIL FROM:<{ME}>")
        said = [await client.ask(f"RCPT TO:<many{number}@{DOMAIN}>") for number in range(3)]
        assert [each[:9] for each in said] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        await client.ask("RSET")


@pytest.mark.parametrize("kind", [BoxKind.PER, BoxKind.APP])
async def test_own_limits_before_the_message(harbour: Harbour, kind: BoxKind) -> None:
    """Who has limits of their own is held to them over loopback too, at MAIL and RCPT, before a message comes."""
    own = Limits(messages_per_hour=2, recipients_per_day=3)
    harbour.login.principal = replace(harbour.login.principal, kind=kind, limits=own)
    client = await harbour.signed_in()
    await client.begin_mail()
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    assert (await client.ask(f"MAIL FROM:<{ME}>")).startswith("250")
    said = [await client.ask(f"RCPT TO:<{local}@{DOMAIN}>") for local in ("claire", "paul", "many")]
    assert [each[:9] for each in said] == ["250 2.1.5", "250 2.1.5", "451 4.7.1"]
    assert (await client.ask("DATA")).startswith("354")
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    assert (await client.ask(f"MAIL FROM:<{ME}>")).startswith("451 4.7.1")
    held = [row for row in harbour.trail() if row.kind == Kind.SENDING_HELD]
    assert len(held) == 1


async def test_application_recipients_per_message(home: Home) -> None:
    """An application's box has the settings' number of recipients where it has none of its own."""
    harbour = Harbour(home, replace(home.settings, application=Application(recipients_per_message=2)))
    harbour.login.principal = replace(harbour.login.principal, kind=BoxKind.APP)
    await harbour.open(Role.SUBMISSIONS)
    client = await harbour.signed_in()
    await client.ask(f"MAIL FROM:<{ME}>")
    said = [await client.ask(f"RCPT TO:<many{number}@{DOMAIN}>") for number in range(3)]
    assert [each[:9] for each in said] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
    await harbour.close()


async def test_endless_line(harbour: Harbour) -> None:
    """A line that never ends ends the connection; whoever doesn't listen may miss the last words."""
    client = await harbour.enter()
    client.writer.write(b"x" * (connection.MAX_SKIPPED_OCTETS + 300_000))
    assert (await client.rest())[:10] in (b"500 5.5.6 ", b"")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.CREDENTIALS, "535 5.7.8"),
        (Reason.LOCKED, "454 4.7.0"),
        (Reason.MECHANISM, "534 5.7.9"),
        (Reason.NOT_DELEGATED, "535 5.7.8"),
        (Reason.SUSPENDED, "550 5.2.1"),
    ],
)
async def test_failed_sign_ins(harbour: Harbour, reason: Reason, code: str) -> None:
    """The third failed sign-in of a connection ends it."""
    client = await harbour.enter()
    await client.ask("EHLO me")
    for _ in range(3):
        assert (await client.ask("AUTH PLAIN " + plain(reason.value, "x"))).startswith(code)
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()


async def test_outage_is_no_failure(harbour: Harbour) -> None:
    """A sign-in that we couldn't judge counts against nobody."""
    client = await harbour.enter()
    await client.ask("EHLO me")
    for _ in range(5):
        assert (await client.ask("AUTH PLAIN " + plain("unavailable", "x"))).startswith("451 4.3.0")
        assert (await client.ask("AUTH PLAIN " + plain("broken", "x"))).startswith("451 4.3.0")
    await client.sign_in()


async def test_faults(harbour: Harbour) -> None:
    """A client that speaks something else is sent away after a while."""
    client = await harbour.enter()
    client.send(*["GET / HTTP/1.1"] * (intake.MAX_FAULTS + 5))
    for _ in range(intake.MAX_FAULTS):
        assert (await client.reply()).startswith("500 5.5.1")
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()


@pytest.fixture
async def hasty(home: Home) -> AsyncIterator[Harbour]:
    """A port that waits for nobody."""
    smtp = replace(home.settings.smtp, timeout=Seconds(0))
    harbour = Harbour(home, replace(home.settings, smtp=smtp))
    yield harbour
    await harbour.close()


async def test_timeout(hasty: Harbour) -> None:
    """Who says nothing in time is told so and let go."""
    await hasty.open(Role.SUBMISSIONS)
    client = await hasty.connect()
    replies = [await client.reply()]
    if replies[0].startswith("220"):
        replies.append(await client.reply())
    assert replies[-1].startswith("421 4.4.2")
    assert await client.end()


async def test_connections_of_an_address(home: Home) -> None:
    """One address has so many connections, and another when one of them is over."""
    smtp = replace(home.settings.smtp, max_connections_per_address=2)
    server = replace(home.settings.server, loopback_unlimited=False)
    harbour = Harbour(home, replace(home.settings, smtp=smtp, server=server))
    await harbour.open(Role.SUBMISSIONS)
    first, _ = await harbour.enter(), await harbour.enter()
    third = await harbour.connect()
    assert (await third.reply()).startswith("421 4.7.0")
    assert await third.end()
    assert (await first.ask("QUIT")).startswith("221")
    assert await first.end()
    while len(harbour.servers[Role.SUBMISSIONS].open) > 1:
        await asyncio.sleep(0)
    await harbour.enter()
    await harbour.close()


async def test_messages_of_an_hour(home: Home) -> None:
    """Who sent as many as an hour allows is put off at DATA."""
    smtp = replace(home.settings.smtp, max_messages_per_hour=1)
    server = replace(home.settings.server, loopback_unlimited=False)
    harbour = Harbour(home, replace(home.settings, smtp=smtp, server=server))
    await harbour.open(Role.SUBMISSIONS)
    client = await harbour.signed_in()
    await client.begin_mail()
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    await client.ask(f"MAIL FROM:<{ME}>", f"RCPT TO:<paul@{DOMAIN}>", "DATA")
    await client.reply()
    assert (await client.reply()).startswith("450 4.7.1")
    await harbour.close()


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        (Sending(messages_per_hour=2), 2),
        (Sending(messages_per_day=1), 1),
        (Sending(recipients_per_hour=5), 2),
        (Sending(recipients_per_day=2), 1),
        (Sending(0, 0, 0, 0), 4),
    ],
)
async def test_sending_limits(home: Home, limits: Sending, taken: int) -> None:
    """Beyond a person's limit a message is put off at its end, in one transaction with none of it kept; the alarm
    sounds once an hour."""
    server = replace(home.settings.server, loopback_unlimited=False)
    harbour = Harbour(home, replace(home.settings, sending=limits, server=server))
    await harbour.open(Role.SUBMISSIONS)
    client = await harbour.signed_in()
    told = []
    for number in range(4):
        for line in (f"MAIL FROM:<{ME}>", f"RCPT TO:<paul@{DOMAIN}>", f"RCPT TO:<claire@{DOMAIN}>", "DATA"):
            await client.ask(line)
        told.append((await client.ask(f"From: {ME}", f"Subject: {number}", "", "."))[:9])
    assert told == ["250 2.6.0"] * taken + ["451 4.7.1"] * (4 - taken)
    kinds = [Kind(row.kind) for row in trail.events_of(home.tx(), home.chain, 0, 1000)]
    assert kinds.count(Kind.SUBMITTED) == taken
    assert kinds.count(Kind.SUBMISSION_REFUSED) == 4 - taken
    assert kinds.count(Kind.SENDING_HELD) == int(taken < 4)
    await harbour.close()


async def test_right_ends_when_idle(harbour: Harbour) -> None:
    """A session whose right ends is told so at once, though its client says nothing."""
    client = await harbour.signed_in()
    (inside,) = harbour.sessions.inside
    inside.end(Reason.SUSPENDED)
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()


async def test_right_ends_in_mid_message(harbour: Harbour) -> None:
    """A message that is still coming then is nobody's."""
    client = await harbour.signed_in()
    await client.begin_mail()
    (inside,) = harbour.sessions.inside
    inside.end(Reason.SUSPENDED)
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()
    assert await harbour.messages() == []


async def test_close(harbour: Harbour) -> None:
    """The idle are told; a message under way is taken to its end, then its client is told."""
    idle, busy = await harbour.signed_in(), await harbour.signed_in()
    await busy.begin_mail()
    closing = asyncio.create_task(harbour.servers[Role.SUBMISSIONS].close(20))
    assert (await idle.reply()).startswith("421 4.3.2")
    assert await idle.end()
    assert not closing.done()
    assert (await busy.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    assert (await busy.reply()).startswith("421 4.3.2")
    assert await busy.end()
    await asyncio.wait_for(closing, 20)
    assert len(await harbour.messages()) == 1
    late = await harbour.connect()
    assert (await late.reply()).startswith("421 4.3.2")


async def test_close_waits_for_nobody(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the grace is over the slow are left, but for a commit in hand."""
    slow, committing = await harbour.signed_in(), await harbour.signed_in()
    await slow.begin_mail()
    await committing.begin_mail()
    ended, go_on, finish = asyncio.Event(), asyncio.Event(), Submission.finish

    async def held(self: Submission) -> str:
        ended.set()
        await go_on.wait()
        return await finish(self)

    monkeypatch.setattr(Submission, "finish", held)
    committing.send(f"From: {ME}", "", ".")
    await asyncio.wait_for(ended.wait(), 20)
    closing = asyncio.create_task(harbour.servers[Role.SUBMISSIONS].close(0.05))
    assert await slow.end()
    go_on.set()
    await asyncio.wait_for(closing, 20)
    assert len(await harbour.messages()) == 1


async def test_names_are_not_told(harbour: Harbour, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that a client says is in a log, at any level."""
    caplog.set_level("DEBUG")
    client = await harbour.signed_in()
    await client.ask("NOOP canary")
    await client.ask("AUTH PLAIN " + b64("canary"))
    await client.ask("canary")
    await client.begin_mail()
    await client.ask(f"From: {ME}", "Subject: canary", "", "canary", ".")
    assert "canary" not in caplog.text
    assert "claire" not in caplog.text
