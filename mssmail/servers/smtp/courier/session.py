"""A session with one host, from its greeting to the second EHLO: after `open_session` it may be given mail.

Whoever answers is known by its certificate, which `Vouch` judges for the domain: here, and again before each message
of a connection that is kept.
"""

import ssl
from dataclasses import dataclass, field, replace
from typing import Final

from mssmail.base.relay import Answer, Cause, Hop, Outcome
from mssmail.flow.courier import Unvouched, Vouch
from mssmail.servers.smtp.courier.host import Host
from mssmail.servers.smtp.courier.offer import Offer, offer_of
from mssmail.servers.smtp.courier.reply import NotSmtp, Reply
from mssmail.servers.smtp.courier.wire import Distrusted, Lost, TimedOut, TlsFailed, Wire, connect

_NO_MAIL: Final = frozenset({521, 556})
"""RFC 7504: this host never takes mail."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, in seconds (RFC 5321 §4.5.3.2)."""

    connect_s: float
    reply_s: float
    """The greeting, and any reply but the one to a whole message."""
    block_s: float
    """Some octets of a message."""
    end_s: float
    """The reply to a whole message."""


class Failed(Exception):
    """An attempt at one host came to nothing."""

    def __init__(self, outcome: Outcome, hop: Hop | None) -> None:
        super().__init__(outcome.cause.value)
        self.outcome = outcome
        self.hop = hop


@dataclass(slots=True)
class Session:
    """An open one."""

    wire: Wire
    host: Host
    domain: str
    hop: Hop
    offer: Offer
    patience: Patience
    used_at: float
    """When the last errand on it ended, on the loop's clock."""
    errands: int = 0
    unclean: bool = field(default=False)
    """Whether a transaction was begun and not ended, so that RSET is due."""

    @property
    def usable(self) -> bool:
        return not (self.wire.closed or self.wire.unread)

    async def check(self, vouch: Vouch) -> None:
        """Whether the peer still is who may be given mail. Raises Failed."""
        self.hop = await _vouched(self.wire, self.domain, self.hop, vouch)

    def quit(self) -> None:
        """Take leave, without waiting for the answer."""
        self.wire.close(b"QUIT\r\n")


def failure_of(error: Exception, what: str) -> Outcome:
    """The finding that an error of the wire is; `what` was waited for."""
    match error:
        case TimedOut():
            return Outcome(Cause.TIMED_OUT, detail=f"nothing in time: {what}")
        case Distrusted():
            return Outcome(Cause.CERTIFICATE, detail=str(error))
        case TlsFailed():
            return Outcome(Cause.TLS_FAILED, detail=f"{what}: {error}")
        case NotSmtp():
            return Outcome(Cause.GARBAGE, detail=f"{what}: {error}")
        case _:
            return Outcome(Cause.LOST, detail=f"{what}: {error}")


async def open_session(
    host: Host, domain: str, own_name: str, context: ssl.SSLContext, vouch: Vouch, patience: Patience
) -> Session:
    """Reach a host and get as far as MAIL. Raises Failed."""
    hop = Hop(host.name, host.address)
    try:
        wire = await connect(host.address, host.port, patience.connect_s)
    except TimeoutError:
        raise Failed(Outcome(Cause.UNREACHABLE, detail=f"{host}: no answer"), None) from None
    except OSError as error:
        said = (error.strerror or type(error).__name__).partition("(")[0].strip()
        raise Failed(Outcome(Cause.UNREACHABLE, detail=f"{host}: {said[:80]}"), None) from None
    step = "greeting"
    opening = _Opening(wire, own_name.encode(), patience)
    try:
        opening.welcome(await wire.reply(patience.reply_s), 220)
        step = "EHLO"
        if not (await opening.hello()).starttls:
            raise Failed(Outcome(Cause.NO_STARTTLS, detail="STARTTLS isn't offered"), hop)
        step = "STARTTLS"
        await opening.start_tls(context, host)
        tls = wire.tls
        assert tls is not None
        cipher = tls.cipher()
        hop = replace(hop, tls=tls.version() or "", cipher=cipher[0] if cipher else "")
        hop = await _vouched(wire, domain, hop, vouch)
        step = "EHLO under TLS"
        offer = await opening.hello()
    except (Lost, TimedOut, NotSmtp) as error:
        wire.abort()
        raise Failed(failure_of(error, step), hop) from error
    except Failed as failed:
        wire.close(b"QUIT\r\n")
        raise Failed(failed.outcome, failed.hop or hop) from None
    except BaseException:
        wire.abort()
        raise
    return Session(wire, host, domain, replace(hop, dsn=offer.dsn, deliver_by=offer.deliver_by), offer, patience, 0.0)


async def _vouched(wire: Wire, domain: str, hop: Hop, vouch: Vouch) -> Hop:
    tls = wire.tls
    certificate = None if tls is None else tls.getpeercert(True)
    try:
        operator = await vouch(certificate, domain)
    except Unvouched as unvouched:
        found = replace(hop, operator=unvouched.operator or hop.operator)
        raise Failed(Outcome(unvouched.cause, detail=unvouched.detail), found) from None
    return hop if operator == hop.operator else replace(hop, operator=operator)


class _Opening:
    """The steps before MAIL."""

    def __init__(self, wire: Wire, own_name: bytes, patience: Patience) -> None:
        self._wire = wire
        self._hello = b"EHLO " + own_name + b"\r\n"
        self._patience = patience

    @staticmethod
    def welcome(reply: Reply, wanted: int) -> None:
        """A host that doesn't let us in now, may later or another may; one that says that it never does is believed."""
        if reply.code == wanted:
            return
        answer = reply.answer()
        if reply.code in _NO_MAIL:
            raise Failed(Outcome(Cause.REFUSED, answer), None)
        if reply.code >= 400:
            raise Failed(Outcome(Cause.DEFERRED, answer), None)
        raise Failed(Outcome(Cause.GARBAGE, answer, f"{wanted} was due"), None)

    async def hello(self) -> Offer:
        """EHLO and its answer; never HELO, by which there is no TLS."""
        self._wire.write(self._hello)
        reply = await self._wire.reply(self._patience.reply_s)
        if reply.code in (500, 501, 502, 504):
            raise Failed(Outcome(Cause.NO_STARTTLS, reply.answer(), "EHLO isn't known"), None)
        self.welcome(reply, 250)
        return offer_of(reply)

    async def start_tls(self, context: ssl.SSLContext, host: Host) -> None:
        self._wire.write(b"STARTTLS\r\n")
        reply = await self._wire.reply(self._patience.reply_s)
        answer: Answer | None = reply.answer()
        if reply.code == 220:
            if self._wire.hold():
                # whatever the server said before is forgotten (RFC 3207 §4.2)
                await self._wire.start_tls(context, host.server_name)
                return
            answer = None
        detail = "refused" if answer is not None else "something was slipped in before TLS"
        raise Failed(Outcome(Cause.NO_STARTTLS, answer, detail), None)
