"""How fast an import is, told and not asserted (`pytest -s`)."""

import time
from collections.abc import Callable
from pathlib import Path

from mssmail.base.clock import FakeClock
from mssmail.directory.lookup import Directory
from mssmail.directory.snapshot import import_extracts

Line = Callable[..., str]
Write = Callable[..., Path]


def test_fifty_thousand_lines(target: Path, write: Write, activity_header: str, person: Line, clock: FakeClock) -> None:
    """Fifty thousand lines of thirty thousand people in random order are all kept."""
    lines = [person(f"8{n * 7919 % 30_000:011d}", f"NOM{n % 997}", f"Prénom{n % 89}") for n in range(50_000)]
    file = write("a.zip", [activity_header, *lines])
    began = time.perf_counter()
    info = import_extracts(target, [file], clock=clock)
    imported = time.perf_counter() - began
    directory = Directory(target, clock)
    began = time.perf_counter()
    known = sum(directory.person(f"8{n:011d}") is not None for n in range(30_000))
    looked_up = time.perf_counter() - began
    print(f"\n{50_000 / imported:,.0f} lines/s, {looked_up / 30_000 * 1e6:.1f} µs a look-up")
    assert (info.people, known, info.sources[0].rows) == (30_000, 30_000, 50_000)
