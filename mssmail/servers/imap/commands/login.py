"""Signing in. Who may is `flow.login`'s to say; secrets pass through and stay nowhere."""

from typing import assert_never

from mssmail.base.refusal import Reason, Refusal
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of
from mssmail.servers.imap.session import Session
from mssmail.servers.net.credentials import complaint, judged
from mssmail.wire.imap import commands, responses
from mssmail.wire.imap.frame import Line, Refused
from mssmail.wire.imap.responses import Status
from mssmail.wire.imap.table import Request
from mssmail.wire.sasl import registry
from mssmail.wire.sasl.exchange import (
    MAX_LINE_OCTETS,
    Challenge,
    Credentials,
    Done,
    Exchange,
    Failed,
    Failure,
    Password,
)


async def login(session: Session, request: Request) -> Status:
    """LOGIN (RFC 3501 §6.2.3): counts as SASL LOGIN."""
    command = of(request, commands.Login)
    return await _sign_in(session, request, Password("", command.user, command.password))


async def authenticate(session: Session, request: Request) -> Status:
    """AUTHENTICATE (RFC 3501 §6.2.2), an initial response allowed (RFC 4959)."""
    command = of(request, commands.Authenticate)
    exchange = registry.begin(command.mechanism, session.there)
    if exchange is None:
        return replies.status(replies.NO_SUCH_MECHANISM, request.tag)
    outcome = await _exchanged(session, request, exchange, command.initial)
    return outcome if isinstance(outcome, Status) else await _sign_in(session, request, outcome)


async def _exchanged(
    session: Session, request: Request, exchange: Exchange, initial: bytes | None
) -> Credentials | Status:
    """Go through challenges and responses; the credentials, or the reply where none came of it."""
    step = exchange.begin(initial)
    while True:
        match step:
            case Done(credentials):
                return credentials
            case Failed(Failure.CANCELLED):
                return replies.status(replies.CANCELLED, request.tag)
            case Failed():
                session.fail()
                return replies.status(replies.BAD_RESPONSE, request.tag)
            case Challenge():
                answer = await _answered(session, step)
                step = Failed(Failure.TOO_LONG) if answer is None else exchange.answer(answer)
            case _:
                assert_never(step)


async def _answered(session: Session, challenge: Challenge) -> bytes | None:
    """Put a challenge and return the client's line; None where it was too long."""
    session.say(responses.ContinueWith(challenge.line))
    session.framer.expect_line(MAX_LINE_OCTETS)
    event = await session.event()
    if isinstance(event, Refused):
        return None
    assert isinstance(event, Line)
    return event.octets


async def _sign_in(session: Session, request: Request, credentials: Credentials) -> Status:
    door, judge = session.door, session.service.login
    try:
        principal = await judged(judge, door, credentials)
    except Refusal as refusal:
        if refusal.reason is not Reason.UNAVAILABLE:
            session.fail()
        challenge = complaint(judge, door, credentials, refusal.reason)
        if challenge is not None:
            await _answered(session, challenge)  # what the client answers means nothing (RFC 7628 §3.2.3)
        raise
    return session.enter(principal, request.tag)
