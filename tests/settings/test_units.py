"""Durations and sizes: one way to write each value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.settings.units import (
    MAX_OCTETS,
    MAX_SECONDS,
    Octets,
    Seconds,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 7_776_000), ("8h", 28_800), ("30m", 1_800), ("5s", 5), ("0s", 0), ("36500d", MAX_SECONDS)],
)
def test_duration_read(text: str, seconds: int) -> None:
    """Each unit has its worth in seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "octets"),
    [("256KiB", 262_144), ("50MiB", 52_428_800), ("10GiB", 10_737_418_240), ("512B", 512), ("0B", 0)],
)
def test_size_read(text: str, octets: int) -> None:
    """Each unit has its worth in octets."""
    assert parse_size(text) == octets


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", " 5s", "5S", "1.5h", "-5s", "+5s", "1h30m", "٣s", "5s\n", "36501d", "9" * 40 + "s"]
)
def test_duration_refused(text: str) -> None:
    """What isn't a whole number and a unit, or is over a hundred years, is refused."""
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "5", "50MB", "50mib", "5 MiB", "1.5MiB", "-5B", "٣B", "5B\n", "1025TiB", "9" * 40 + "B"]
)
def test_size_refused(text: str) -> None:
    """What isn't a whole number and a binary unit, or is over a pebibyte, is refused."""
    with pytest.raises(ValueError, match="a size is"):
        parse_size(text)


@given(st.integers(0, MAX_SECONDS))
def test_duration_round_trip(value: int) -> None:
    """A duration written is read back as itself."""
    assert parse_duration(format_duration(Seconds(value))) == value


@given(st.integers(0, MAX_OCTETS))
def test_size_round_trip(value: int) -> None:
    """A size written is read back as itself."""
    assert parse_size(format_size(Octets(value))) == value


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (60, "1m"), (90, "90s"), (86_400, "1d"), (90_000, "25h")])
def test_duration_canonical(seconds: int, text: str) -> None:
    """The largest unit that divides the value is taken."""
    assert format_duration(Seconds(seconds)) == text
