"""When a message goes: its term rounded up to the end of a period, whose key is destroyed then."""

import math

from mssmail.base.ids import Period

DAY_S = 86_400
_SHARE = 20
"""A period is at most a twentieth of the term, so that nothing outlives its term by more than 5 %."""


def period_length(term_s: float, period_s: float | None) -> int:
    """Seconds: the configured length, or the shorter of a day and a twentieth of the term; at least one."""
    length = min(DAY_S, term_s / _SHARE) if period_s is None else period_s
    return max(1, int(length))


def period_of(arrived_at: float, term_s: float, period_s: float | None) -> Period:
    """The period that a message belongs to: the first end of one at or after its term."""
    length = period_length(term_s, period_s)
    return Period(math.ceil((arrived_at + term_s) / length) * length)
