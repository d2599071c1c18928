"""GETQUOTA and GETQUOTAROOT (RFC 9208 §4.1): a box's folders share one root, and STORAGE alone is limited."""

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.shared import PREFIX
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands
from mssmail.wire.imap.responses import QuotaRoots, Status, StorageQuota
from mssmail.wire.imap.table import Request

_OWN = ""
"""The root of the box that one signed in to; another's box has its address for its root."""
_UNIT = 1024
"""Octets (RFC 9208 §5.1)."""


async def get_quota(session: Session, request: Request) -> Status:
    """RFC 9208 §4.1.1."""
    root = of(request, commands.GetQuota).root
    acting = session.who
    if root != _OWN:
        try:
            acting, inside = await session.find(PREFIX + root)
        except Refusal as refusal:
            if refusal.reason is Reason.FOLDER_MISSING:
                return replies.status(replies.NO_SUCH_QUOTA_ROOT, request.tag)
            raise
        if inside:
            return replies.status(replies.NO_SUCH_QUOTA_ROOT, request.tag)
    await _tell(session, acting)
    return ok(request, "Fait / Done")


async def get_quota_root(session: Session, request: Request) -> Status:
    """RFC 9208 §4.1.2: the mailbox needn't exist."""
    mailbox = of(request, commands.GetQuotaRoot).mailbox
    acting, _ = await session.find(mailbox)
    session.say(QuotaRoots(mailbox, (_root(session, acting),)))
    await _tell(session, acting)
    return ok(request, "Fait / Done")


def _root(session: Session, acting: Principal) -> str:
    return _OWN if acting is session.who else str(acting.address)


async def _tell(session: Session, acting: Principal) -> None:
    used, limit = await session.service.boxes.quota(acting)
    session.say(StorageQuota(_root(session, acting), -(-used // _UNIT), limit // _UNIT))
