"""A session's life: sign-in by certificate, injection, limits, stops; what ends it and how it is told."""

import asyncio
import random
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.view import RE_READ_S
from mssmail.servers.imap import session as sessions
from mssmail.servers.imap.commands import idle
from mssmail.servers.net.stream import Stream
from mssmail.settings.model import Settings
from mssmail.settings.units import Seconds
from tests.servers.imap.harness import LOOPS, WAIT_S, Client, person_leaf, run, site
from tests.support.houses import settings_for

PLAIN = b"Subject: Bilan\r\n\r\nTout va bien.\r\n"


@pytest.mark.parametrize("loop", LOOPS)
def test_certificate(loop: str, tmp_path: Path) -> None:
    """EXTERNAL is offered to who shows a certificate, and lets in; a certificate alone does not."""

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.secured(s, person_leaf())
            assert b"AUTH=EXTERNAL" in await client.response()
            assert b" BAD " in (await client.ask("SELECT INBOX"))[-1]
            assert b"[AUTHORIZATIONFAILED]" in (await client.ask("AUTHENTICATE EXTERNAL Ym9i"))[-1]
            assert b"[CAPABILITY" in (await client.ask("AUTHENTICATE EXTERNAL ="))[-1]
            await client.ok("SELECT INBOX")

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_injection(loop: str, tmp_path: Path) -> None:
    """Clear text in the same piece as STARTTLS is never answered, before TLS or after: the connection is cut."""

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.clear(s)
            await client.response()
            client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
            with pytest.raises((ConnectionError, AssertionError)):
                assert await client.response()

    run(main(), loop)


def limited(folder: Path, **imap: int) -> Settings:
    given = settings_for(folder)
    server = replace(given.server, loopback_unlimited=False)
    return replace(given, server=server, imap=replace(given.imap, **imap))  # type: ignore[arg-type]


def test_connections_of_an_address(tmp_path: Path) -> None:
    """One address opens so many connections; a closed one makes room."""

    async def main() -> None:
        async with site(tmp_path, settings=limited(tmp_path, max_connections_per_address=2)) as s:
            first, second, third = [await Client.secured(s) for _ in range(3)]
            greetings = [await c.response() for c in (first, second, third)]
            assert [g.startswith(b"* BYE [LIMIT]") for g in greetings] == [False, False, True]
            await first.ask("LOGOUT")
            assert await first.response() == b""
            fourth = await Client.secured(s)
            assert (await fourth.response()).startswith(b"* OK")

    run(main())


def test_connections_of_an_account(tmp_path: Path) -> None:
    """One account has so many connections; the others aren't touched."""

    async def main() -> None:
        async with site(tmp_path, "alice", "bob", settings=limited(tmp_path, max_connections_per_account=1)) as s:
            first = await Client.signed_in(s, "alice")
            other = await Client.secured(s)
            await other.response()
            assert b"NO [LIMIT]" in (await other.ask("LOGIN alice secret"))[-1]
            await other.ok("LOGIN bob secret")
            await first.ok("NOOP")

    run(main())


def test_login_timeout(tmp_path: Path) -> None:
    """Who doesn't sign in in time is shown out, busy or not."""

    async def main() -> None:
        async with site(tmp_path, settings=limited(tmp_path, login_timeout=Seconds(0))) as s:
            client = await Client.secured(s)
            await client.response()
            assert (await client.response()).startswith(b"* BYE")
            assert await client.response() == b""

    run(main())


def test_idle_timeout(tmp_path: Path) -> None:
    """A silent client is shown out, in IDLE too."""

    async def main() -> None:
        async with site(tmp_path, settings=limited(tmp_path, idle_timeout=Seconds(0))) as s:
            for last in (b"", b"i IDLE\r\n"):
                client = await Client.secured(s)
                await client.response()
                client.send(b"a LOGIN alice secret\r\n" + last)
                await client.until("a")
                if last:
                    assert (await client.response()).startswith(b"+")
                assert (await client.response()).startswith(b"* BYE")
                assert await client.response() == b""

    run(main())


def test_strangers(tmp_path: Path) -> None:
    """Who speaks another protocol is shown out after some lines."""

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.secured(s)
            await client.response()
            client.send(b"GET / HTTP/1.1\r\n" * 100)
            said = [await client.response() for _ in range(sessions.MAX_FAULTS + 1)]
            assert said[-1].startswith(b"* BYE")
            assert await client.response() == b""

    run(main())


def test_keepalive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client in IDLE hears from the server now and then, so that nobody between them forgets the connection."""
    monkeypatch.setattr(idle, "KEEPALIVE_S", 0.01)

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.signed_in(s)
            client.send(b"i IDLE\r\n")
            assert (await client.response()).startswith(b"+")
            for _ in range(2):
                assert (await client.response()).startswith(b"* OK ")

    run(main())


def test_lost_wake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client in IDLE is told of mail whose wake-up was lost, once its view is due."""
    monkeypatch.setattr(idle, "LOOK_S", 0.01)
    clock = FakeClock()

    async def main() -> None:
        async with site(tmp_path, clock=clock) as s:
            client = await Client.signed_in(s, select="INBOX")
            client.send(b"i IDLE\r\n")
            await client.response()
            monkeypatch.setattr(s.home.write, "_on_wakes", lambda wakes: None)
            await s.send("alice", PLAIN)
            clock.advance(RE_READ_S)
            assert await client.response() == b"* 1 EXISTS"

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_stop(loop: str, tmp_path: Path) -> None:
    """When the server stops, idle sessions hear BYE at once, and nothing is left open."""

    async def main() -> None:
        async with site(tmp_path) as s:
            waiting = await Client.signed_in(s, select="INBOX")
            quiet = await Client.signed_in(s)
            waiting.send(b"i IDLE\r\n")
            await waiting.response()
            await asyncio.wait_for(s.server.close(WAIT_S), 1.0)
            for client in (waiting, quiet):
                assert (await client.response()).startswith(b"* BYE")
                assert await client.response() == b""

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_suspended_amid_a_literal(loop: str, tmp_path: Path) -> None:
    """A session ended while a message streams is cut, without a BYE inside the literal."""

    async def main() -> None:
        async with site(tmp_path) as s:
            alice = s.login.known["alice"]
            await s.send(alice, PLAIN + b"0123456789abcdef" * (2 << 20))
            client = await Client.signed_in(s, select="INBOX")
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]
            client.send(b"a FETCH 1 BODY.PEEK[]\r\n")
            while not any(session.mid_literal for session in s.server._sessions):
                await asyncio.sleep(0)
            await s.suspend(alice)
            client.reader._transport.resume_reading()  # type: ignore[attr-defined]
            with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
                await client.response()
                raise ConnectionError
            left = bytes(client.reader._buffer)  # type: ignore[attr-defined]
            assert b"* BYE" not in left

    run(main(), loop)


def test_own_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours is answered SERVERBUG with a number, without its text, and the session goes on."""

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.signed_in(s)

            async def broken(*_: object) -> None:
                raise ValueError("patient Dupont")

            monkeypatch.setattr(s.server._service.boxes, "create", broken)
            answer = (await client.ask("CREATE x"))[-1]
            assert b"NO [SERVERBUG]" in answer
            assert b"Dupont" not in answer
            await client.ok("NOOP")

    run(main())


@pytest.mark.parametrize(
    ("reason", "code"), [(Reason.STORAGE_FULL, b"NO [LIMIT]"), (Reason.UNAVAILABLE, b"NO [UNAVAILABLE]")]
)
def test_store_refuses(reason: Reason, code: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk or an absent database is said, amid an APPEND too, and the session goes on."""

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.signed_in(s, select="INBOX")

            async def refuse(*_: object) -> None:
                raise Refusal(reason)

            with monkeypatch.context() as patch:
                patch.setattr("mssmail.flow.keep.Keeper.flush", refuse)
                big = random.Random(1).randbytes(3 << 20)
                answer = await client.ask(b"APPEND INBOX {%d+}\r\n%b" % (len(big), big))
                assert code in answer[-1]
            await client.append(PLAIN)
            assert (await client.ok("FETCH 1:* (UID)"))[0] == b"* 1 FETCH (UID 1)"

    run(main())


def test_octets_are_acknowledged_while_more_are_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that writes a message, then the line's end, isn't held up by TCP; between commands nothing is forced."""
    forced = 0

    def count(_: Stream) -> None:
        nonlocal forced
        forced += 1

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.signed_in(s, select="INBOX")
            monkeypatch.setattr(Stream, "acknowledge", count)
            await client.ok("NOOP")
            assert forced == 0
            client.send(b"a APPEND INBOX {%d}\r\n" % len(PLAIN))
            await client.response()
            client.send(PLAIN)
            while not forced:
                await asyncio.sleep(0)
            client.send(b"\r\n")
            assert b"OK [APPENDUID" in (await client.until("a"))[-1]

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_acknowledging_works_on_any_connection(loop: str, tmp_path: Path) -> None:
    """Neither loop's transport, TLS or not, minds being asked."""

    async def main() -> None:
        async with site(tmp_path) as s:
            for connect in (Client.clear, Client.secured):
                client = await connect(s)
                await client.response()
                client.send(b"a NO")
                for session in s.server._sessions:
                    session.stream.acknowledge()
                client.send(b"OP\r\n")
                assert b"a OK" in (await client.response())

    run(main(), loop)
