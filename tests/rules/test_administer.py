"""Every verb of the command line says which administrators may give it."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from mssmail.cli.main import app
from mssmail.policy.administer import VERBS

WHERE = "add a row to VERBS in mssmail/policy/administer.py: the roles of which one is enough, or a Place"


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every verb below a command, as it is typed after `mssmail`."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path)
        return
    for name, each in below.items():
        yield from verbs(each, (*path, name))


def test_total() -> None:
    """Each verb has its row, and each row its verb."""
    typed = set(verbs(get_command(app)))
    assert typed - set(VERBS) == set(), WHERE
    assert set(VERBS) - typed == set(), "rows of verbs that are gone"
