"""APPEND: a message sealed as it comes, never whole in memory (RFC 3501 §6.3.11)."""

from datetime import datetime

from mssmail.base.ranges import Ranges
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.change import Append, folder_exists
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, responses, table
from mssmail.wire.imap.frame import Complete, LiteralData, LiteralStart, Refused
from mssmail.wire.imap.responses import AppendUid, Status
from mssmail.wire.imap.table import Rejected, Request


async def append(session: Session, request: Request) -> Status:
    """Called when the message is announced: all but the message has been read, and the peer may wait for `+`."""
    command = of(request, commands.Append)
    try:
        await folder_exists(session.house, session.who, command.mailbox)
    except Refusal as refusal:
        return await session.turn_away(_refused(refusal, request.tag))
    session.framer.accept()
    spool = Append(session.house, session.who)
    try:
        refused = await _take(session, request, spool)
        if refused is None:
            return await _finish(spool, request, command)
    except BaseException:
        await spool.abort()
        raise
    await spool.abort()
    return refused


async def _take(session: Session, request: Request, spool: Append) -> Status | None:
    """Take the message in, up to the command's end; the reply where it can't be kept."""
    while True:
        match await session.event():
            case LiteralData(octets):
                try:
                    await spool.write(octets)
                except Refusal as refusal:
                    return await session.turn_away(_refused(refusal, request.tag))
            case LiteralStart(frame):
                # A second message (RFC 3502, not offered), or whatever else its reading says.
                return await session.turn_away(_said(table.read(frame, session.machine), request))
            case Complete(frame):
                read = table.read(frame, session.machine)
                return responses.refusal(read.error, read.tag) if isinstance(read, Rejected) else None
            case Refused(tag, error):
                assert error is not None
                return responses.refusal(error, tag)
            case _:
                raise AssertionError("no raw line was asked for")


def _said(read: Request | Rejected, request: Request) -> Status:
    assert isinstance(read, Rejected), "APPEND takes one message"
    return responses.refusal(read.error, request.tag)


async def _finish(spool: Append, request: Request, command: commands.Append) -> Status:
    try:
        done = await spool.finish(
            command.mailbox, command.flags.system, frozenset(command.flags.keywords), _moment(command.at)
        )
    except Refusal as refusal:
        await spool.abort()
        return _refused(refusal, request.tag)
    uids: Ranges = ((done.uid, done.uid),)
    return ok(request, "Message ajouté / Message appended", AppendUid(done.uid_validity, uids))


def _moment(at: datetime | None) -> tuple[int, int] | None:
    """Epoch seconds, and the zone's minutes."""
    if at is None:
        return None
    offset = at.utcoffset()
    return int(at.timestamp()), 0 if offset is None else int(offset.total_seconds()) // 60


def _refused(refusal: Refusal, tag: bytes) -> Status:
    if refusal.reason is Reason.FOLDER_MISSING:
        return replies.status(replies.NO_SUCH_TARGET, tag)
    return replies.of(refusal.reason, tag)
