"""Durations and sizes as an operator writes them: `"90d"`, `"8h"`, `"256KiB"`. Whole seconds and octets inside.

One number, one unit, no space, no fraction: there is one way to write a value, so that two files can be compared.
Written back in the largest unit that divides the value.
"""

import re
from typing import NewType

Seconds = NewType("Seconds", int)
"""A duration in whole seconds, 0 or more."""
Octets = NewType("Octets", int)
"""A size in octets, 0 or more."""

_DURATION_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SIZE_UNITS = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}

MAX_SECONDS = 100 * 365 * 86_400
"""A hundred years: what is longer is a slip, and would overflow dates further on."""
MAX_OCTETS = 1 << 50
"""1 PiB, far above any quota and far below the 64-bit integers that a database holds."""

_DURATION = re.compile(r"([0-9]{1,12})([dhms])")
_SIZE = re.compile(r"([0-9]{1,16})(TiB|GiB|MiB|KiB|B)")


def parse_duration(text: str) -> Seconds:
    """Read `"90d"`, `"8h"`, `"30m"` or `"5s"`. Raises ValueError with a sentence for the operator."""
    m = _DURATION.fullmatch(text)
    if m is None:
        raise ValueError('a duration is a whole number and one of d, h, m, s, as in "90d" or "30m"')
    seconds = int(m[1]) * _DURATION_UNITS[m[2]]
    if seconds > MAX_SECONDS:
        raise ValueError("a duration is at most a hundred years")
    return Seconds(seconds)


def parse_size(text: str) -> Octets:
    """Read `"256KiB"`, `"50MiB"`, `"10GiB"` or `"512B"`. Raises ValueError with a sentence for the operator."""
    m = _SIZE.fullmatch(text)
    if m is None:
        raise ValueError('a size is a whole number and one of B, KiB, MiB, GiB, TiB, as in "50MiB"')
    octets = int(m[1]) * _SIZE_UNITS[m[2]]
    if octets > MAX_OCTETS:
        raise ValueError("a size is at most 1024TiB")
    return Octets(octets)


def _largest(value: int, units: dict[str, int]) -> str:
    """The value in the largest unit that divides it; `units` stand largest first."""
    for unit, worth in units.items():
        if value and value % worth == 0:
            return f"{value // worth}{unit}"
    return f"{value}{list(units)[-1]}"


def format_duration(seconds: Seconds) -> str:
    return _largest(seconds, _DURATION_UNITS)


def format_size(octets: Octets) -> str:
    return _largest(octets, _SIZE_UNITS)
