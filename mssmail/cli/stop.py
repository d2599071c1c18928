"""How a verb ends before its end: lines for standard error, and a status for the shell."""

from typing import Final

REFUSED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130


class Stop(Exception):
    """The verb ends here: its lines go to standard error, its status to the shell."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__(*lines)
        self.status = status
        self.lines = lines
