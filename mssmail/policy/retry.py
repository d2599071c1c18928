"""When a message that another operator didn't take is tried again. Pure: chance is handed in."""

from typing import Final

_GROWTH: Final = 2.0
_SPREAD: Final = 0.5
"""A pause is up to so much longer than its step: what failed together doesn't come back together."""


def pause_s(attempts: int, first_s: float, longest_s: float, chance: float) -> int:
    """Seconds until the next attempt, after so many (from 1) failed; `chance`: 0 to 1.

    Doubled each time: by the defaults 15 s, 30 s, 1 min and so on to four hours after a dozen attempts.
    """
    # beyond 40 doublings any limit is reached, and floats aren't
    step = min(longest_s, first_s * _GROWTH ** min(40, max(0, attempts - 1)))
    return max(1, round(min(longest_s, step * (1 + _SPREAD * chance))))


def first_due(now: float, priority: int) -> int:
    """When a new message is due: at once, and before others by its priority (−9 to 9, RFC 6710).

    Each step is worth a minute of waiting, so that whatever waits long enough goes first.
    """
    return int(now) - 60 * (9 + max(-9, min(9, priority)))
