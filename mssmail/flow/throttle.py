"""How much one worker sends to a domain at once: step by step more while it goes well, half after a failure.

Knows counts alone. What all workers must know of a domain that fails, its pause, is in the queue's rows.
"""

from dataclasses import dataclass


def share(most: int, workers: int) -> int:
    """What each worker may have of so many in all: one at least, and nothing is left over."""
    return max(1, -(-most // workers))


@dataclass(slots=True)
class Throttle:
    """A domain, as one worker sees it."""

    window: float = 1.0
    """Messages that may be under way at once; one at first (slow start)."""
    busy: int = 0
    """How many are."""
    retry_at: float = 0.0
    """Until then this worker knows the domain to fail."""

    def room(self, most: int) -> int:
        """How many more may go now."""
        return max(0, int(min(self.window, most)) - self.busy)

    def went_well(self, most: int) -> None:
        """One more for each that went well: doubled each time round."""
        self.window = min(float(most), self.window + 1)

    def failed(self) -> None:
        self.window = max(1.0, self.window / 2)
