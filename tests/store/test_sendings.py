"""Counts of what was sent: in the hour and the day of the clock, each by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.ids import AccountId
from mssmail.store import sendings
from mssmail.store.sendings import Sent
from tests.support.houses import Home

DAY = 86_400
ONE, OTHER = AccountId(1), AccountId(2)
NOON = 1_800_014_400
"""12:00 UTC."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def home(tmp_path: Path, clock: FakeClock) -> Iterator[Home]:
    built = Home(tmp_path, clock)
    yield built
    built.close()


def sent(home: Home, at: int, recipients: int = 2, account: AccountId = ONE) -> Sent:
    clock = home.clock
    assert isinstance(clock, FakeClock)
    clock.advance(at - clock.now())
    return home.house.write.run_blocking(lambda tx: sendings.count(tx, account, 1, recipients))


def test_windows(home: Home) -> None:
    """A new hour begins anew within the day, a new day with both; accounts are apart."""
    assert sent(home, NOON) == Sent(1, 2, 1, 2)
    assert sent(home, NOON + 3599, 5) == Sent(2, 7, 2, 7)
    assert sent(home, NOON, account=OTHER) == Sent(1, 2, 1, 2)
    assert sent(home, NOON + 3600) == Sent(1, 2, 3, 9)
    assert sent(home, NOON + 12 * 3600) == Sent(1, 2, 1, 2)


def test_looked_at(home: Home, clock: FakeClock) -> None:
    """Looking at what was sent changes nothing, and sees the windows end as counting does."""

    def seen() -> Sent:
        return home.house.read.run_blocking(lambda tx: sendings.sent(tx, ONE))

    assert seen() == Sent(0, 0, 0, 0)
    for later, expected in ((0, Sent(1, 2, 1, 2)), (3599, Sent(1, 2, 1, 2)), (3600, Sent(0, 0, 1, 2))):
        if not later:
            sent(home, NOON)
        clock.advance(NOON + later - clock.now())
        assert seen() == expected
    clock.advance(DAY)
    assert seen() == Sent(0, 0, 0, 0)


def test_held(home: Home, clock: FakeClock) -> None:
    """That a limit was reached is news once an hour, and is told for as long as is asked."""
    sent(home, NOON)

    def hold(at: int) -> bool:
        clock.advance(at - clock.now())
        return home.house.write.run_blocking(lambda tx: sendings.hold(tx, ONE))

    assert [hold(NOON + t) for t in (10, 20, 3599, 3600, 3700)] == [True, False, False, True, False]
    for since, count in ((NOON, 1), (NOON + 3600, 1), (NOON + 3601, 0)):
        assert home.house.read.run_blocking(lambda tx, since=since: sendings.held_since(tx, since)) == count  # type: ignore[misc]
