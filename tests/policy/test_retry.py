"""When a message is tried again: soon at first, then ever more rarely, never all at once."""

import pytest

from mssmail.policy.retry import first_due, pause_s

FOUR_HOURS = 4 * 3600


@pytest.mark.parametrize(
    ("attempts", "chance", "pause"),
    [
        (1, 0.0, 15),
        (1, 1.0, 22),
        (2, 0.0, 30),
        (5, 0.5, 300),
        (11, 0.0, FOUR_HOURS),
        (11, 1.0, FOUR_HOURS),
        (10_000, 0.5, FOUR_HOURS),
        (0, 0.0, 15),
    ],
)
def test_pause(attempts: int, chance: float, pause: int) -> None:
    """Pauses double from the first to the longest, each stretched by chance, none beyond the longest."""
    assert pause_s(attempts, 15, FOUR_HOURS, chance) == pause


def test_pauses_never_shrink() -> None:
    """Whatever chance does, an attempt is never nearer than half its step before."""
    steps = [pause_s(k, 15, FOUR_HOURS, 0.0) for k in range(1, 20)]
    assert steps == sorted(steps)
    assert pause_s(1, 0.2, 0.2, 0.0) == 1


def test_priority_goes_first_without_starving() -> None:
    """The urgent goes before the usual of the same moment, the usual before the urgent of 18 minutes later."""
    now = 1_000_000.0
    assert first_due(now, 9) < first_due(now, 0) < first_due(now, -9) <= now
    assert first_due(now, -9) < first_due(now + 18 * 60 + 1, 9)
    assert first_due(now, 99) == first_due(now, 9)
