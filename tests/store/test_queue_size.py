"""What a step of the queue costs while very many messages wait: as much as while few do, counted in SQLite's own steps.

Times can't be asserted on a busy machine; the virtual machine's instructions can (sqlite.org/opcode.html).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.ids import POST, AccountId, BodyId, Period
from mssmail.store import messages, queue, queue_domains, queue_lease, queue_term
from mssmail.store.interface import Transaction
from mssmail.store.messages import NewBody
from mssmail.store.queue import QueuedMessage, QueuedRecipient
from mssmail.store.queue_lease import Leased, Result
from mssmail.store.queue_state import State
from tests.support.houses import Home

HOSPITAL: Final = b"hospital--------"
FEW, MANY = 500, 100_000
DAY: Final = 86_400

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
_FILL = _NUMBERS + " INSERT INTO {0} SELECT {1} FROM n"
_ROWS = {
    "wraps": "i, 0, :period, x'00'",
    "queue_messages": "i, i, 7, :period, 100, 1, :now, :now + 500000, :now + 10000, NULL, x'00'",
    "queue_recipients": "i, 1, :domain, 0, :due, 0, :now, NULL, x'00'",
}
"""Columns in the tables' own order."""


class Post:
    """A home with mail that waits."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._number = 10_000_000
        self.leased: list[Leased] = []

    @property
    def _now(self) -> int:
        return int(self.home.clock.now())

    def fill(self, first: int, last: int, due_in_s: int = -60) -> None:
        """Rows of messages that are due since a minute, or later."""
        values = {
            "first": first,
            "last": last,
            "now": self._now,
            "due": self._now + due_in_s,
            "domain": HOSPITAL,
            "period": self._now + 6 * DAY,
        }

        def work(tx: Transaction) -> None:
            for table, row in _ROWS.items():
                tx.driver.execute(_FILL.format(table, row), values)  # type: ignore[arg-type]
            queue_domains.expect(tx, HOSPITAL, b"d", self._now - 60)

        self.home.write.run_blocking(work)

    def steps(self, act: Callable[["Post", Transaction], None]) -> int:
        """How many of SQLite's instructions an act takes."""
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        def work(tx: Transaction) -> None:
            connection = cast("Stepped", tx.driver)
            connection.set_progress_handler(step, 1)
            try:
                act(self, tx)
            finally:
                connection.set_progress_handler(None, 0)

        self.home.write.run_blocking(work)
        return count

    # --- acts ---

    def accept(self, tx: Transaction) -> None:
        self._number += 1
        body, now = BodyId(self._number), self._now
        messages.add_bodies(tx, [NewBody(body, 100, b"\4\0\0\0", b"body", b"record", [])])
        message = QueuedMessage(
            self._number, body, AccountId(7), Period(now + 6 * DAY), b"wrap", 100, now + 5 * DAY, now + 10_000, b"m"
        )
        queue.queue(tx, message, [QueuedRecipient(HOSPITAL, b"d", now, b"r")])

    def lease(self, tx: Transaction) -> None:
        self._number += 1
        self.leased += queue_lease.lease(tx, HOSPITAL, 0, [self._number], 90)

    def relay(self, tx: Transaction) -> None:
        queue_lease.settle(tx, self.leased.pop(), [Result(1, 1, State.RELAYED, 0, "delivered", 250, b"")])
        queue_domains.well(tx, HOSPITAL)

    def defer(self, tx: Transaction) -> None:
        later = self._now + 900
        queue_lease.settle(tx, self.leased.pop(), [Result(1, 1, State.WAITING, later, "deferred", 450, b"")])
        queue_domains.failed(tx, HOSPITAL, "lost", self._now + 60)
        queue_domains.well(tx, HOSPITAL)

    def give_back(self, tx: Transaction) -> None:
        queue_lease.interrupted(tx, self.leased.pop(), "interrupted")

    def look(self, tx: Transaction) -> None:
        queue_lease.any_lapsed(tx)
        queue_domains.due_domains(tx, 200)
        queue_domains.next_due(tx)
        queue_term.deadlines(tx, 50)

    def expire(self, tx: Transaction) -> None:
        queue_id = self.leased.pop().queue_id
        queue_term.message(tx, queue_id)
        queue_term.expire(tx, queue_id, [1], "lifetime")

    def tidy(self, tx: Transaction) -> None:
        queue_term.forget(tx, self._now - 7 * DAY, 500)


class Stepped:
    """The part of sqlite3.Connection that counts instructions."""

    def set_progress_handler(self, step: Callable[[], int] | None, n: int) -> None: ...


ACTS: dict[str, tuple[bool, Callable[[Post, Transaction], None]]] = {
    "accept": (False, Post.accept),
    "lease": (False, Post.lease),
    "relay": (True, Post.relay),
    "defer": (True, Post.defer),
    "give back": (True, Post.give_back),
    "look": (False, Post.look),
    "expire": (True, Post.expire),
    "tidy": (False, Post.tidy),
}
"""Whether the act is about a message in hand, and the act."""


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    home = Home(tmp_path, FakeClock())
    yield Post(home)
    home.close()


def test_as_cheap_with_very_many(post: Post) -> None:
    """No step of the queue looks at what else waits, due or not: a few instructions more, for leases that lie about."""
    post.fill(1, FEW)
    few: dict[str, int] = {}
    many: dict[str, int] = {}
    for found, more in ((few, MANY), (many, 0)):
        for name, (in_hand, act) in ACTS.items():
            if in_hand:
                post.steps(Post.lease)
            found[name] = post.steps(act)
        post.leased.clear()
        if more:
            post.fill(1_000_000, 1_000_000 + more // 2)
            post.fill(2_000_000, 2_000_000 + more // 2, due_in_s=5000)
    assert all(steps > 5 for steps in few.values())
    assert {name: steps for name, steps in many.items() if steps > few[name] + 30} == {}


def test_what_is_due_first_goes_first(post: Post) -> None:
    """Among very many the one that is due first is leased first."""
    post.fill(1, MANY)
    post.fill(200_000, 200_000, due_in_s=-61)
    post.steps(Post.lease)
    assert [each.queue_id for each in post.leased] == [200_000]
    assert POST == 0, "whose wraps `_ROWS` writes"
