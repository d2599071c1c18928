"""The command line as another user of this machine, who can read neither the program nor the data: for root alone.

The child imports what a call needs, then becomes that user, then calls.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which root alone can")

ALICE, BOB, CARLA, STRANGER = "nobody", "daemon", "games", "bin"
"""Users that every Debian has."""

_BECOME = """
import contextlib, io, os, pwd, sys
import mssmail.servers.net.local, mssmail.settings.load, mssmail.settings.place, mssmail.app, mssmail.cli.words
import mssmail.flow.purge, mssmail.supervise
from mssmail.cli.main import run
with contextlib.redirect_stdout(io.StringIO()):
    run(["config", "reference", "server.name"])
    run(["account", "--help"])
who = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setresgid(who.pw_gid, who.pw_gid, who.pw_gid)
os.setresuid(who.pw_uid, who.pw_uid, who.pw_uid)
os.chdir("/")
sys.exit(run(sys.argv[2:]))
"""


def command_as(user: str, *arguments: str) -> list[str]:
    """A command that is given by another user."""
    return [sys.executable, "-c", _BECOME, user, *arguments]


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """This process's without settings of whoever runs the tests, and `more`."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("MSSMAIL_")}
    return mine | {"PYTHONPATH": str(Path(__file__).parents[2])} | (more or {})


def as_user(
    user: str, *arguments: str, stdin: str = "", more: dict[str, str] | None = None, timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """A call by another user, and what it said."""
    command: Sequence[str] = command_as(user, *arguments)
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment(more), timeout=timeout, check=False
    )
