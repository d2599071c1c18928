"""Messages on their way in: kept as they came, refused whole, lost by nobody."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import CapturingLogger

from mssmail.audit.events import Kind
from mssmail.base.refusal import Reason
from mssmail.flow.submit import Submission
from mssmail.servers.smtp import commands, replies
from mssmail.servers.smtp.data import MAX_LINE_OCTETS
from mssmail.servers.smtp.roles import SUBMITTING, Role
from mssmail.settings.units import Octets
from tests.servers.smtp.harbour import Harbour
from tests.support.houses import DOMAIN, Home

ME = f"claire@{DOMAIN}"
PAUL = f"paul@{DOMAIN}"
HEAD = f"From: {ME}\r\n\r\n".encode()


def stuffed(body: bytes) -> bytes:
    return (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]


def big(octets: int) -> bytes:
    line = b".line of a large attachment, with a dot to stuff " + b"x" * 25 + b"\r\n"
    return line * (octets // len(line))


@pytest.mark.parametrize("role", SUBMITTING)
@pytest.mark.parametrize("size", [0, 10_000, 3_000_000])
async def test_bytes(harbour: Harbour, role: Role, size: int) -> None:
    """What was sent is what is kept, behind the trace."""
    client = await harbour.signed_in(role)
    await client.begin_mail()
    body = big(size)
    client.writer.write(HEAD + stuffed(body) + b".\r\n")
    assert (await client.reply()).startswith("250 2.6.0")
    (kept,) = await harbour.messages()
    assert kept.endswith(b"\r\n\r\n" + body)


async def test_pipelined(harbour: Harbour) -> None:
    """Two whole transactions sent at once are two messages, answered in order."""
    client = await harbour.signed_in()
    one = [f"MAIL FROM:<{ME}>", f"RCPT TO:<{PAUL}>", "DATA", f"From: {ME}", "", "first", "."]
    client.send(*one, *one[:-2], "second", ".", "NOOP", "QUIT")
    codes = [(await client.reply())[:9] for _ in range(10)]
    assert codes == ["250 2.1.0", "250 2.1.5", "354 End d", "250 2.6.0"] * 2 + ["250 2.0.0", "221 2.0.0"]
    first, second = await harbour.messages()
    assert (first[-9:], second[-10:]) == (b"\r\nfirst\r\n", b"\r\nsecond\r\n")


@pytest.mark.parametrize("end", [b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\n.\n", b"\r.\r"])
async def test_smuggling(harbour: Harbour, end: bytes) -> None:
    """No other end than CRLF.CRLF ends a message, and one with a bare CR or LF is refused whole."""
    client = await harbour.signed_in()
    await client.begin_mail()
    client.writer.write(HEAD + b"a" + end + f"MAIL FROM:<{ME}>\r\nRCPT TO:<{PAUL}>\r\nDATA\r\n\r\nb\r\n.\r\n".encode())
    assert (await client.reply()).startswith("550 5.6.0")
    assert (await client.ask("NOOP")).startswith("250 2.0.0")
    assert await harbour.messages() == []


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (HEAD + b"x" * (MAX_LINE_OCTETS + 1) + b"\r\n", Reason.LINE_TOO_LONG),
        (b"\r\nno header\r\n", Reason.BAD_HEADERS),
        (b"", Reason.BAD_HEADERS),
        (b"From: paul@demo.mssante.fr\r\n\r\n", Reason.NOT_YOUR_ADDRESS),
        (HEAD + b"y\r\n" * 30_000, Reason.TOO_LARGE),
        (b"X: y\r\n" * 13_000 + HEAD, Reason.TOO_LARGE),
    ],
)
async def test_refused_at_the_end(home: Home, message: bytes, reply: Reason) -> None:
    """A message that can't be taken is read to its end, then refused; the next one is taken."""
    smtp = replace(home.settings.smtp, max_message_size=Octets(70_000))
    harbour = Harbour(home, replace(home.settings, smtp=smtp))
    await harbour.open(Role.SUBMISSIONS)
    client = await harbour.signed_in()
    await client.begin_mail()
    client.writer.write(message + b".\r\n")
    assert (await client.reply()).encode() + b"\r\n" == replies.REASONS[reply]
    await client.begin_mail()
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    assert len(await harbour.messages()) == 1
    await harbour.close()


async def test_endless(home: Home) -> None:
    """What is far over the limit isn't read for ever; whoever doesn't listen may miss the last words."""
    smtp = replace(home.settings.smtp, max_message_size=Octets(70_000))
    harbour = Harbour(home, replace(home.settings, smtp=smtp))
    await harbour.open(Role.SUBMISSIONS)
    client = await harbour.signed_in()
    await client.begin_mail()
    client.writer.write(HEAD + b"y\r\n" * 400_000)
    assert (await client.rest())[:10] in (b"552 5.3.4 ", b"")
    assert harbour.trail()[-1].kind == Kind.SUBMISSION_REFUSED
    await harbour.close()


@pytest.mark.parametrize("size", ["70001", "99999999999999999999"])
async def test_announced_too_large(home: Home, size: str) -> None:
    """A size over the limit is refused at MAIL."""
    smtp = replace(home.settings.smtp, max_message_size=Octets(70_000))
    harbour = Harbour(home, replace(home.settings, smtp=smtp))
    await harbour.open(Role.SUBMISSIONS)
    client = await harbour.signed_in()
    assert (await client.ask(f"MAIL FROM:<{ME}> SIZE={size}")).startswith("552 5.3.4")
    assert (await client.ask(f"MAIL FROM:<{ME}> SIZE=70000")).startswith("250 2.1.0")
    assert (await client.ask(f"RCPT TO:<{PAUL}>")).startswith("250 2.1.5")
    assert harbour.gate.asked == [(PAUL, 70000)]
    await harbour.close()


@pytest.mark.parametrize("reason", Reason)
async def test_each_reason(harbour: Harbour, reason: Reason) -> None:
    """Whatever the gate's reason, its one reply is told, and good recipients of the same message are served."""
    client = await harbour.signed_in()
    await client.ask(f"MAIL FROM:<{ME}>")
    assert (await client.ask(f"RCPT TO:<{reason.value}@{DOMAIN}>")).encode() + b"\r\n" == replies.REASONS[reason]
    assert (await client.ask(f"RCPT TO:<{PAUL}>")).startswith("250 2.1.5")
    await client.ask("DATA")
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    assert len(await harbour.messages()) == 1


async def test_recipient_once(harbour: Harbour) -> None:
    """One box gets one copy, by however many names and however often it is named."""
    client = await harbour.signed_in()
    await client.begin_mail(PAUL, PAUL.upper(), PAUL, f"many1@{DOMAIN}")
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    assert len(await harbour.messages()) == 1
    assert [address for address, _ in harbour.gate.asked] == [PAUL, f"many1@{DOMAIN}"]


async def test_too_many_recipients(harbour: Harbour) -> None:
    """The 101st is put off, and the first hundred are served."""
    client = await harbour.signed_in()
    await client.ask(f"MAIL FROM:<{ME}>")
    client.send(*(f"RCPT TO:<many{n}@{DOMAIN}>" for n in range(101)))
    codes = [(await client.reply())[:9] for _ in range(101)]
    assert codes == ["250 2.1.5"] * 100 + ["452 4.5.3"]
    assert (await client.ask("DATA")).startswith("354")


async def test_sender(harbour: Harbour) -> None:
    """Nobody writes as another."""
    client = await harbour.signed_in()
    assert (await client.ask(f"MAIL FROM:<{PAUL}>")).startswith("553 5.7.1")
    assert (await client.ask(f"MAIL FROM:<{ME}>")).startswith("250 2.1.0")


async def test_left_in_the_middle(harbour: Harbour) -> None:
    """A message whose end never came is nobody's."""
    client = await harbour.signed_in()
    await client.begin_mail()
    client.writer.write(HEAD + b"half of it\r\n")
    await client.writer.drain()
    task = next(iter(harbour.servers[Role.SUBMISSIONS].open)).task
    assert task is not None
    client.close()
    await asyncio.wait_for(task, 20)
    assert await harbour.messages() == []
    assert harbour.sessions.inside == []


async def test_left_while_it_commits(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves between the end and the 250 finds its message kept, and once only when it sends anew."""
    ended, go_on = asyncio.Event(), asyncio.Event()
    finish = Submission.finish

    async def held(self: Submission) -> str:
        ended.set()
        await go_on.wait()
        return await finish(self)

    monkeypatch.setattr(Submission, "finish", held)
    client = await harbour.signed_in()
    await client.begin_mail()
    task = next(iter(harbour.servers[Role.SUBMISSIONS].open)).task
    assert task is not None
    client.send(f"From: {ME}", "Date: x", "Message-ID: <1@x>", "", "once", ".")
    await asyncio.wait_for(ended.wait(), 20)
    client.close()
    go_on.set()
    await asyncio.wait_for(task, 20)
    assert len(await harbour.messages()) == 1
    again = await harbour.signed_in()
    await again.begin_mail()
    assert (await again.ask(f"From: {ME}", "Date: x", "Message-ID: <1@x>", "", "once", ".")).startswith("250 2.6.0")
    assert len(await harbour.messages()) == 1
    # Who went on has read the 250: the same octets are another message.
    await again.begin_mail()
    assert (await again.ask(f"From: {ME}", "Date: x", "Message-ID: <1@x>", "", "other", ".")).startswith("250 2.6.0")
    await again.begin_mail()
    assert (await again.ask(f"From: {ME}", "Date: x", "Message-ID: <1@x>", "", "other", ".")).startswith("250 2.6.0")
    assert len(await harbour.messages()) == 3


async def test_own_fault(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours is 451 without a word of it, in mid-message too, logged once; the connection goes on."""
    log = CapturingLogger()
    monkeypatch.setattr(commands, "_log", log)
    client = await harbour.signed_in()
    await client.ask(f"MAIL FROM:<{ME}>")
    assert (await client.ask(f"RCPT TO:<broken@{DOMAIN}>")).encode() + b"\r\n" == replies.OWN_FAULT
    await client.ask("RSET")

    async def broken(self: Submission, data: bytes) -> None:
        raise RuntimeError("canary")

    with monkeypatch.context() as patch:
        patch.setattr(Submission, "write", broken)
        await client.begin_mail()
        client.writer.write(HEAD + big(400_000) + b"\r\n.\r\n")
        assert (await client.reply()).encode() + b"\r\n" == replies.OWN_FAULT
    await client.begin_mail()
    assert (await client.ask(f"From: {ME}", "", ".")).startswith("250 2.6.0")
    logged = [(call.args, call.kwargs["command"], set(call.kwargs)) for call in log.calls]
    ids = {"incident", "exc_info", "command"}
    assert logged == [(("smtp command failed",), "RCPT", ids), (("smtp command failed",), "DATA", ids)]
