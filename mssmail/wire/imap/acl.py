"""Rights as ACL spells them, one letter each (RFC 4314 §2.1), and the box's rights behind them.

A box's rights are four, so letters are tied: `lr` is reading, `switekx` writing. `a` is managing; sending in the box's
name, which no letter stands for, is the site-defined `0`. `p`, to write to the box, everybody has and keeps. Of tied
letters all are given or none, and one that is taken away takes all (RFC 4314 §2).
"""

from dataclasses import dataclass
from enum import Enum, unique

from mssmail.base.rights import NONE, Right

TIED: tuple[tuple[Right, str], ...] = (
    (Right.READ, "lr"),
    (Right.WRITE, "switekx"),
    (Right.MANAGE, "a"),
    (Right.SEND, "0"),
)
ALWAYS = "p"
VIRTUAL = {"c": "kx", "d": "te"}
"""RFC 4314 §2.1.1: obsolete letters, each for some that belong to writing here."""
LETTERS = frozenset(ALWAYS + "".join(VIRTUAL) + "".join(letters for _, letters in TIED))


@unique
class Mode(Enum):
    """What SETACL does with the rights that there are."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Revision:
    """The third argument of SETACL (RFC 4314 §3.1). Each of `letters` is one of LETTERS."""

    mode: Mode
    letters: frozenset[str]

    def of(self, held: Right) -> Right:
        """What is left of rights so revised. Who would write without reading may do neither."""
        asked = self.letters.union(*(VIRTUAL[letter] for letter in self.letters if letter in VIRTUAL))
        match self.mode:
            case Mode.REPLACE:
                rights = _whole(asked)
            case Mode.ADD:
                rights = held | _whole(asked | {letter for right, tied in TIED if right in held for letter in tied})
            case Mode.REMOVE:
                rights = held & ~_touched(asked)
        return rights if Right.READ in rights else rights & ~Right.WRITE


def _whole(letters: frozenset[str]) -> Right:
    rights = NONE
    for right, tied in TIED:
        if letters.issuperset(tied):
            rights |= right
    return rights


def _touched(letters: frozenset[str]) -> Right:
    rights = NONE
    for right, tied in TIED:
        if letters.intersection(tied):
            rights |= right
    return rights


def spell(rights: Right) -> str:
    """Rights as ACL and MYRIGHTS tell them, virtual letters included."""
    return "".join(group(right) for right, _ in TIED if right in rights) + ALWAYS


def group(right: Right) -> str:
    """One of the four rights, as LISTRIGHTS tells what is tied to it."""
    letters = dict(TIED)[right]
    return letters + "".join(virtual for virtual, members in VIRTUAL.items() if set(members) <= set(letters))
