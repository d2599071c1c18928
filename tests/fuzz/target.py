"""What a fuzz target is: a function that takes any octets and raises nothing, and the words its input is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "corpus"
"""One folder a target, of small files: beginnings for the search, and every case that once failed."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser under test."""

    name: str
    run: Callable[[bytes], None]
    """Takes any octets. Whatever it raises is a finding: its assertions say what must hold, all else must be caught."""
    words: tuple[bytes, ...] = field(repr=False)
    """What the parser looks for, so that a search gets beyond its first check."""
    max_octets: int = 4096

    def corpus(self) -> list[Path]:
        """The files kept for it, by name."""
        return sorted((CORPUS / self.name).iterdir())


def cut(octets: bytes, sizes: bytes) -> list[bytes]:
    """Cut octets into pieces, whose sizes are those octets' values and one, over and over; one piece where none."""
    if not sizes:
        return [octets]
    pieces, at, turn = [], 0, 0
    while at < len(octets):
        size = sizes[turn % len(sizes)] + 1
        pieces.append(octets[at : at + size])
        at += size
        turn += 1
    return pieces
