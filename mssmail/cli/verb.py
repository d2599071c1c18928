"""What every verb does around its own act: settings, the house, and one clear line for what goes wrong.

Exit status: 0 done; 1 refused; 2 usage or a configuration that can't be used; 130 interrupted. No traceback reaches a
person: a failure of our own is logged with an incident id. Heavy rooms are imported within functions, so that
`mssmail --help` answers at once.
"""

import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mssmail.cli import session
from mssmail.cli.stop import INTERRUPTED, REFUSED, UNUSABLE, Stop

if TYPE_CHECKING:
    from mssmail.app import Assembly
    from mssmail.base.address import Address
    from mssmail.flow.administer import Administration, Caller
    from mssmail.flow.orders import Orders
    from mssmail.flow.people import People
    from mssmail.flow.standing import Standing
    from mssmail.settings.model import Settings

__all__ = ["ADDRESS", "INTERRUPTED", "JSON", "REFUSED", "UNUSABLE", "Desk", "Invocation", "Stop", "act", "address_of"]
__all__ += ["by", "caller", "config_of", "duration_of", "faults_told", "guarded", "hush", "moment_of", "settings_of"]

T = TypeVar("T")

JSON = Annotated[bool, typer.Option("--json", help="For a program: JSON with stable keys.")]
ADDRESS = Annotated[str, typer.Argument(metavar="ADDRESS", help="The box's address.")]


@dataclass(slots=True)
class Invocation:
    """What stands before the noun."""

    config: Path | None = field(default=None)
    socket: Path | None = field(default=None)
    arguments: tuple[str, ...] = ()
    """The verb and all behind it, as typed."""


def config_of(ctx: typer.Context) -> Path | None:
    """The file that --config or MSSMAIL_CONFIG names, if one does."""
    from mssmail.settings.load import config_variable

    invocation = ctx.find_object(Invocation)
    named = invocation.config if invocation is not None else None
    within = session.current()
    if within is not None:
        return within.config
    return named or config_variable()


def settings_of(ctx: typer.Context) -> "Settings":
    """The settings in force. Raises Stop(2) with every fault."""
    from mssmail.settings.load import load

    file = config_of(ctx)
    with faults_told():
        return load(*([] if file is None else [file]))


@contextlib.contextmanager
def faults_told() -> Iterator[None]:
    """Turn a broken configuration into its faults, one a line."""
    from mssmail.settings.fault import ConfigError

    try:
        yield
    except ConfigError as error:
        raise Stop(UNUSABLE, *map(str, error.faults)) from None


class Desk:
    """What an administrator works with: the use-cases, in an open house."""

    def __init__(self, assembly: "Assembly") -> None:
        self._assembly = assembly
        self.house = assembly.house

    @cached_property
    def standing(self) -> "Standing":
        from mssmail.flow.standing import Standing

        return Standing(self.house, self._assembly.certificates())

    @property
    def people(self) -> "People":
        from mssmail.flow.people import People

        return People(self.house, self.standing, by())

    @property
    def administration(self) -> "Administration":
        from mssmail.flow.administer import Administration

        return Administration(self.house, caller())

    @property
    def orders(self) -> "Orders":
        from mssmail.flow.orders import Orders

        return Orders(self.house, self.standing, caller())


def act(ctx: typer.Context, work: Callable[[Desk], Coroutine[Any, Any, T]]) -> T:
    """Open the house, do one use-case in it, close it."""
    import asyncio

    from mssmail.app import assembled

    within = session.current()
    if within is not None:
        return asyncio.run(work(Desk(within.assembly)))
    settings = settings_of(ctx)
    hush()
    if not settings.server.data.is_dir():
        raise Stop(UNUSABLE, f"{settings.server.data}: no such data folder; `mssmail keys init` makes it")
    with assembled(settings) as assembly:
        return asyncio.run(work(Desk(assembly)))


def address_of(text: str) -> "Address":
    """A mail address from the command line. Raises Stop(2)."""
    from mssmail.base.address import Address

    address = Address.parse(text)
    if address is None:
        raise Stop(UNUSABLE, f"{text}: not a mail address")
    return address


def duration_of(text: str, said: str) -> int:
    """Seconds, from the command line as 30d; `said`: what stands before the reason why not. Raises Stop(2)."""
    from mssmail.settings.units import parse_duration

    try:
        return int(parse_duration(text))
    except ValueError as error:
        raise Stop(UNUSABLE, f"{said}: {error}") from None


def moment_of(text: str) -> float | None:
    """A date, or a date and time, in UTC where no zone stands, as epoch seconds; None where it is neither."""
    from datetime import UTC, datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def by() -> str:
    """Who gives the order, for the trail."""
    return caller().name


def caller() -> "Caller":
    """Who gives the order: the administrator at the socket, or who has the data folder in their hands."""
    import os
    import pwd

    from mssmail.flow.administer import local

    within = session.current()
    if within is not None:
        assert within.caller is not None  # admitted before anything of the verb ran
        return within.caller
    try:
        return local(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return local(str(os.getuid()))


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Turn what may go wrong in any verb into `Stop`. The rooms' errors are only imported once something is raised."""
    try:
        yield
    except (Stop, typer.Exit, KeyboardInterrupt, SystemExit, BrokenPipeError):
        raise
    except Exception as error:
        raise _told(error) from error


def _told(error: Exception) -> Exception:
    """The Stop that tells of an error; click's own pass as they are."""
    if isinstance(error, typer.TyperException | typer.Abort):
        return error
    from mssmail.app import Unusable
    from mssmail.base.refusal import Refusal
    from mssmail.flow.purge import PurgeStopped
    from mssmail.servers.net.listener import PortTaken
    from mssmail.servers.net.local import Unanswered
    from mssmail.supervise import AlreadyRunning, NeverReady

    match error:
        case Refusal():
            from mssmail.cli.words import sentence

            return Stop(REFUSED, sentence(error))
        case Unusable():
            return Stop(UNUSABLE, str(error))
        case PurgeStopped() | PortTaken() | Unanswered() | AlreadyRunning() | NeverReady():
            return Stop(REFUSED, str(error))
        case OSError() if error.filename is not None:
            return Stop(REFUSED, f"{error.filename}: {error.strerror}")
    return Stop(REFUSED, f"failed; incident {_incident(error)} in the log line above tells where")


def _incident(error: Exception) -> str:
    from mssmail.metrics import logs

    logs.configure("error", "console", sys.stderr)
    return logs.failure(logs.get_logger("cli"), "command failed", error)


def hush() -> None:
    """Let a command's rooms log nothing: what its person must know, the command says."""
    from mssmail.metrics import logs

    logs.configure("error", "console", Path("/dev/null").open("w"))  # noqa: SIM115 - for the process's life
