"""Work in a process of its own: its progress, its end and what it raises are seen here, its memory isn't."""

import os
import signal

import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.demo.apart import Lost, Tell, apart


def test_done() -> None:
    """Progress comes as it is told, and what the work changes in memory stays with it."""
    seen: list[float] = []
    mine: list[int] = []

    def work(tell: Tell) -> None:
        mine.append(os.getpid())
        tell(0.25)
        tell(1.0)

    apart(work, seen.append)
    assert (seen, mine) == ([0.25, 1.0], [])


def test_raised() -> None:
    """What it raises is raised here, whole."""

    def work(tell: Tell) -> None:
        raise Refusal(Reason.STORAGE_FULL, "64 MB")

    with pytest.raises(Refusal) as caught:
        apart(work, lambda share: None)
    assert (caught.value.reason, caught.value.detail) == (Reason.STORAGE_FULL, "64 MB")


def test_killed() -> None:
    """A process that is killed is an error, not the end of the work."""
    with pytest.raises(Lost, match="memory"):
        apart(lambda tell: os.kill(os.getpid(), signal.SIGKILL), lambda share: None)
