"""SIGKILL at any moment: what was acknowledged is there exactly once, the rest at most once, and no UID is reused."""

import contextlib
import imaplib
import os
import random
import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.demos import Demo, Person, idents, message, small_disk

__all__ = ["small_disk"]

ROUNDS = 10
ACKNOWLEDGED = 3000
SEED = 20261124
SHORT_TERM = "8s"
LOST = (OSError, ssl.SSLError, smtplib.SMTPException, imaplib.IMAP4.error, EOFError)
"""What a client sees when its server dies."""

CONFIG = """
[retention]
interval = "1s"
"""


class Ledger:
    """What clients asked for, and what they were told is done."""

    def __init__(self, body_octets: int = 900) -> None:
        self.lock = threading.Lock()
        self.tried: dict[str, str] = {}
        """Identifier to the box it was for."""
        self.acknowledged: set[str] = set()
        self.flagged: set[str] = set()
        self.uids: dict[tuple[str, str, int, int], str] = {}
        """(box, folder, UIDVALIDITY, UID) to the message that stood there when it was seen."""
        self.changes = 0
        self.count = 0
        self.refused = 0
        self.body_octets = body_octets

    def new(self, box: str, kind: str) -> str:
        with self.lock:
            self.count += 1
            ident = f"{kind}-{self.count:06d}"
            self.tried[ident] = box
            return ident

    def done(self, ident: str | None = None) -> None:
        with self.lock:
            self.changes += 1
            if ident is not None:
                self.acknowledged.add(ident)


def until_lost(act: Callable[[], None], stop: threading.Event) -> None:
    with contextlib.suppress(*LOST):
        while not stop.is_set():
            act()


def sender(person: Person, to: Person, ledger: Ledger, stop: threading.Event) -> None:
    with contextlib.suppress(*LOST):
        client = person.smtp()

        def act() -> None:
            ident = ledger.new(to.address, "data")
            body = random.Random(ident).randbytes(ledger.body_octets).hex().encode()
            body = b"\r\n".join(body[k : k + 76] for k in range(0, len(body), 76)) + b"\r\n"
            try:
                client.sendmail(person.address, [to.address], message(person.address, to.address, ident, body))
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused):
                ledger.refused += 1
                time.sleep(0.02)
                client.rset()
                return
            ledger.done(ident)

        until_lost(act, stop)


def appender(person: Person, ledger: Ledger, stop: threading.Event) -> None:
    with contextlib.suppress(*LOST):
        client = person.imap()

        def act() -> None:
            ident = ledger.new(person.address, "append")
            status, _ = client.append("Ajouts", "", "", message(person.address, person.address, ident))
            if status == "OK":
                ledger.done(ident)
            else:
                ledger.refused += 1
                time.sleep(0.02)

        until_lost(act, stop)


def mover(person: Person, ledger: Ledger, stop: threading.Event) -> None:
    """Move messages out of INBOX, one by one and by twos."""
    with contextlib.suppress(*LOST):
        client = person.imap()
        client.select("INBOX")

        def act() -> None:
            client.noop()
            _, found = client.uid("SEARCH", "ALL")
            uids = found[0].split()[:2]
            if not uids:
                time.sleep(0.05)
                return
            status, _ = client.uid("MOVE", b",".join(uids).decode(), "Classes")
            if status == "OK":
                ledger.done()

        until_lost(act, stop)


def flagger(person: Person, ledger: Ledger, stop: threading.Event) -> None:
    with contextlib.suppress(*LOST):
        client = person.imap()
        client.select("Ajouts")

        def act() -> None:
            client.noop()
            _, found = client.uid("SEARCH", "UNFLAGGED")
            uids = found[0].split()[:1]
            if not uids:
                time.sleep(0.05)
                return
            status, rows = client.uid("FETCH", uids[0].decode(), "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
            ident = re.search(rb"<(append-\d+)@", b"".join(r[1] for r in rows if isinstance(r, tuple)))
            status, _ = client.uid("STORE", uids[0].decode(), "+FLAGS.SILENT", r"(\Flagged)")
            if status == "OK" and ident is not None:
                with ledger.lock:
                    ledger.flagged.add(ident[1].decode())
                ledger.done()

        until_lost(act, stop)


def round_of_work(demo: Demo, ledger: Ledger, chance: random.Random, wanted: int, seconds: float = 60) -> None:
    """Let all clients work until enough is acknowledged, then kill at a random moment."""
    anne, bert, cora, dora = demo.people()[:4]
    stop = threading.Event()
    jobs: list[tuple[Callable[..., None], tuple[object, ...]]] = [
        (sender, (anne, bert, ledger, stop)),
        (sender, (cora, bert, ledger, stop)),
        (sender, (bert, dora, ledger, stop)),
        (appender, (anne, ledger, stop)),
        (appender, (cora, ledger, stop)),
        (mover, (bert, ledger, stop)),
        (flagger, (anne, ledger, stop)),
    ]
    threads = [threading.Thread(target=job, args=args, daemon=True) for job, args in jobs]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while ledger.changes < wanted and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.2))
    demo.kill()
    stop.set()
    for thread in threads:
        thread.join(30)


def prepare(demo: Demo) -> None:
    """Make the folders that the clients use."""
    anne, bert, cora = demo.people()[:3]
    for person, folder in ((anne, "Ajouts"), (cora, "Ajouts"), (bert, "Classes")):
        client = person.imap()
        assert client.create(folder)[0] == "OK"
        client.logout()


def check(demo: Demo, ledger: Ledger) -> None:
    """Look into every box over IMAP and compare with the ledger."""
    anne, bert, cora, dora = demo.people()[:4]
    where: dict[str, list[str]] = {}
    for person, folders in ((anne, ["Ajouts"]), (bert, ["INBOX", "Classes"]), (cora, ["Ajouts"]), (dora, ["INBOX"])):
        client = person.imap()
        for folder in folders:
            found = idents(client, folder)
            validity = int(str(client.untagged_responses["UIDVALIDITY"][-1], "ascii"))  # type: ignore[arg-type]
            for uid, ident in found.items():
                where.setdefault(ident, []).append(f"{person.address}/{folder}")
                before = ledger.uids.setdefault((person.address, folder, validity, uid), ident)
                assert before == ident, f"UID {uid} of {folder} was {before}, and is {ident}"
        if person is anne:
            client.select("Ajouts", readonly=True)
            _, rows = client.search(None, "FLAGGED")
            flagged = len(rows[0].split())
            assert flagged >= len(ledger.flagged), "an acknowledged flag is lost"
        client.logout()
    doubled = {ident: places for ident, places in where.items() if len(places) > 1}
    assert not doubled, f"stored more than once: {dict(list(doubled.items())[:5])}"
    unknown = set(where) - set(ledger.tried)
    assert not unknown, f"nobody sent these: {sorted(unknown)[:5]}"
    kept = {ident for ident in ledger.acknowledged if ledger.tried[ident] != dora.address}
    lost = kept - set(where)
    assert not lost, f"acknowledged and lost: {sorted(lost)[:5]} ({len(lost)} of {len(kept)})"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sigkill_on_a_full_disk(small_disk: Path) -> None:
    """On a file system of 64 MB that fills up meanwhile: the same holds, and refusals were told."""
    demo = Demo(small_disk / "demo", config=CONFIG).start()
    prepare(demo)
    spare = small_disk / "spare"
    ledger, chance = Ledger(60_000), random.Random(SEED)
    for _ in range(3):
        spare.write_bytes(bytes(2 << 20))
        with contextlib.suppress(OSError), (small_disk / "filler").open("ab") as filler:
            filler.write(bytes(max(0, free_octets(small_disk) - (8 << 20))))
        before = ledger.refused
        round_of_work(demo, ledger, chance, ledger.changes + 400, seconds=6)
        assert ledger.refused > before, "the disk never filled up"
        spare.unlink()
        (small_disk / "filler").unlink()
        demo.start()
        check(demo, ledger)
    print(f"{ledger.changes} acknowledged, {ledger.refused} refused")
    demo.stop()


def free_octets(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sigkill_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Ten times SIGKILL while DATA, APPEND, STORE, MOVE and a purge are in flight."""
    demo = Demo(tmp_path / "demo", config=CONFIG).start()
    dora = demo.people()[3]
    prepare(demo)
    assert demo.run("retention", "set", dora.address, SHORT_TERM).returncode == 0
    ledger, chance = Ledger(), random.Random(SEED)
    for number in range(1, ROUNDS + 1):
        round_of_work(demo, ledger, chance, number * ACKNOWLEDGED // ROUNDS)
        demo.start()
        check(demo, ledger)
    assert ledger.changes >= ACKNOWLEDGED
    verified = demo.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    print(f"{ledger.changes} acknowledged changes, {len(ledger.tried)} messages tried, {len(ledger.uids)} UIDs watched")
    assert demo.stop() < 5
