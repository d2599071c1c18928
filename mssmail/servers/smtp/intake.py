"""Messages on their way in: DATA, BDAT, and the transaction they end (RFC 5321 §4.1.1.4, RFC 3030).

Knows one message at a time, and what must have come before it; who may write to whom was decided before.

Invariants:
- a message that began is read to its end, whatever becomes of it, or the connection ends;
- who sends slower than `MIN_OCTETS_PER_S` is let go, between two chunks too;
- however a transaction ends, its submission was finished or aborted.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar, Final

from mssmail.base.principal import Beyond, LetIn
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.arrival import Arrival
from mssmail.metrics.registry import counter
from mssmail.servers.smtp import replies
from mssmail.servers.smtp.chunking import Bdat, Incoming, parse_bdat
from mssmail.servers.smtp.connection import Connection, Gone
from mssmail.servers.smtp.data import Decoder, Lines
from mssmail.servers.smtp.envelope import Mail

if TYPE_CHECKING:
    from mssmail.servers.smtp.server import SmtpServer

MAX_FAULTS: Final = 20
"""Commands that couldn't be read or came out of order, on one connection."""
MIN_OCTETS_PER_S: Final = 1024
"""Slower than this on average, beyond one `smtp.timeout`, a message isn't waited for: a twentieth of a bad line."""
PIECE_OCTETS: Final = 64 * 1024
"""How much is looked at in one go: it stays in the processor's cache while it is searched, hashed and sealed."""

_refusals = counter("mssmail_smtp_refusals_total", "Refusals told to SMTP clients.", labels=("reason",))


_PIPELINED: Final = frozenset({replies.NO_RECIPIENT, replies.RSET_FIRST, replies.MAIL_FIRST})
"""What chunks hear that were on their way when a transaction failed (RFC 3030 §2)."""


class Intake(Connection):
    """A connection's mail transaction; `Session` and `Inbound` fill in sender and recipients."""

    SIGNS_IN: ClassVar[bool] = True
    """Whether clients sign in by AUTH; where they don't, MAIL itself asks who they are."""

    def __init__(self, server: "SmtpServer") -> None:
        super().__init__(server)
        self._admitted = False
        """Whether it is known who speaks."""
        self._greeted = False
        self._faults = 0

    def _set_rset_state(self) -> None:
        """Forget the mail transaction. Mends: an Envelope that holds whole messages."""
        self._mail: Mail | None = None
        self._recipients: dict[str, LetIn] = {}
        self._tried = False
        self._incoming: Incoming | None = None
        self._chunked = False
        """Whether BDAT has come in this transaction, be it refused."""
        self._receiving = False

    async def _reset(self) -> None:
        """Forget the mail transaction and the chunks that have come."""
        incoming = self._incoming
        self._set_rset_state()
        self._no_hurry()
        if incoming is not None:
            await incoming.submission.abort()

    def _no_hurry(self) -> None:
        """No message is under way that must come within a time."""
        if self._admitted:
            self._at_latest = float("inf")

    def _refuse(self, reason: Reason) -> None:
        _refusals.labels(reason.value).inc()
        self._say(replies.REASONS[reason])

    def _fault(self, reply: bytes) -> None:
        """Answer a command that breaks the protocol, and have enough of a client that goes on so."""
        self._say(reply)
        self._faults += 1
        if self._faults >= MAX_FAULTS:
            self._hang_up(replies.TOO_MANY_FAULTS)

    def _missing(self) -> bytes:
        """What must come before a recipient or a message can."""
        if not self._greeted:
            return replies.GREET_FIRST
        if self.SIGNS_IN and not self._admitted:
            return replies.SIGN_IN_FIRST
        return replies.RSET_FIRST if self._chunked else replies.MAIL_FIRST

    def _begin(self, mail: Mail) -> Arrival:
        """Take up a message. Raises Refusal(TOO_MANY_MESSAGES)."""
        raise NotImplementedError

    def _accepted(self) -> list[LetIn]:
        """The recipients that were let in, each box once."""
        return list({_box(recipient): recipient for recipient in self._recipients.values()}.values())

    async def _finish(self, submission: Arrival) -> None:
        """Deliver, and say so. Raises Refusal."""
        try:
            queue_id = await submission.finish()
        except Refusal:
            raise  # finish let go of it
        except BaseException:
            await submission.abort()
            raise
        self._say(replies.accepted(queue_id))
        self._acks.sent(submission.replay_digest)

    async def smtp_DATA(self, arg: str) -> None:
        """Take a message. Mends: a list of its lines in memory and a loop over them, 96 % of a large message's cost;
        bare CR and LF kept; the size looked at in lines; nothing that ends a slow sender.
        """
        mail = self._mail
        if mail is None or self._chunked:
            return self._fault(self._missing())
        if arg:
            return self._fault(replies.BAD_ARGUMENTS)
        if not self._recipients:
            return self._say(replies.NO_RECIPIENT) if self._tried else self._fault(replies.RCPT_FIRST)
        submission = self._begin(mail)
        self._say(replies.START_DATA)
        self._receiving = True
        try:
            try:
                await self._receive(submission)
            except BaseException:
                await submission.abort()
                raise
            await self._finish(submission)
        finally:
            self._no_hurry()
            self._set_rset_state()
        return None

    async def _receive(self, submission: Arrival) -> None:
        """Read to the message's end, whatever becomes of it. Raises Gone, and what went wrong of ours, at the end."""
        decoder, wrong = Decoder(), None
        most = 2 * self._settings.max_message_size
        started = self.loop.time() + self._settings.timeout
        while decoder.rest is None:
            self._at_latest = started + decoder.octets / MIN_OCTETS_PER_S
            if decoder.octets > most:
                # Far over the limit: refused without its end, so that nothing behind it can be read either.
                self._parting = self._parting or replies.TOO_MUCH
                break
            if not self._buffer:
                await self._more()
            try:
                octets = decoder.feed(self._take(PIECE_OCTETS))
                if wrong is None:
                    await submission.write(octets)
                    self._judge(decoder, submission)
            except Exception as error:  # noqa: BLE001 - ours; raised once the message is over
                wrong = error
        # What came meanwhile stands behind what came with the end.
        self._buffer[:0] = decoder.rest or b""
        if wrong is not None:
            raise wrong
        if self._ended is not None:
            submission.refuse(self._ended, "the session ended while the message came")

    def _judge(self, lines: Lines, submission: Arrival) -> None:
        if lines.bare_newline:
            submission.refuse(Reason.BARE_NEWLINE)
        elif lines.line_too_long:
            submission.refuse(Reason.LINE_TOO_LONG)

    async def smtp_BDAT(self, arg: str) -> None:
        """Take a chunk of a message (RFC 3030 §2). Whatever its answer, its octets are read first.

        A chunk whose size can't be read ends the connection: what follows could be a message's text, and must not be
        obeyed. A failed transaction takes no more chunks until RSET, or the last of them.
        """
        bdat = parse_bdat(arg)
        if bdat is None:
            return self._hang_up(replies.BAD_BDAT)
        refused = self._chunk_refused()
        if refused is not None:
            self._chunked = self._mail is not None
            await self._take_chunk(bdat, None)
            # A pipelined group goes on after its failure; that is no fault of the client's.
            self._say(refused) if refused in _PIPELINED else self._fault(refused)
        try:
            if refused is None:
                await self._chunk(bdat)
        except BaseException:
            await self._drop_chunks()
            raise
        finally:
            if bdat.last:
                self._no_hurry()
                self._set_rset_state()
        return None

    def _chunk_refused(self) -> bytes | None:
        """Why no chunk can be taken now, or None."""
        if not self._tls:
            return replies.TLS_FIRST
        if self._mail is None or (self._chunked and self._incoming is None):
            return self._missing()
        if not self._recipients:
            return replies.NO_RECIPIENT if self._tried else replies.RCPT_FIRST
        return None

    async def _drop_chunks(self) -> None:
        """The transaction has failed: only RSET clears it (RFC 3030 §2)."""
        incoming, self._incoming = self._incoming, None
        self._receiving = False
        self._no_hurry()
        if incoming is not None:
            await incoming.submission.abort()

    async def _chunk(self, bdat: Bdat) -> None:
        """Take a chunk that is in its place, and answer it. Raises Refusal, Gone, and what went wrong of ours."""
        mail, incoming = self._mail, self._incoming
        assert mail is not None
        self._chunked = True
        if incoming is None:
            try:
                incoming = Incoming(self._begin(mail), self.loop.time() + self._settings.timeout)
            except Refusal:
                await self._take_chunk(bdat, None)
                raise
            self._incoming, self._receiving = incoming, True
        await self._take_chunk(bdat, incoming)
        submission = incoming.submission
        if bdat.last:
            incoming.lines.finish()
        self._judge(incoming.lines, submission)
        if self._ended is not None:
            submission.refuse(self._ended, "the session ended while the message came")
        if bdat.last or submission.is_refused:
            self._incoming = None
            await self._finish(submission)
        else:
            self._say(replies.chunk_taken(bdat.size_octets))

    async def _take_chunk(self, bdat: Bdat, incoming: Incoming | None) -> None:
        """Read a chunk to its end; for `incoming` where it is wanted. Raises Gone, and what went wrong, at the end."""
        left, wrong = bdat.size_octets, None
        if left > 2 * self._settings.max_message_size:
            # Nothing behind so much is worth waiting for; as after DATA.
            self._hang_up(replies.TOO_MUCH)
            raise Gone
        if incoming is None:
            started, taken, before = self.loop.time() + self._settings.timeout, 0, self._at_latest
        else:
            started, taken, before = incoming.started, incoming.lines.octets, float("inf")
        while left:
            self._at_latest = min(before, started + taken / MIN_OCTETS_PER_S)
            if not self._buffer:
                await self._more()
            octets = self._take(min(left, PIECE_OCTETS))
            left -= len(octets)
            taken += len(octets)
            try:
                if incoming is not None and wrong is None:
                    await incoming.submission.write(incoming.lines.feed(octets))
                    self._judge(incoming.lines, incoming.submission)
            except Exception as error:  # noqa: BLE001 - ours; raised once the chunk is over
                wrong = error
        # Until the next chunk too a message has its time.
        self._at_latest = before if incoming is None else started + taken / MIN_OCTETS_PER_S
        if wrong is not None:
            raise wrong


def _box(recipient: LetIn) -> Hashable:
    return recipient.address.key if isinstance(recipient, Beyond) else recipient.account
