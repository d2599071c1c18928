"""`mssmail`: the command's nouns, and how a call begins and ends.

`--config FILE` may stand before or after the verb. Each noun's file imports what it needs when a verb runs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from mssmail.cli import (
    absence,
    account,
    admin,
    audit,
    ban,
    cert,
    config,
    delegation,
    demo,
    directory,
    doctor,
    forward,
    grant,
    init,
    keys,
    queue,
    retention,
    serve,
    token,
    trust,
)
from mssmail.cli import session as sessions
from mssmail.cli.remote import routed
from mssmail.cli.verb import INTERRUPTED, REFUSED, UNUSABLE, Invocation, Stop, guarded

OPTIONS = ("--config", "--socket")
"""What the root takes wherever it stands."""

app = typer.Typer(
    name="mssmail",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich would triple the time until it stands there
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(OPTIONS[0], metavar="FILE", help="Configuration; before or after the verb. Else MSSMAIL_CONFIG."),
    ] = None,
    socket: Annotated[
        Path | None,
        typer.Option(OPTIONS[1], metavar="FILE", help="Admin socket of a running server; else found where needed."),
    ] = None,
) -> None:
    """A secure mail server for health professionals."""
    invocation = ctx.ensure_object(Invocation)
    invocation.config, invocation.socket = config, socket
    if sessions.current() is not None and (config, socket) != (None, None):
        raise Stop(UNUSABLE, "the server's configuration is its own: --config isn't taken over the admin socket")


app.command()(init.init)
app.command()(serve.serve)
app.command()(doctor.doctor)
app.command()(demo.demo)
for noun in (
    absence,
    account,
    admin,
    audit,
    ban,
    cert,
    config,
    delegation,
    directory,
    forward,
    grant,
    keys,
    queue,
    retention,
    token,
    trust,
):
    app.add_typer(noun.app)


def config_first(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part every `--config` and `--socket`, which the root takes, from the verb. What follows `--` is left alone."""
    front: list[str] = []
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        if argument == "--":
            rest += [argument, *pending]
        elif argument in OPTIONS:
            front += [argument, *([value] if (value := next(pending, None)) is not None else [])]
        elif argument.startswith(tuple(f"{option}=" for option in OPTIONS)):
            front.append(argument)
        else:
            rest.append(argument)
    return front, rest


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a call and end the process with its status."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a call; its exit status."""
    front, rest = config_first(arguments)
    for option in OPTIONS:
        if sum(a == option or a.startswith(option + "=") for a in front) > 1:
            return _say(UNUSABLE, f"{option} is given twice")
    invocation = Invocation(arguments=tuple(rest))
    try:
        with guarded():
            command = routed(get_command(app), invocation)
            status = command.main([*front, *rest], standalone_mode=False, prog_name="mssmail", obj=invocation)
            return status if isinstance(status, int) else 0
    except Stop as stop:
        return _say(stop.status, *stop.lines)
    except typer.TyperException as error:
        text = error.format_message()
        if text.startswith("Usage:"):  # a noun alone: its help
            sys.stderr.write(text + "\n")
            return error.exit_code
        return _say(error.exit_code, f"{' '.join(text.split())} (--help tells more)")
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _unread()


def _say(status: int, *lines: str) -> int:
    for line in lines:
        print(f"mssmail: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the command line's own voice
    return status


def _unread() -> int:
    """Whoever read our output has gone: end quietly, without Python's complaint at its last flush."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return REFUSED


if __name__ == "__main__":
    main()
