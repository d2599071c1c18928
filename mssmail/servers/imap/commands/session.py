"""Commands about the connection itself."""

from mssmail.flow.names import DELIMITER
from mssmail.flow.shared import PREFIX
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.servers.net.stream import Injected
from mssmail.wire.imap import commands, encode, responses
from mssmail.wire.imap.responses import Status
from mssmail.wire.imap.table import ENABLABLE, Request


async def capability(session: Session, request: Request) -> Status:
    """RFC 3501 §6.1.1."""
    session.say(responses.Capabilities(session.capabilities))
    return ok(request, "Fait / Done")


async def noop(session: Session, request: Request) -> Status:
    """NOOP and CHECK: what is new is told by the session, after any command (RFC 3501 §6.1.2, §6.4.1)."""
    return ok(request, "Fait / Done")


async def logout(session: Session, request: Request) -> Status:
    """RFC 3501 §6.1.3."""
    session.unselect()
    session.say(replies.bye(replies.LOGGED_OUT))
    session.machine.ended()
    return ok(request, "Fait / Done")


async def identify(session: Session, request: Request) -> Status:
    """RFC 2971 §3.1. What the client says of itself is kept nowhere; our version is nobody's business."""
    session.say(responses.Identity((("name", "mssmail"),)))
    return ok(request, "Fait / Done")


async def start_tls(session: Session, request: Request) -> None:
    """RFC 3501 §6.2.1. Clear text behind the command ends the connection."""
    await session.flush()
    if session.framer.buffered:
        raise Injected
    go_ahead = encode.encode(ok(request, "Négociez TLS / Begin TLS negotiation"))
    await session.stream.start_tls(session.service.tls, go_ahead)
    session.machine.started_tls()


async def enable(session: Session, request: Request) -> Status:
    """RFC 5161 §3.1."""
    wanted = of(request, commands.Enable).capabilities
    if "CONDSTORE" in wanted:
        session.follow_modseqs()
    session.say(responses.Enabled(tuple(name for name in wanted if name in ENABLABLE)))
    return ok(request, "Fait / Done")


async def namespace(session: Session, request: Request) -> Status:
    """RFC 2342 §5: one's own folders, under no prefix, and others' boxes under theirs where any is open."""
    others = ((PREFIX, DELIMITER),) if await session.service.shared.any(session.who) else ()
    session.say(responses.Namespaces(personal=(("", DELIMITER),), others=others))
    return ok(request, "Fait / Done")
