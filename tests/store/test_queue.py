"""The queue's rows: leased singly, settled once, and gone with their body when nothing waits any more."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.ids import POST, AccountId, BodyId, Period
from mssmail.store import messages, queue, queue_domains, queue_lease
from mssmail.store.interface import Transaction
from mssmail.store.messages import NewBody
from mssmail.store.queue import QueuedMessage, QueuedRecipient
from mssmail.store.queue_domains import IDLE
from mssmail.store.queue_lease import Leased, Result
from mssmail.store.queue_state import State
from tests.support.houses import Home

HOSPITAL, LABORATORY = b"hospital--------", b"laboratory------"
TERM_S = 90


class Rows:
    """A home's rows, changed by one unit of work at a time."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.write = home.write.run_blocking
        self._fence = 0

    def put(self, number: int, *domains: bytes, body: int | None = None, wait_s: int = 0) -> None:
        now = int(self.home.clock.now())
        body_id = BodyId(number if body is None else body)
        message = QueuedMessage(
            number, body_id, AccountId(7), Period(now + 6 * 86_400), b"wrap", 100, now + 1000, now + 500, b"m"
        )

        def work(tx: Transaction) -> None:
            if body is None:
                messages.add_bodies(tx, [NewBody(body_id, 100, b"\4\0\0\0", b"body", b"record", [])])
            queue.queue(tx, message, [QueuedRecipient(d, b"d", now + wait_s, b"r") for d in domains])

        self.write(work)

    def lease(self, domain: bytes = HOSPITAL, count: int = 10, slot: int = 0) -> list[Leased]:
        fences = range(self._fence + 1, self._fence + count + 1)
        self._fence += count
        return self.write(lambda tx: queue_lease.lease(tx, domain, slot, fences, TERM_S))

    def settle(self, leased: Leased, state: State, due_at: int = 0, *numbers: int) -> bool:
        results = [
            Result(number, attempts + 1, state, due_at, "cause", 250, b"hop")
            for number, _, attempts in leased.recipients
            if not numbers or number in numbers
        ]
        return self.write(lambda tx: queue_lease.settle(tx, leased, results))

    def one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.home.tx().driver.execute(sql, values).fetchone()
        return row

    def states(self, number: int) -> Sequence[int]:
        sql = "SELECT state FROM queue_recipients WHERE queue_id = ? ORDER BY number"
        return [row[0] for row in self.home.tx().driver.execute(sql, [number]).fetchall()]

    @property
    def clock(self) -> FakeClock:
        clock = self.home.clock
        assert isinstance(clock, FakeClock)
        return clock


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    home = Home(tmp_path)
    yield Rows(home)
    home.close()


def test_nobody_else_gets_what_is_leased(rows: Rows) -> None:
    """A message is in one worker's hands until it is settled, given back, or its lease ends."""
    rows.put(1, HOSPITAL, HOSPITAL, LABORATORY)
    (mine,) = rows.lease()
    assert [number for number, _, _ in mine.recipients] == [1, 2]
    assert rows.lease(slot=1) == []
    (other,) = rows.lease(LABORATORY, slot=1)
    assert [number for number, _, _ in other.recipients] == [3]
    rows.write(lambda tx: queue_lease.give_back(tx, mine))
    (again,) = rows.lease(slot=1)
    assert again.fence != mine.fence
    assert [attempts for _, _, attempts in again.recipients] == [0, 0]


def test_a_lease_ends_by_itself(rows: Rows) -> None:
    """What a worker that is gone had in hand is tried by others after its term, unless it was renewed."""
    rows.put(1, HOSPITAL)
    (mine,) = rows.lease()
    rows.clock.advance(TERM_S - 1)
    rows.write(lambda tx: queue_lease.renew(tx, [mine], TERM_S))
    rows.clock.advance(TERM_S - 1)
    assert rows.write(lambda tx: queue_lease.free_lapsed(tx, "interrupted")) == 0
    rows.clock.advance(1)
    assert rows.write(lambda tx: queue_lease.free_lapsed(tx, "interrupted")) == 1
    (other,) = rows.lease(slot=1)
    assert [attempts for _, _, attempts in other.recipients] == [1]
    assert rows.settle(mine, State.FAILED) is False
    assert rows.states(1) == [State.SENDING]
    assert rows.settle(other, State.RELAYED)
    assert rows.one("SELECT count(*), sum(cause = 'interrupted') FROM queue_attempts") == (2, 1)


def test_what_was_delivered_counts_though_the_lease_was_lost(rows: Rows) -> None:
    """A worker that comes late with a delivery is believed, so that it isn't sent once more."""
    rows.put(1, HOSPITAL)
    (late,) = rows.lease()
    rows.clock.advance(TERM_S)
    rows.write(lambda tx: queue_lease.free_lapsed(tx, "interrupted"))
    assert rows.settle(late, State.RELAYED) is False
    assert rows.states(1) == [State.RELAYED]
    assert rows.lease() == []


def test_a_new_life_frees_its_slot(rows: Rows) -> None:
    """A worker started again takes back what its earlier life had in hand, and nobody else's."""
    rows.put(1, HOSPITAL)
    rows.put(2, LABORATORY)
    rows.lease(slot=0)
    rows.lease(LABORATORY, slot=1)
    assert rows.write(lambda tx: queue_lease.free(tx, 1, 1, "interrupted")) == 1
    assert (rows.states(1), rows.states(2)) == ([State.SENDING], [State.WAITING])


def test_the_last_recipient_takes_the_body_along(rows: Rows) -> None:
    """The wrap of a queued body goes when its last recipient is at its end, and only then."""
    rows.put(1, HOSPITAL, LABORATORY)
    rows.put(2, HOSPITAL, body=1)
    for leased in (*rows.lease(), *rows.lease(LABORATORY)):
        assert rows.one("SELECT count(*) FROM wraps WHERE account_id = ?", POST) == (1,)
        rows.settle(leased, State.RELAYED)
    assert rows.one("SELECT count(*) FROM wraps") == (0,)
    assert rows.one("SELECT body_id FROM body_outbox") == (1,)
    assert rows.one("SELECT waiting, deadline_at FROM queue_messages WHERE queue_id = 1") == (0, None)


def test_what_is_deferred_comes_back_at_its_time(rows: Rows) -> None:
    """A deferred recipient is leased again when it is due; the settled ones of the same message never."""
    now = int(rows.clock.now())
    rows.put(1, HOSPITAL, HOSPITAL)
    (mine,) = rows.lease()
    results = [
        Result(1, 1, State.RELAYED, 0, "delivered", 250, b""),
        Result(2, 1, State.WAITING, now + 60, "deferred", 450, b""),
    ]
    rows.write(lambda tx: queue_lease.settle(tx, mine, results))
    assert rows.lease() == []
    assert rows.write(queue_domains.next_due) == now + 60
    rows.clock.advance(60)
    assert [number for each in rows.lease() for number, _, _ in each.recipients] == [2]
    assert rows.write(queue_domains.next_due) == IDLE


def test_a_domain_that_fails_is_probed_by_one_message(rows: Rows) -> None:
    """While a domain doesn't answer, one message at a time is tried, after a pause; then all go again."""
    now = int(rows.clock.now())
    for number in range(1, 6):
        rows.put(number, HOSPITAL)
    rows.write(lambda tx: queue_domains.failed(tx, HOSPITAL, "unreachable", now + 30))
    assert rows.lease() == []
    rows.put(6, HOSPITAL)
    assert rows.write(queue_domains.next_due) == now + 30
    rows.clock.advance(30)
    (probe,) = rows.lease()
    assert rows.lease(slot=1) == []
    rows.write(lambda tx: queue_lease.settle(tx, probe, [Result(1, 1, State.RELAYED, 0, "delivered", 250, b"")]))
    rows.write(lambda tx: queue_domains.well(tx, HOSPITAL))
    assert len(rows.lease()) == 5


@pytest.mark.parametrize("end", ["killed", "lapsed", "stopped", "given back"])
def test_a_probe_that_ends_without_outcome_is_made_again(rows: Rows, end: str) -> None:
    """A worker that dies while it probes a domain takes none of its time along: the next one probes at once."""
    now = int(rows.clock.now())
    rows.put(1, HOSPITAL)
    rows.write(lambda tx: queue_domains.failed(tx, HOSPITAL, "unreachable", now + 30))
    rows.clock.advance(30)
    (probe,) = rows.lease(slot=1)
    if end == "killed":
        rows.write(lambda tx: queue_lease.free(tx, 1, 1, "interrupted"))
    elif end == "lapsed":
        rows.clock.advance(TERM_S)
        rows.write(lambda tx: queue_lease.free_lapsed(tx, "interrupted"))
    elif end == "stopped":
        rows.write(lambda tx: queue_lease.interrupted(tx, probe, "interrupted"))
    else:
        rows.write(lambda tx: queue_lease.give_back(tx, probe))
    assert rows.write(queue_domains.next_due) == int(rows.clock.now())
    assert len(rows.lease()) == 1


def test_nobody_probes_while_all_is_in_hand(rows: Rows) -> None:
    """A probe for which no message is left is none: it keeps nobody from the domain."""
    now = int(rows.clock.now())
    rows.put(1, HOSPITAL)
    (mine,) = rows.lease()
    rows.write(lambda tx: queue_domains.failed(tx, HOSPITAL, "unreachable", now))
    assert rows.lease(slot=1) == []
    rows.write(lambda tx: queue_lease.give_back(tx, mine))
    assert len(rows.lease(slot=1)) == 1


def test_at_most_a_hundred_recipients_go_together(rows: Rows) -> None:
    """A message to more recipients of a domain than every server takes goes in parts (RFC 5321 §4.5.3.1.8)."""
    rows.put(1, *[HOSPITAL] * 250)
    sizes = []
    while leased := rows.lease():
        (part,) = leased
        sizes.append(len(part.recipients))
        rows.settle(part, State.RELAYED)
    assert sizes == [100, 100, 50]
    assert rows.one("SELECT waiting FROM queue_messages") == (0,)


@pytest.mark.parametrize("wait_s", [0, 5])
def test_nothing_is_due_before_its_time(rows: Rows, wait_s: int) -> None:
    """A domain is due when the first of its recipients is."""
    rows.put(1, HOSPITAL, wait_s=wait_s)
    assert len(rows.write(lambda tx: queue_domains.due_domains(tx, 10))) == (not wait_s)
    rows.clock.advance(wait_s)
    assert [each.digest for each in rows.write(lambda tx: queue_domains.due_domains(tx, 10))] == [HOSPITAL]
