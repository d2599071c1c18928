"""Mail over IMAP: large messages stream, sessions see each other, numbers stay right whatever others expunge."""

import asyncio
import hashlib
import imaplib
import random
import tracemalloc
from itertools import pairwise
from pathlib import Path

import aioimaplib
import pytest

from mssmail.store.interface import Transaction
from tests.servers.imap.harness import (
    LOOPS,
    WAIT_S,
    Client,
    Site,
    client_context,
    numbers,
    run,
    site,
)

PLAIN = b"Subject: Bilan %d\r\n\r\nTout va bien.\r\n"
NOISE = random.Random(1).randbytes(3 << 20)


@pytest.mark.parametrize("loop", LOOPS)
def test_large(loop: str, tmp_path: Path) -> None:
    """A message of 3 MB comes back octet for octet, whole and in parts."""
    octets = PLAIN % 1 + NOISE

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.signed_in(s, select="INBOX")
            await client.append(octets)
            whole = (await client.ok("FETCH 1 (UID BODY.PEEK[] FLAGS)"))[0]
            head = b"* 1 FETCH (UID 1 FLAGS (\\Recent) BODY[] {%d}\r\n" % len(octets)
            assert whole.startswith(head)
            assert hashlib.sha256(whole[len(head) : -1]).digest() == hashlib.sha256(octets).digest()
            part = (await client.ok("FETCH 1 BODY.PEEK[]<1000000.70000>"))[0]
            assert part == b"* 1 FETCH (BODY[]<1000000> {70000}\r\n" + octets[1_000_000:1_070_000] + b")"
            several = (await client.ok("FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[HEADER])"))[0]
            text = octets[len(b"Subject: Bilan 1\r\n\r\n") :]
            assert several.count(b"BODY[") == 3
            assert several.endswith(b"BODY[TEXT] {%d}\r\n%b)" % (len(text), text))

    run(main(), loop)


def test_memory(tmp_path: Path) -> None:
    """Neither the APPEND of 24 MB nor its FETCH by a slow reader holds more than a few MB."""
    octets = PLAIN % 1 + NOISE * 8

    async def main() -> None:
        async with site(tmp_path) as s:
            client = await Client.secured(s, limit=65_536)
            await client.response()
            await client.ok("LOGIN alice secret")
            await client.ok("SELECT INBOX")
            client.writer.transport.set_write_buffer_limits(high=65_536)
            await client.append(PLAIN % 0)
            tracemalloc.start()
            client.send(b"a APPEND INBOX {%d+}\r\n" % len(octets))
            for start in range(0, len(octets), 65_536):
                client.send(octets[start : start + 65_536])
                await client.writer.drain()
            client.send(b"\r\n")
            await client.until("a")
            client.send(b"b FETCH 2 BODY.PEEK[]\r\n")
            left = len(octets)
            digest = hashlib.sha256()
            await client.reader.readline()
            while left:
                data = await asyncio.wait_for(client.reader.read(min(left, 65_536)), WAIT_S)
                digest.update(data)
                left -= len(data)
            await client.until("b")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert digest.digest() == hashlib.sha256(octets).digest()
            assert peak < 10 << 20

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_numbers(loop: str, tmp_path: Path) -> None:
    """Whatever three sessions add and expunge, each one's numbers name the UIDs that it was told of."""
    chance = random.Random(7)

    async def act(client: Client, known: list[int]) -> None:
        """Do something by number, and follow what is told."""
        verb = chance.choice(["append", "delete", "expunge", "fetch", "noop", "uid", "move"])
        number = chance.randint(1, len(known)) if known else 0
        if verb == "append":
            answer = await client.append(PLAIN % chance.randrange(1000))
        elif verb == "delete" and number:
            answer = await client.ok(f"STORE {number} +FLAGS.SILENT (\\Deleted)")
        elif verb == "expunge":
            answer = await client.ok("EXPUNGE")
        elif verb == "fetch" and number:
            answer = await client.ok(f"FETCH {number} (UID)")
            assert answer[0] == b"* %d FETCH (UID %d)" % (number, known[number - 1])
        elif verb == "uid" and number:
            answer = await client.ok(f"UID FETCH {known[number - 1]} (FLAGS)")
        elif verb == "move" and number and chance.random() < 0.3:
            answer = await client.ok(f"MOVE {number} Trash")
        else:
            answer = await client.ok("NOOP")
        for gone in numbers(answer, b"EXPUNGE"):
            del known[gone - 1]
        exists = numbers(answer, b"EXISTS")
        if exists:
            assert exists[-1] > len(known)
            listing = await client.ask(f"FETCH {len(known) + 1}:{exists[-1]} (UID)")
            known += [int(line.split()[4].rstrip(b")")) for line in listing if b"(UID " in line]
            # A message that came may be gone again when it is asked for: its UID is in the view all the same.
            assert len(known) >= exists[-1]

    async def main() -> None:
        async with site(tmp_path) as s:
            for n in range(10):
                await s.send("alice", PLAIN % n)
            clients = [await Client.signed_in(s, select="INBOX") for _ in range(3)]
            known = [list(range(1, 11)) for _ in clients]
            for _ in range(150):
                turn = chance.randrange(3)
                await act(clients[turn], known[turn])
            for client, uids in zip(clients, known, strict=True):
                for _ in range(2):
                    for gone in numbers(await client.ok("NOOP"), b"EXPUNGE"):
                        del uids[gone - 1]
                listing = await client.ok("FETCH 1:* (UID)")
                told = [int(line.split()[4].rstrip(b")")) for line in listing if b"(UID " in line]
                assert told[: len(uids)] == uids
            views = [await client.ok("UID SEARCH ALL") for client in clients]
            assert views[0] == views[1] == views[2]

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_listing(loop: str, tmp_path: Path) -> None:
    """A listing of 1,000 messages by a client that reads slowly is whole and in order."""

    async def main() -> None:
        async with site(tmp_path) as s:
            await asyncio.gather(*(s.send("alice", PLAIN % n) for n in range(1_000)))
            client = await Client.signed_in(s, select="INBOX")
            lines = await client.ok("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
            assert [int(line.split()[1]) for line in lines] == list(range(1, 1_001))
            flags = await client.ok("FETCH 1:* (FLAGS)")
            assert flags == [b"* %d FETCH (FLAGS (\\Recent))" % n for n in range(1, 1_001)]

    run(main(), loop)


def test_traced(tmp_path: Path) -> None:
    """What shows content writes one event a command, in the trail before it leaves; flags and sizes write none."""

    async def events(s: Site) -> int:
        def count(tx: Transaction) -> int:
            row = tx.driver.execute("SELECT count(*) FROM events").fetchone()
            return int(row[0])

        return await s.house.read.run(count)

    async def main() -> None:
        async with site(tmp_path) as s:
            for n in range(5):
                await s.send("alice", PLAIN % n)
            client = await Client.signed_in(s, select="INBOX")
            counts = [await events(s)]
            for items in ("FLAGS", "(UID RFC822.SIZE INTERNALDATE FLAGS)", "ENVELOPE", "BODY.PEEK[]", "BODY[TEXT]"):
                await client.ok(f"FETCH 1:* {items}")
                counts.append(await events(s))
            assert [after - before for before, after in pairwise(counts)] == [0, 0, 1, 1, 1]

    run(main())


def test_imaplib(tmp_path: Path) -> None:
    """The standard library's client appends, searches, fetches and stores."""

    def talk(port: int) -> None:
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=client_context(), timeout=WAIT_S) as client:
            client.login("alice", "secret")
            client.select()
            client.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(1_700_000_000), PLAIN % 1)
            assert client.search(None, "SUBJECT", "Bilan") == ("OK", [b"1"])
            kind, data = client.fetch("1", "(RFC822)")
            assert kind == "OK"
            assert isinstance(data[0], tuple)
            assert data[0][1] == PLAIN % 1
            assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
            assert client.expunge() == ("OK", [b"1"])

    def talk_clear(port: int) -> None:
        with imaplib.IMAP4("localhost", port, timeout=WAIT_S) as client:
            client.starttls(client_context())
            client.authenticate("PLAIN", lambda _: b"\0alice\0secret")
            assert client.select()[0] == "OK"

    async def main() -> None:
        async with site(tmp_path) as s:
            await asyncio.to_thread(talk, s.imaps)
            await asyncio.to_thread(talk_clear, s.imap)

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_aioimaplib(loop: str, tmp_path: Path) -> None:
    """aioimaplib is told of a message while it idles."""

    async def main() -> None:
        async with site(tmp_path) as s:
            client = aioimaplib.IMAP4_SSL("localhost", s.imaps, timeout=WAIT_S, ssl_context=client_context())
            await client.wait_hello_from_server()
            await client.login("alice", "secret")
            await client.select("INBOX")
            idle = await client.idle_start(timeout=WAIT_S)
            await s.send("alice", PLAIN % 1)
            told = await client.wait_server_push()
            assert b"1 EXISTS" in told
            client.idle_done()
            await asyncio.wait_for(idle, WAIT_S)
            found = await client.uid("fetch", "1", "(BODY.PEEK[])")
            assert bytearray(PLAIN % 1) in found.lines
            await client.logout()

    run(main(), loop)
