"""Messages by BDAT: the same as after DATA, whatever the chunks; refused whole; never read as commands."""

import asyncio
from dataclasses import replace

import pytest

from mssmail.base.refusal import Reason
from mssmail.flow.submit import Submission
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.chunking import Bdat, parse_bdat
from mssmail.servers.smtp.data import MAX_LINE_OCTETS
from mssmail.servers.smtp.roles import Role
from mssmail.settings.units import Octets
from tests.servers.smtp.harbour import Client, Harbour
from tests.support.houses import DOMAIN, Home

ME = f"claire@{DOMAIN}"
PAUL = f"paul@{DOMAIN}"
HEAD = f"From: {ME}\r\n\r\n".encode()
ENVELOPE = [f"MAIL FROM:<{ME}>", f"RCPT TO:<{PAUL}>"]


def bdat(octets: bytes, *words: str) -> bytes:
    return " ".join(["BDAT", str(len(octets)), *words]).encode() + b"\r\n" + octets


async def begun(harbour: Harbour) -> Client:
    client = await harbour.signed_in()
    client.send(*ENVELOPE)
    assert [(await client.reply())[:9] for _ in ENVELOPE] == ["250 2.1.0", "250 2.1.5"]
    return client


@pytest.mark.parametrize(
    ("argument", "read"),
    [
        ("0", Bdat(0, last=False)),
        ("86 LAST", Bdat(86, last=True)),
        ("007  last", Bdat(7, last=True)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1 FIRST", None),
        ("1 LAST LAST", None),
        ("1LAST", None),
        ("٣", None),
        ("9" * 19, None),
    ],
)
def test_command(argument: str, read: Bdat | None) -> None:
    """A size in digits, and LAST or nothing."""
    assert parse_bdat(argument) == read


@pytest.mark.parametrize("cut", [1, 2, len(HEAD) - 3, len(HEAD) - 2, len(HEAD) - 1, len(HEAD), 70_001, 1_500_000])
async def test_bytes(harbour: Harbour, cut: int) -> None:
    """Chunks end to end are the message, dots and all, wherever they are cut."""
    client = await begun(harbour)
    body = b".\r\n..\r\n" + (b".line " + b"x" * 70 + b"\r\n") * 25_000
    message = HEAD + body
    client.writer.write(bdat(message[:cut]) + bdat(b"") + bdat(message[cut:]) + bdat(b"", "LAST") + b"NOOP\r\n")
    codes = [(await client.reply())[:9] for _ in range(5)]
    assert codes == ["250 2.0.0"] * 3 + ["250 2.6.0", "250 2.0.0"]
    (kept,) = await harbour.messages()
    assert kept.endswith(b"\r\n\r\n" + body)


async def test_octet_by_octet(harbour: Harbour) -> None:
    """As many chunks as octets are one message still."""
    client = await begun(harbour)
    message = HEAD + b"text\r\n"
    client.writer.write(b"".join(bdat(bytes([octet])) for octet in message) + bdat(b"", "LAST"))
    codes = [(await client.reply())[:9] for _ in range(len(message) + 1)]
    assert codes == ["250 2.0.0"] * len(message) + ["250 2.6.0"]
    (kept,) = await harbour.messages()
    assert kept.endswith(b"\r\n\r\ntext\r\n")


@pytest.mark.parametrize("rest", [b"a\nb\r\n", b"a\rb\r\n", b"a\r", b"a\n", b"\r\r\n", b"\n.\r\nQUIT\r\n"])
@pytest.mark.parametrize("cut", [0, 1, 2])
async def test_bare_newline(harbour: Harbour, rest: bytes, cut: int) -> None:
    """A bare CR or LF is refused as after DATA, even where it is the last octet or parted from the next chunk."""
    client = await begun(harbour)
    client.writer.write(bdat(HEAD + rest[:cut]) + bdat(rest[cut:], "LAST") + b"NOOP\r\n")
    heard = [await client.reply() for _ in range(3)]
    assert heard[2].startswith("250 2.0.0")
    assert replies.REASONS[Reason.BARE_NEWLINE].decode() in [each + "\r\n" for each in heard[:2]]
    assert await harbour.messages() == []


async def test_mixed_newline_is_none(harbour: Harbour) -> None:
    """CR in one chunk and its LF in the next are one line's end."""
    client = await begun(harbour)
    client.writer.write(bdat(HEAD + b"a\r") + bdat(b"\nb\r\n", "LAST"))
    assert [(await client.reply())[:9] for _ in range(2)] == ["250 2.0.0", "250 2.6.0"]


async def test_last_line_stays_open(harbour: Harbour) -> None:
    """A message whose last line has no end is kept as it is."""
    client = await begun(harbour)
    client.writer.write(bdat(HEAD + b"no end", "LAST"))
    assert (await client.reply()).startswith("250 2.6.0")
    (kept,) = await harbour.messages()
    assert kept.endswith(b"\r\n\r\nno end")


@pytest.fixture
def small(home: Home) -> Harbour:
    smtp = replace(home.settings.smtp, max_message_size=Octets(70_000))
    return Harbour(home, replace(home.settings, smtp=smtp))


@pytest.mark.parametrize(
    ("chunks", "reply"),
    [
        ([HEAD, b"x" * (MAX_LINE_OCTETS + 1)], Reason.LINE_TOO_LONG),
        ([HEAD, b"y\r\n" * 15_000, b"y\r\n" * 15_000], Reason.TOO_LARGE),
        ([f"From: {PAUL}\r\n\r\n".encode()], Reason.NOT_YOUR_ADDRESS),
        ([b"no header\r\n\r\n"], Reason.BAD_HEADERS),
    ],
)
async def test_refused(small: Harbour, chunks: list[bytes], reply: Reason) -> None:
    """The chunk that shows why a message can't be taken is refused; what is in the pipeline behind it is thrown away,
    however much that is, until RSET.
    """
    await small.open(Role.SUBMISSIONS)
    client = await begun(small)
    quits = [bdat(b"QUIT\r\n")] * 40
    client.writer.write(b"".join([*map(bdat, chunks), *quits]) + b"RSET\r\n")
    for _ in chunks[:-1]:
        assert (await client.reply()).startswith("250 2.0.0")
    assert (await client.reply()).encode() + b"\r\n" == replies.REASONS[reply]
    for _ in quits:
        assert (await client.reply()).startswith("503 5.5.1")
    assert (await client.reply()).startswith("250 2.0.0")
    client.send(*ENVELOPE)
    client.writer.write(bdat(HEAD, "LAST"))
    assert [(await client.reply())[:9] for _ in range(3)] == ["250 2.1.0", "250 2.1.5", "250 2.6.0"]
    assert len(await small.messages()) == 1
    await small.close()


async def test_far_too_large(small: Harbour) -> None:
    """A chunk that nobody would wait for ends the connection, unread."""
    await small.open(Role.SUBMISSIONS)
    client = await begun(small)
    client.send("BDAT 140001")
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()
    await small.close()


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"BDAT 6\rLAST", b"BDAT 6\0", b"BDAT 6 \xff", b"BDAT 6\nQUIT"])
async def test_unreadable(harbour: Harbour, line: bytes) -> None:
    """Behind a chunk whose size isn't known nothing is obeyed."""
    client = await begun(harbour)
    client.writer.write(line + b"\r\nRSET\r\nNOOP\r\n")
    assert (await client.rest())[:9] in (b"501 5.5.4", b"")
    assert await harbour.messages() == []


@pytest.mark.parametrize("ending", ["RSET", "EHLO me", "close", "QUIT"])
async def test_given_up(harbour: Harbour, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a transaction ends in mid-message, its message is let go of, and is nobody's."""
    aborted: list[Submission] = []
    abort = Submission.abort

    async def noted(self: Submission) -> None:
        aborted.append(self)
        await abort(self)

    monkeypatch.setattr(Submission, "abort", noted)
    client = await begun(harbour)
    client.writer.write(bdat(HEAD + b"x\r\n" * 1_000_000))
    assert (await client.reply()).startswith("250 2.0.0")
    task = next(iter(harbour.servers[Role.SUBMISSIONS].open)).task
    if ending == "close":
        client.close()
    else:
        await client.ask(ending)
    if ending in ("close", "QUIT"):
        assert task is not None
        await asyncio.wait_for(task, 20)
    assert len(aborted) == 1
    assert await harbour.messages() == []
    assert list((harbour.home.folder / "bodies" / "incoming").iterdir()) == []


async def test_shutdown_waits(harbour: Harbour) -> None:
    """A message between two chunks is taken to its end when the server stops, then its client is told."""
    client = await begun(harbour)
    client.writer.write(bdat(HEAD))
    assert (await client.reply()).startswith("250 2.0.0")
    closing = asyncio.create_task(harbour.servers[Role.SUBMISSIONS].close(20))
    await asyncio.sleep(0)
    client.writer.write(bdat(b"text\r\n"))
    assert (await client.reply()).startswith("250 2.0.0")
    client.writer.write(bdat(b"", "LAST"))
    assert (await client.reply()).startswith("250 2.6.0")
    assert (await client.reply()).startswith("421 4.3.2")
    await asyncio.wait_for(closing, 20)
    assert len(await harbour.messages()) == 1


async def test_right_ends_between_chunks(harbour: Harbour) -> None:
    """Whose right ends in mid-message is told at once, and the message is nobody's."""
    client = await begun(harbour)
    client.writer.write(bdat(HEAD))
    await client.reply()
    (inside,) = harbour.sessions.inside
    inside.end(Reason.SUSPENDED)
    assert (await client.reply()).startswith("421 4.7.0")
    assert await client.end()
    assert await harbour.messages() == []


async def test_own_fault(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours in mid-chunk is told when the chunk is over; the connection goes on after RSET."""

    async def broken(self: Submission, data: bytes) -> None:
        raise RuntimeError("canary")

    client = await begun(harbour)
    with monkeypatch.context() as patch:
        patch.setattr(Submission, "write", broken)
        client.writer.write(bdat(HEAD + b"x\r\n" * 100_000) + bdat(b"QUIT\r\n"))
        assert (await client.reply()).encode() + b"\r\n" == replies.OWN_FAULT
        assert (await client.reply()).startswith("503 5.5.1")
    assert (await client.ask("RSET")).startswith("250 2.0.0")
    client.send(*ENVELOPE)
    client.writer.write(bdat(HEAD, "LAST"))
    assert [(await client.reply())[:9] for _ in range(3)] == ["250 2.1.0", "250 2.1.5", "250 2.6.0"]
