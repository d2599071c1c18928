"""GETQUOTA and GETQUOTAROOT (RFC 9208 §4.1): an account's folders share one root, and STORAGE alone is limited."""

from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands
from mssmail.wire.imap.responses import QuotaRoots, Status, StorageQuota
from mssmail.wire.imap.table import Request

_ROOT = ""
_UNIT = 1024
"""Octets (RFC 9208 §5.1)."""


async def get_quota(session: Session, request: Request) -> Status:
    """RFC 9208 §4.1.1."""
    if of(request, commands.GetQuota).root != _ROOT:
        return replies.status(replies.NO_SUCH_QUOTA_ROOT, request.tag)
    await _tell(session)
    return ok(request, "Fait / Done")


async def get_quota_root(session: Session, request: Request) -> Status:
    """RFC 9208 §4.1.2: the mailbox needn't exist."""
    session.say(QuotaRoots(of(request, commands.GetQuotaRoot).mailbox, (_ROOT,)))
    await _tell(session)
    return ok(request, "Fait / Done")


async def _tell(session: Session) -> None:
    used, limit = await session.service.boxes.quota(session.who)
    session.say(StorageQuota(_ROOT, -(-used // _UNIT), limit // _UNIT))
