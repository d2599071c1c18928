"""SIGKILL while mail goes to another operator: what was acknowledged arrives, and twice only where a reply was lost."""

import asyncio
import contextlib
import random
import re
import smtplib
import socket
import ssl
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance.test_kill import LOST
from tests.servers.smtp.courier.sink import Sink
from tests.support.demos import Demo, Person, message

KILLS = 5
SEED = 20261124
ARRIVAL_S = 60.0
WORKERS = 2
_IDENT = re.compile(rb"Message-ID: <([^@>]+)@test\.example>", re.IGNORECASE)

CONFIG = """
[[relay.routes]]
domain = "{domain}"
host = "127.0.0.1"
port = {port}

[queue]
first_retry = "1s"
longest_retry = "2s"

[sending]
messages_per_hour = 0
messages_per_day = 0
recipients_per_hour = 0
recipients_per_day = 0
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Operator:
    """The hospital's host, on a loop of its own."""

    def __init__(self, row: dict[str, Any], port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(row["cert"], row["key"])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.sink = Sink(context)
        asyncio.run_coroutine_threadsafe(self.sink.open(port=port), self._loop).result(10)

    def taken(self) -> Counter[str]:
        """How often each message was taken."""
        found = (_IDENT.search(each.octets) for each in list(self.sink.messages))
        return Counter(m[1].decode() for m in found if m is not None)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.sink.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def write_until_lost(person: Person, to: str, number: int, done: set[str], stop: threading.Event) -> None:
    """Send one message after another, and note those that were acknowledged."""
    with contextlib.suppress(*LOST):
        client = person.smtp()
        count = 0
        while not stop.is_set():
            count += 1
            ident = f"relay-{number}-{count:05d}"
            with contextlib.suppress(smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused):
                client.sendmail(person.address, [to], message(person.address, to, ident))
                done.add(ident)


def test_nothing_is_lost(tmp_path: Path) -> None:
    """Workers are killed at random while mail goes out: each acknowledged message arrives, none bounces, and there are
    no more copies than replies that can have been in flight at the kills.
    """
    port, chance = free_port(), random.Random(SEED)
    demo = Demo(
        tmp_path / "demo", "--workers", str(WORKERS), config=CONFIG.format(domain="hopital-demo.mssante.fr", port=port)
    )
    demo.start()
    row = demo.about["operators"][0]
    to = row["addresses"][0]
    operator = Operator(row, port)
    done: set[str] = set()
    try:
        for kill in range(KILLS):
            stop = threading.Event()
            writers = [
                threading.Thread(target=write_until_lost, args=(person, to, 10 * kill + k, done, stop))
                for k, person in enumerate(demo.people()[:3])
            ]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(1.0, 2.5))
            demo.kill()
            stop.set()
            for writer in writers:
                writer.join(30)
            demo.start()
        until = time.monotonic() + ARRIVAL_S
        while done - operator.taken().keys() and time.monotonic() < until:
            time.sleep(0.2)
        taken = operator.taken()
        assert len(done) > 10 * KILLS
        assert done - taken.keys() == set()
        copies = sum(count - 1 for count in taken.values())
        # at each kill at most the errands under way of each worker
        assert copies <= KILLS * WORKERS * 10
        failed = demo.run("audit", "search", "--kind", "relay-failed", "--json")
        assert (failed.returncode, "relay-failed" in failed.stdout) == (0, False)
        print(f"{len(done)} acknowledged, {sum(taken.values())} taken, {copies} copies")
    finally:
        operator.close()
        demo.stop()
