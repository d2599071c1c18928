"""Short ways to the tagged replies that handlers return, and to the command of the class they are for."""

from typing import TypeVar

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason
from mssmail.base.rights import Right
from mssmail.servers.imap import replies
from mssmail.wire.imap.commands import Command
from mssmail.wire.imap.responses import Code, Condition, Status
from mssmail.wire.imap.table import Request

C = TypeVar("C", bound=Command)


def ok(request: Request, text: str, code: Code | None = None) -> Status:
    return Status(Condition.OK, text, code, request.tag)


def read_only(request: Request, principal: Principal) -> Status:
    """The folder was opened by EXAMINE, or by somebody who may not write in its box."""
    reason = Reason.READ_ONLY if Right.WRITE in principal.rights else Reason.NO_RIGHT
    return replies.of(reason, request.tag)


def bad_number(request: Request) -> Status:
    """A message number beyond the last (RFC 3501 §9 seq-number)."""
    return replies.status(replies.BAD_NUMBER, request.tag)


def of(request: Request, command: type[C]) -> C:
    """The request's command, of the class that its handler is for."""
    assert isinstance(request.command, command)
    return request.command
