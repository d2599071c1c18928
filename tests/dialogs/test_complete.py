"""Every command has a dialogue, under its own name."""

from pathlib import Path

from mssmail.wire.imap.table import ROWS
from tests.dialogs.script import commands


def test_every_command() -> None:
    """Each row of the table of commands is said by a client in some dialogue."""
    said = [line for file in Path(__file__).parent.glob("*.txt") for line in commands(file)]
    missing = [
        row.name.decode()
        for row in ROWS
        if not any(line == row.name.decode() or line.startswith(row.name.decode() + " ") for line in said)
    ]
    assert missing == []
