"""Sets of message numbers or UIDs as compact ranges: joined, resolved, gathered.

Ranges are (low, high), inclusive, low <= high, ascending and apart; 0 stands for `*`, the largest number there is:
(n, 0) is "from n on", (0, 0) is "the last". A set's cost is that of its ranges, never of the numbers in them.
"""

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Order ranges and join those that touch; of several that end in `*`, the widest one holds the others."""
    open_low: int | None = None
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if high == 0:
            # (0, 0), bare `*`, sorts first and yields to any `n:*`; of those the lowest comes first.
            open_low = open_low or low
        elif joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    if open_low is not None:
        joined.append((open_low, 0))
    return tuple(joined)


def resolve(ranges: Ranges, largest: int) -> Ranges:
    """Return `ranges` with `largest` in place of `*`, merged; where it is 0 (nothing there), `*` names nothing.

    `n:*` with n above `largest` names the largest alone (RFC 3501 §9 seq-range).
    """
    closed: list[tuple[int, int]] = []
    for low, high in ranges:
        if high:
            closed.append((low, high))
        elif largest:
            closed.append((min(low or largest, largest), largest))
    return merge(closed)


def compact(numbers: Iterable[int]) -> Ranges:
    """Return ascending `numbers`, each above 0, as ranges."""
    ranges: list[tuple[int, int]] = []
    low = high = 0
    for number in numbers:
        if number == high + 1 and low:
            high = number
            continue
        if low:
            ranges.append((low, high))
        low = high = number
    if low:
        ranges.append((low, high))
    return tuple(ranges)
