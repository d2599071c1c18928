"""APPEND: messages sealed as they come, never whole in memory, and put in together (RFC 3501 §6.3.11, RFC 3502)."""

from datetime import datetime

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.append import Append, Targets
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, responses, table
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import Complete, LiteralData, LiteralStart, Refused
from mssmail.wire.imap.responses import AppendUid, Status
from mssmail.wire.imap.table import Request


async def append(session: Session, request: Request) -> Status:
    """Called when the first message is announced: what stands before it has been read, and the peer may wait for `+`.

    Whatever goes wrong with any message, none is kept (RFC 3502).
    """
    command = of(request, commands.Append)
    try:
        acting, name = await session.folder_in(command.mailbox)
    except Refusal as refusal:
        return await session.turn_away(replies.of(refusal.reason, request.tag))
    spool = Append(_targets(session, acting), name)
    try:
        await spool.look()
    except Refusal as refusal:
        return await session.turn_away(_refused(refusal, request.tag))
    try:
        reply = await _take(session, request, spool, command.message)
    except BaseException:
        await spool.abort()
        raise
    if reply.condition is not responses.Condition.OK:
        await spool.abort()
    return reply


def _targets(session: Session, acting: Principal) -> Targets:
    """Those of the session's own box are remembered."""
    if acting is not session.who:
        return Targets(session.house, acting)
    if session.targets is None:
        session.targets = Targets(session.house, acting)
    return session.targets


async def _take(session: Session, request: Request, spool: Append, message: commands.NewMessage) -> Status:
    """Take the messages in, up to the command's end, and put them in; or say why not."""
    while True:
        refused = await _take_one(session, request, spool, message)
        if refused is not None:
            return refused
        match await session.event():
            case LiteralStart(frame):
                read = table.read_message(frame)
                if isinstance(read, ProtocolError):
                    return await session.turn_away(responses.refusal(read, request.tag))
                message = read
            case Complete(frame):
                return await _finish(request, spool, behind=b"".join(frame.texts))
            case Refused(tag, error):
                assert error is not None
                return responses.refusal(error, tag)
            case _:
                raise AssertionError("a message has ended")


async def _take_one(session: Session, request: Request, spool: Append, message: commands.NewMessage) -> Status | None:
    """Take in the message that was announced; the reply where it can't be kept."""
    if message.size_octets == 0:
        return await session.turn_away(replies.status(replies.EMPTY_MESSAGE, request.tag))
    try:
        spool.begin()
        session.framer.accept()
        while True:
            event = await session.event()
            assert isinstance(event, LiteralData)
            await spool.write(event.octets)
            if event.last:
                flags = message.flags
                await spool.end(flags.system, frozenset(flags.keywords), _moment(message.at))
                return None
    except Refusal as refusal:
        return await session.turn_away(_refused(refusal, request.tag))


async def _finish(request: Request, spool: Append, behind: bytes) -> Status:
    if behind:
        return responses.refusal(ProtocolError(Fault.SYNTAX, "something follows the message"), request.tag)
    try:
        done = await spool.finish()
    except Refusal as refusal:
        return _refused(refusal, request.tag)
    uids = ((int(done.first), done.first + done.count - 1),)
    return ok(request, "Message ajouté / Message appended", AppendUid(done.uid_validity, uids))


def _moment(at: datetime | None) -> tuple[int, int] | None:
    """Epoch seconds, and the zone's minutes."""
    if at is None:
        return None
    offset = at.utcoffset()
    return int(at.timestamp()), 0 if offset is None else int(offset.total_seconds()) // 60


def _refused(refusal: Refusal, tag: bytes) -> Status:
    match refusal.reason:
        case Reason.FOLDER_MISSING:
            return replies.status(replies.NO_SUCH_TARGET, tag)
        case Reason.TOO_MANY_MESSAGES:
            return replies.status(replies.TOO_MANY_AT_ONCE, tag)
        case _:
            return replies.of(refusal.reason, tag)
