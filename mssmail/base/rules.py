"""What a box's holder has said of mail that comes while they are away, as bits of its account's row."""

from enum import Flag, unique
from typing import Final


@unique
class Rule(Flag):
    """Which rules are set, so that mail to others needs no look; the numbers are what lies on disk."""

    ABSENCE = 1
    """Those who write may be told of an absence."""
    FORWARD = 2
    """Mail goes on to another box."""


NO_RULES: Final = Rule(0)
