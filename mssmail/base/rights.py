"""What somebody may do in a box that isn't theirs, and for how long. Knows neither boxes nor people.

A delegation's rights go for the box as a whole. Who may write may read: flags and moves mean nothing unseen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, unique


@unique
class Right(Flag):
    """Rights in a box; the numbers are what lies on disk."""

    READ = 1
    """See folders and messages."""
    WRITE = 2
    """Change flags; append, move and delete messages; make and remove folders."""
    SEND = 4
    """Write mail in the box's name."""
    MANAGE = 8
    """Name other delegates, with no more than one's own rights, this one never."""


NONE = Right(0)
FULL = Right.READ | Right.WRITE | Right.SEND | Right.MANAGE
"""What one has in one's own box."""
NAMES = {str(right.name).lower(): right for right in Right}
"""As people write them."""


def names_of(rights: Right) -> list[str]:
    """`read`, `write`, `send`, `manage`, as far as they are there."""
    return [name for name, right in NAMES.items() if right in rights]


def rights_of(names: Iterable[str]) -> Right:
    """The rights of these names. Raises ValueError for a word that names none."""
    rights = NONE
    for name in names:
        if name not in NAMES:
            raise ValueError(f"{name or 'nothing'}: a right is one of {', '.join(NAMES)}")
        rights |= NAMES[name]
    return rights


@dataclass(frozen=True, slots=True)
class Delegation:
    """Rights and their term, in whole seconds of the epoch: from `from_at` on, up to `until_at` where that is set."""

    rights: Right
    from_at: int
    until_at: int | None

    def at(self, now: float) -> Right:
        """The rights in force at a moment."""
        return self.rights if self.from_at <= now and not self.ended(now) else NONE

    def ended(self, now: float) -> bool:
        return self.until_at is not None and self.until_at <= now
