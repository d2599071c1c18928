"""Where a queued recipient stands."""

from enum import IntEnum, unique


@unique
class State(IntEnum):
    """Where a recipient stands; the number is what lies on disk."""

    WAITING = 0
    SENDING = 1
    """In a worker's hands, under a lease."""
    HELD = 2
    """By an administrator."""
    RELAYED = 3
    FAILED = 4
    """For good; the cause says why."""
    DROPPED = 5
    """By an administrator, with nobody told."""

    @property
    def ended(self) -> bool:
        return self >= State.RELAYED
