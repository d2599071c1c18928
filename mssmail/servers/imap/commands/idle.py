"""IDLE: what changes is told as it happens, until DONE (RFC 2177)."""

from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import ok
from mssmail.servers.imap.session import Session
from mssmail.servers.net.stream import TimedOut
from mssmail.wire.imap import responses
from mssmail.wire.imap.frame import Line
from mssmail.wire.imap.responses import Condition, Status
from mssmail.wire.imap.table import Request

KEEPALIVE_S = 120.0
"""Address translators forget a silent connection after some minutes; the shortest common term is four."""
LOOK_S = 30.0
"""A wake-up may have been lost; the view knows when it is due."""
_LINE_OCTETS = 64


async def idle(session: Session, request: Request) -> Status:
    """Raises TimedOut once the idle timeout is over: a client must ask anew within 29 minutes (RFC 2177 §3)."""
    loop = session.loop
    session.say(responses.Continue("En attente / Idling"))
    session.framer.expect_line(_LINE_OCTETS)
    ends_at = loop.time() + session.house.settings.imap.idle_timeout
    speaks_at = loop.time() + KEEPALIVE_S
    while True:
        event = session.event_now()
        if event is not None:
            if isinstance(event, Line) and event.octets.upper() == b"DONE":
                return ok(request, "Fin de l'attente / Idle ended")
            return replies.status(replies.NOT_DONE, request.tag)
        await session.tell(expunges=True)
        now = loop.time()
        if now >= ends_at:
            raise TimedOut
        if now >= speaks_at:
            session.say(Status(Condition.OK, "Toujours là / Still here"))
            speaks_at = now + KEEPALIVE_S
        await session.flush()
        session.wait_for_peer(waiting=True)
        await session.stream.wait(min(LOOK_S, ends_at - now, speaks_at - now))
        session.wait_for_peer(waiting=False)
        if session.stream.readable:
            session.framer.feed(await session.stream.read(0))
