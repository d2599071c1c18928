"""Operators that write to each other while each is SIGKILLed at random: nothing is lost, nothing comes back.

What was acknowledged arrives. What is sent again because a reply was in flight at a kill is known again by its
receiver; where it isn't, and arrives twice, the sender's trace must say that an attempt was interrupted, or that it was
sent whole without a reply.
"""

import imaplib
import json
import os
import random
import re
import signal
import smtplib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.demos import Demo, Person, message

OPERATORS = 3
SEED = 20261124
SENDERS = 2
"""Programs that send at each operator."""
LOST = (OSError, ssl.SSLError, smtplib.SMTPException, imaplib.IMAP4.error, EOFError)
"""What a client sees when its server dies."""
AGAIN_S = 0.1
LATER_S = 0.05
_IDENT = re.compile(rb"^Message-ID: <([^@>]+)@test\.example>", re.IGNORECASE | re.MULTILINE)
_QUEUE_ID = re.compile(rb"\bid ([0-9a-f]+)\b")


class Federation:
    """A running one: its command, and each operator as a demo."""

    def __init__(self, folder: Path) -> None:
        self.command = Demo(folder, "--federation", str(OPERATORS)).start()
        others = [_beside(Path(each["data"])) for each in self.command.about["operators"]]
        self.operators = [_beside(folder), *others]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        took = self.command.stop()
        assert failed or took < 5

    def people(self, operator: int) -> list[Person]:
        return self.operators[operator].people()

    def kill(self, operator: int) -> None:
        """SIGKILL; the command starts it again."""
        demo = self.operators[operator]
        os.kill(_pid(demo), signal.SIGKILL)

    def settle(self, operator: int, killed: int) -> None:
        """Wait until a killed operator accepts again."""
        _wait(lambda: _pid(self.operators[operator]) != killed, f"operator {operator} started again")

    def waiting(self) -> int:
        """Recipients that are still to be given to another operator."""
        total = 0
        for demo in self.operators:
            said = demo.run("queue", "stats", "--json")
            assert said.returncode == 0, said.stderr
            total += sum(sum(domain["recipients"].values()) for domain in json.loads(said.stdout))
        return total

    def repeated(self) -> int:
        """How often an operator was given again what it had."""
        kind, total = "reception-repeated", 0
        for demo in self.operators:
            said = demo.run("audit", "search", "--kind", kind, "--json", "--limit", "100000")
            assert said.returncode == 0, said.stderr
            total += len(said.stdout.splitlines())
        return total


def _beside(data: Path) -> Demo:
    """A demo that runs already."""
    demo = Demo(data)
    demo.about = json.loads((data / "demo.json").read_text())
    return demo


def _pid(demo: Demo) -> int:
    return int(json.loads((demo.folder / "demo.json").read_text())["pid"])


def _wait(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    until, never = time.monotonic() + seconds, threading.Event()
    while not holds():
        assert time.monotonic() < until, what
        never.wait(AGAIN_S)


@dataclass
class Ledger:
    """What was sent, and what was acknowledged."""

    wanted: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    tried: dict[str, str] = field(default_factory=dict)
    """Identifier to the box it was for."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Identifier to the id that the sender's operator gave it."""

    def new(self, to: str) -> str | None:
        """The next identifier; None once enough is acknowledged."""
        with self.changed:
            if len(self.acknowledged) >= self.wanted:
                return None
            ident = f"fed-{len(self.tried):06d}"
            self.tried[ident] = to
            return ident

    def done(self, ident: str, queue_id: str) -> None:
        with self.changed:
            self.acknowledged[ident] = queue_id
            self.changed.notify_all()

    def reach(self, count: int) -> None:
        """Wait until so many are acknowledged."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.acknowledged) >= count, 300), "nothing is taken any more"


def sender(person: Person, others: list[Person], ledger: Ledger, chance: random.Random) -> None:
    """Write to people of other operators, over one connection while it lasts."""
    pause, context = threading.Event(), person.certificate_context()
    while len(ledger.acknowledged) < ledger.wanted:
        try:
            port = person.demo.about["ports"]["submissions"]
            with smtplib.SMTP_SSL("localhost", port, context=context, timeout=20) as client:
                client.ehlo()
                while _send(client, person.address, chance.choice(others).address, ledger):
                    pass
        except LOST:
            pause.wait(AGAIN_S)


def _send(client: smtplib.SMTP, sender: str, to: str, ledger: Ledger) -> bool:
    ident = ledger.new(to)
    if ident is None:
        return False
    for code, said in (client.mail(sender), client.rcpt(to)):
        assert code == 250, said
    code, said = client.data(message(sender, to, ident))
    assert code == 250, said
    found = _QUEUE_ID.search(said)
    assert found is not None, said
    ledger.done(ident, found[1].decode())
    return True


@dataclass
class Arrived:
    """What lies in all boxes."""

    copies: Counter[str] = field(default_factory=Counter)
    strange: list[bytes] = field(default_factory=list)
    """Heads of messages that nobody sent: reports of failure would be such."""
    homes: dict[str, str] = field(default_factory=dict)

    def look(self, person: Person) -> None:
        with person.imap() as client:
            status, found = client.select("INBOX", readonly=True)
            assert status == "OK", found
            if int(found[0] or 0) == 0:
                return
            _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID FROM SUBJECT)])")
            for row in rows:
                if isinstance(row, tuple):
                    ident = _IDENT.search(row[1])
                    if ident is None:
                        self.strange.append(row[1])
                    else:
                        self.copies[ident[1].decode()] += 1
                        self.homes[ident[1].decode()] = person.address


@dataclass
class Run:
    """Figures of one."""

    ledger: Ledger
    arrived: Arrived
    kills: int
    sending_s: float
    seconds: float
    doubled: dict[str, int]
    """Identifier to its copies but one."""
    repeated: int
    """Messages that came to an operator again and were known again."""

    def __str__(self) -> str:
        sent, tried = len(self.ledger.acknowledged), len(self.ledger.tried)
        return (
            f"{sent} acknowledged of {tried} tried, {len(self.arrived.copies)} arrived, "
            f"{self.repeated} sent again and known again, {sum(self.doubled.values())} duplicates, "
            f"{len(self.arrived.strange)} bounced, {self.kills} kills, "
            f"{self.sending_s:.0f} s sending, {self.seconds:.0f} s in all"
        )


def exchange(federation: Federation, count: int, kills: int) -> Run:
    """Send so many, with kills at random moments of it; wait for all queues to be empty, and look what arrived."""
    chance, ledger, began = random.Random(SEED), Ledger(count), time.monotonic()
    everybody = [federation.people(operator) for operator in range(OPERATORS)]
    threads = [
        threading.Thread(target=sender, args=(person, others, ledger, random.Random(f"{SEED} {person.address}")))
        for operator in range(OPERATORS)
        for person in everybody[operator][:SENDERS]
        for others in [[p for at in range(OPERATORS) if at != operator for p in everybody[at]]]
    ]
    for thread in threads:
        thread.start()
    moments = sorted(chance.sample(range(count // 20, count), kills))
    pause = threading.Event()
    for number, moment in enumerate(moments):
        ledger.reach(moment)
        pause.wait(chance.random() * LATER_S)  # not always just after a reply
        # each in turn, and then at random
        operator = number if number < OPERATORS else chance.randrange(OPERATORS)
        killed = _pid(federation.operators[operator])
        federation.kill(operator)
        federation.settle(operator, killed)
    for thread in threads:
        thread.join()
    sending_s = time.monotonic() - began
    _wait(lambda: not federation.waiting(), "all queues empty", 120 + count / 50)
    seconds, arrived = time.monotonic() - began, Arrived()
    for people in everybody:
        for person in people:
            arrived.look(person)
    doubled = {ident: copies - 1 for ident, copies in arrived.copies.items() if copies > 1}
    return Run(ledger, arrived, kills, sending_s, seconds, doubled, federation.repeated())


def judge(federation: Federation, run: Run) -> None:
    """Everything acknowledged is there, nothing else is but what was tried, and each second copy is accounted for."""
    assert not run.arrived.strange, run.arrived.strange[:3]
    assert set(run.ledger.acknowledged) <= set(run.arrived.copies)
    assert set(run.arrived.copies) <= set(run.ledger.tried)
    assert all(run.ledger.tried[ident] == home for ident, home in run.arrived.homes.items())
    for ident, more in run.doubled.items():
        attempts = trace(federation, run, ident)
        open_ended = [each for each in attempts if each["in_doubt"] or each["cause"] == "interrupted"]
        assert len(open_ended) >= more, (ident, attempts)
    for demo in federation.operators:
        verified = demo.run("audit", "verify")
        assert verified.returncode == 0, verified.stdout


def trace(federation: Federation, run: Run, ident: str) -> list[dict[str, Any]]:
    """Each attempt at a message, as its sender's operator kept it."""
    numbers = [run.ledger.acknowledged[ident]] if ident in run.ledger.acknowledged else []
    numbers = numbers or sorted(set(_queue_ids(federation, run, ident)))
    for number in numbers:
        for demo in federation.operators:
            said = demo.run("queue", "show", number, "--json")
            if said.returncode == 0:
                recipients = json.loads(said.stdout)["recipients"]
                if [each["address"] for each in recipients] == [run.ledger.tried[ident]]:
                    return [attempt for each in recipients for attempt in each["trace"]]
    raise AssertionError(f"{ident}: no trace")


def _queue_ids(federation: Federation, run: Run, ident: str) -> Iterator[str]:
    """By the headers of its copies, where its sender was never told."""
    home = run.ledger.tried[ident]
    (person,) = (p for at in range(OPERATORS) for p in federation.people(at) if p.address == home)
    with person.imap() as client:
        client.select("INBOX", readonly=True)
        _, (found,) = client.search(None, "HEADER", "Message-ID", f"<{ident}@test.example>")
        for number in found.split():
            _, parts = client.fetch(number.decode(), "(BODY.PEEK[HEADER.FIELDS (RECEIVED)])")
            assert isinstance(parts[0], tuple)
            for each in _QUEUE_ID.findall(parts[0][1]):
                yield each.decode()


def test_kills_while_operators_write_to_each_other(tmp_path: Path) -> None:
    """Each of three operators is killed once while a few hundred messages go to and fro."""
    with Federation(tmp_path / "demo") as federation:
        run = exchange(federation, 300, OPERATORS)
        judge(federation, run)
        print(run)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_messages(tmp_path: Path) -> None:
    """Three operators exchange 10,000 messages, and are killed forty times."""
    with Federation(tmp_path / "demo") as federation:
        run = exchange(federation, 10_000, 40)
        judge(federation, run)
        print(f"\n{run}")
