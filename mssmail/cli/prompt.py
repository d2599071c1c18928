"""Secrets taken in: by a prompt that doesn't echo, or from standard input. Never as arguments, which others can read.

A password from standard input is its first line, without the line's end.
"""

import sys
from typing import Annotated, Final

import typer

from mssmail.base.secret import Secret
from mssmail.cli.verb import UNUSABLE, Stop

MAX_OCTETS: Final = 4096

STDIN = Annotated[bool, typer.Option("--stdin", help="Read the password from standard input instead of asking.")]


def new_password(*, stdin: bool) -> Secret:
    """A password to be set: asked for twice, or one line of standard input. Raises Stop."""
    if stdin:
        return _from_stdin()
    if not sys.stdin.isatty():
        raise Stop(UNUSABLE, "no terminal to ask on: give the password on standard input, with --stdin")
    import getpass

    first = getpass.getpass("New password: ")
    if first != getpass.getpass("Again: "):
        raise Stop(1, "the two differ; nothing was changed")
    return _taken(first)


def _from_stdin() -> Secret:
    raw = sys.stdin.buffer.readline(MAX_OCTETS)
    try:
        return _taken(raw.decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        raise Stop(1, "the password isn't UTF-8") from None


def _taken(text: str) -> Secret:
    if not text:
        raise Stop(1, "no password was given; nothing was changed")
    return Secret(text)


def confirmed(question: str, *, yes: bool) -> None:
    """Ask before what can't be undone; `yes` answers beforehand. Raises Stop where the answer isn't yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Stop(UNUSABLE, "no terminal to ask on: give --yes")
    if not typer.confirm(question, err=True):
        raise Stop(1, "nothing was changed")
