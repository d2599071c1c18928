"""Short ways to the tagged replies that handlers return, and to the command of the class they are for."""

from typing import TypeVar

from mssmail.base.refusal import Reason
from mssmail.servers.imap import replies
from mssmail.wire.imap.commands import Command
from mssmail.wire.imap.responses import Code, Condition, Status
from mssmail.wire.imap.table import Request

C = TypeVar("C", bound=Command)


def ok(request: Request, text: str, code: Code | None = None) -> Status:
    return Status(Condition.OK, text, code, request.tag)


def read_only(request: Request) -> Status:
    """The folder was opened by EXAMINE."""
    return replies.of(Reason.READ_ONLY, request.tag)


def bad_number(request: Request) -> Status:
    """A message number beyond the last (RFC 3501 §9 seq-number)."""
    return replies.status(replies.BAD_NUMBER, request.tag)


def of(request: Request, command: type[C]) -> C:
    """The request's command, of the class that its handler is for."""
    assert isinstance(request.command, command)
    return request.command
