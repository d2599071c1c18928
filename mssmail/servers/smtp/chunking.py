"""A message that comes by BDAT (RFC 3030): the chunk's command as a value, and what is known between two chunks.

Knows no socket and no reply. After a failure a transaction stays failed until RSET: its further chunks are taken and
thrown away.
"""

import re
from dataclasses import dataclass
from typing import Final

from mssmail.flow.arrival import Arrival
from mssmail.servers.smtp.data import Chunks

_BDAT: Final = re.compile(r"([0-9]{1,18})(?: +([Ll][Aa][Ss][Tt]))?")
"""RFC 3030 §2; eighteen digits are more than any limit of ours, and enough to tell a size from nonsense."""


@dataclass(frozen=True, slots=True)
class Bdat:
    """A read BDAT command."""

    size_octets: int
    last: bool


def parse_bdat(argument: str) -> Bdat | None:
    """Read what follows `BDAT `; None where it can't be known how many octets come behind it."""
    m = _BDAT.fullmatch(argument)
    return None if m is None else Bdat(int(m[1]), m[2] is not None)


class Incoming:
    """The message under way: its chunks end to end are one message."""

    __slots__ = ("lines", "started", "submission")

    def __init__(self, submission: Arrival, started: float) -> None:
        self.submission = submission
        self.started = started
        """When its first chunk came, by the loop's clock."""
        self.lines = Chunks()
