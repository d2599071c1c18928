"""Ranges: joined, resolved, gathered; checked against plain sets."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.ranges import Ranges, compact, merge, resolve

_PAIRS = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 60)).map(lambda p: p if p[1] == 0 or p[0] <= p[1] else (p[1], p[0]))
)


def _members(ranges: Ranges) -> set[int]:
    return {n for low, high in ranges for n in range(low, high + 1)}


@pytest.mark.parametrize(
    ("given_ranges", "largest", "expected"),
    [
        (((1, 0),), 10, ((1, 10),)),
        (((0, 0),), 10, ((10, 10),)),
        (((12, 0),), 10, ((10, 10),)),
        (((10, 0),), 10, ((10, 10),)),
        (((0, 0),), 0, ()),
        (((5, 0),), 0, ()),
        (((2, 4), (7, 7), (9, 0)), 15, ((2, 4), (7, 7), (9, 15))),
        (((1, 20), (15, 0)), 30, ((1, 30),)),
        (((5, 9),), 3, ((5, 9),)),
        ((), 9, ()),
    ],
)
def test_resolve(given_ranges: Ranges, largest: int, expected: Ranges) -> None:
    """`*` is the largest number there is, and `n:*` names it even where n is above it."""
    assert resolve(given_ranges, largest) == expected


@given(_PAIRS, st.integers(1, 60))
def test_merging_first_changes_nothing_that_is_resolved(pairs: list[tuple[int, int]], largest: int) -> None:
    """A merged set names the same numbers as the ranges it was made of, `*` included."""
    expected: set[int] = set()
    for low, high in pairs:
        expected |= _members(((low, high),)) if high else set(range(min(low, largest), largest + 1))
    assert _members(resolve(merge(pairs), largest)) == expected


@given(_PAIRS)
def test_merged_ranges_are_ascending_and_apart(pairs: list[tuple[int, int]]) -> None:
    """No two finite ranges of a merged set touch, and at most one is open, at the end."""
    merged = merge(pairs)
    finite = [r for r in merged if r[1]]
    assert len(merged) - len(finite) <= 1
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(finite))


@given(st.sets(st.integers(1, 300)))
def test_compact_names_what_it_was_given(numbers: set[int]) -> None:
    """Gathered ranges hold the numbers given, no more, and are as few as can be."""
    ranges = compact(sorted(numbers))
    assert _members(ranges) == numbers
    assert merge(ranges) == ranges
