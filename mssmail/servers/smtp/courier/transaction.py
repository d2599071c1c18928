"""One message to some recipients of an open session: MAIL, RCPT, then BDAT (RFC 3030) or DATA, and what each was told.

A small message to a host that pipelines goes out in one piece with its commands, so that a transaction costs one write
and one wait; a large one waits until a recipient was taken, and is read and sent piece by piece.

In doubt is a message whose last octet was sent while no reply says what became of it. Whatever ends before that leaves
the host with half a message, which it must drop (RFC 5321 §4.1.1.4, RFC 3030 §2).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from mssmail.base.address import Address
from mssmail.base.relay import Cause, Errand, Outcome, RecipientWishes
from mssmail.flow.courier import Body
from mssmail.servers.smtp.courier import command
from mssmail.servers.smtp.courier.octets import BadLineEnd, LineEnds, Stuffed
from mssmail.servers.smtp.courier.reply import NotSmtp, Reply
from mssmail.servers.smtp.courier.session import Session, failure_of
from mssmail.servers.smtp.courier.wire import Lost, TimedOut

SMALL_OCTETS: Final = 64 * 1024
"""Up to here a message is sent before anything was answered; beyond, a refusal would cost too much of the line."""
CHUNK_OCTETS: Final = 256 * 1024
"""A chunk of BDAT: with what the line holds, the most of one message that is in memory."""
AHEAD: Final = 4
"""Chunks that are sent before the first of them was answered, where the host pipelines."""
SLOWEST_OCTETS_S: Final = 8 * 1024
"""A host that takes a message more slowly than this is given up: 50 MB could hold a connection for days."""
MAX_WAITS: Final = 4
"""How many times the longest wait for one reply all those to MAIL and RCPT may take: there may be 100."""
_TOO_MANY: Final = frozenset({452, 552})
"""To RCPT: more recipients than it takes at once (RFC 5321 §4.5.3.1.10)."""

Recipients = Sequence[tuple[Address, RecipientWishes]]


class _Ended(Exception):
    """All recipients' outcomes are known, or the connection is at its end."""


class Transaction:
    """`run` it once; then `outcomes` holds what the host said."""

    def __init__(self, session: Session, errand: Errand, recipients: Recipients, body: Body) -> None:
        self._session = session
        self._wire = session.wire
        self._patience = session.patience
        self._errand = errand
        self._recipients = recipients
        self._body = body
        self._step = "MAIL"
        self._taken: list[int] = []
        """Recipients that RCPT took, by their number."""
        self._reset_due = session.unclean
        self._replies_until = 0.0
        self._sent_whole = False
        self.outcomes: list[Outcome | None] = [None] * len(recipients)
        """None where the host never said, and can't have the message."""
        self.failure: Outcome | None = None
        """How the connection ended, where it did."""
        self.put_off: list[int] = []
        """Recipients whom MAIL or RCPT put off: another host may take them."""
        self.crowded: list[int] = []
        """Those of them who were too many at once, while others were taken."""

    async def run(self) -> None:
        """Never raises for what the host does; what `body` raises comes through, the connection cut."""
        self._replies_until = asyncio.get_running_loop().time() + MAX_WAITS * self._patience.reply_s
        try:
            await self._run()
        except _Ended:
            pass
        except (Lost, TimedOut, NotSmtp) as error:
            self._wire.abort()
            self.failure = failure_of(error, self._step)
            if self._sent_whole:
                self._settle(Outcome(self.failure.cause, detail=self.failure.detail, in_doubt=True))
        except BadLineEnd:
            self._settle(Outcome(Cause.MALFORMED, detail="a line end that isn't CRLF"))
            self._cut_if_begun()
        except BaseException:
            self._cut_if_begun()
            raise

    def _cut_if_begun(self) -> None:
        """Half a message lies there: only the end of the connection makes the host drop it for sure."""
        if self._session.unclean:
            self._wire.abort()

    async def _run(self) -> None:
        offer, small = self._session.offer, None
        if offer.pipelining and offer.chunking and self._errand.size_octets <= SMALL_OCTETS:
            small = await self._read_whole()
        opening = self._opening()
        self._session.unclean = True
        if small is not None:
            opening += (b"BDAT %d LAST\r\n" % len(small), small)
            self._sent_whole = True
            self._wire.write(b"".join(opening))
            await self._opening_answered()
            self._step = "BDAT"
            return self._ended(await self._reply(self._patience.end_s))
        if offer.pipelining:
            self._wire.write(b"".join(opening) + (b"" if offer.chunking else b"DATA\r\n"))
            await self._opening_answered()
        else:
            await self._one_by_one(opening)
        if offer.chunking:
            return await self._chunks() if self._taken else None
        if not offer.pipelining:
            if not self._taken:
                return None
            self._wire.write(b"DATA\r\n")
        return await self._data()

    # --- replies ---

    async def _reply(self, timeout_s: float) -> Reply:
        """The next one; 421 ends it all, whatever it was the reply to (RFC 5321 §3.8)."""
        reply = await self._wire.reply(timeout_s)
        if reply.code == 421:
            self._leaving(reply)
        return reply

    def _leaving(self, reply: Reply) -> None:
        self.failure = Outcome(Cause.DEFERRED, reply.answer())
        self._wire.close()
        raise _Ended

    async def _early_reply(self) -> Reply:
        """One of those before the message's own, all of which have an end together."""
        left = self._replies_until - asyncio.get_running_loop().time()
        return await self._reply(max(0.0, min(self._patience.reply_s, left)))

    def _settle(self, outcome: Outcome, among: Sequence[int] | None = None) -> None:
        """Give those without an outcome this one."""
        for number in range(len(self.outcomes)) if among is None else among:
            if self.outcomes[number] is None:
                self.outcomes[number] = outcome

    def _ended(self, reply: Reply) -> None:
        """Take the reply to the whole message."""
        if not self._taken:
            return  # it can only say so again
        if 200 <= reply.code < 300:
            self._session.unclean = False
            self._settle(Outcome(Cause.DELIVERED, reply.answer()), self._taken)
        elif reply.code < 400:
            self._settle(Outcome(Cause.GARBAGE, reply.answer(), "no end", in_doubt=True), self._taken)
            self._wire.abort()
        else:
            self._settle(_said(reply), self._taken)

    # --- MAIL and RCPT ---

    def _opening(self) -> list[bytes]:
        """The commands up to the last RCPT."""
        offer = self._session.offer
        lines = [b"RSET\r\n"] if self._reset_due else []
        lines.append(command.mail(self._errand, offer))
        lines += command.rcpts(self._recipients, offer)
        return lines

    async def _opening_answered(self) -> None:
        if self._reset_due:
            await self._reset_answered()
        await self._mail_answered()
        self._step = "RCPT"
        for number in range(len(self._recipients)):
            await self._rcpt_answered(number)

    async def _one_by_one(self, opening: list[bytes]) -> None:
        """The same with a host that doesn't pipeline."""
        first = len(opening) - len(self._recipients)
        for at, line in enumerate(opening):
            self._wire.write(line)
            if at >= first:
                self._step = "RCPT"
                await self._rcpt_answered(at - first)
            elif at < first - 1:
                await self._reset_answered()
            else:
                await self._mail_answered()
                if self.outcomes[0] is not None:
                    return

    async def _reset_answered(self) -> None:
        self._step = "RSET"
        reply = await self._early_reply()
        if not reply.positive:
            raise NotSmtp(f"answered by {reply.code}")

    async def _mail_answered(self) -> None:
        self._step = "MAIL"
        reply = await self._early_reply()
        if not reply.positive:
            self._settle(self._refusal(reply))
            if reply.temporary:
                self.put_off += range(len(self.outcomes))

    async def _rcpt_answered(self, number: int) -> None:
        reply = await self._early_reply()
        if self.outcomes[number] is not None:
            return  # MAIL was refused: it can only say so again
        if reply.positive:
            self._taken.append(number)
            return
        crowded = reply.code in _TOO_MANY
        self.outcomes[number] = Outcome(Cause.DEFERRED, reply.answer()) if crowded else self._refusal(reply)
        if crowded or reply.temporary:
            self.put_off.append(number)
        if crowded and self._taken:
            self.crowded.append(number)

    @staticmethod
    def _refusal(reply: Reply) -> Outcome:
        """To MAIL or RCPT. Raises NotSmtp where it is no answer to them: what it did with them isn't known."""
        if reply.code < 400:
            raise NotSmtp(f"answered by {reply.code}")
        return _said(reply)

    # --- the message ---

    async def _pieces(self, ends: LineEnds) -> AsyncIterator[bytes]:
        """The message as it may leave, without what `ends.end` adds. Raises BadLineEnd, ValueError."""
        opened, most = self._body(), self._errand.size_octets
        try:
            async for piece in opened:
                sound = ends.feed(piece)
                if ends.octets > most:
                    raise ValueError("the message is longer than the errand says")
                yield sound
        finally:
            if isinstance(opened, AsyncGenerator):
                await opened.aclose()
        if ends.octets != most:
            raise ValueError("the message is shorter than the errand says")

    async def _read_whole(self) -> bytes:
        ends = LineEnds()
        async with contextlib.aclosing(self._pieces(ends)) as pieces:  # type: ignore[type-var]
            whole = b"".join([piece async for piece in pieces])
        return whole + ends.end()

    async def _data(self) -> None:
        """The reply to DATA, then the message with its dots doubled."""
        self._step = "DATA"
        reply = await self._early_reply()
        if reply.code != 354:
            self._settle(_said(reply), self._taken)
            return
        if not self._taken:
            # it would take a message for nobody; its end of data is what it mustn't get (RFC 2920 §3.1)
            self._wire.abort()
            return
        ends, held, pace = Stuffed(), b"", _Pace()
        async with contextlib.aclosing(self._pieces(ends)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if held:
                    await self._send(held, pace)
                held = piece
                if self._wire.unread:
                    self._interrupted(self._wire.ready())
        held += ends.end()
        self._sent_whole = True
        self._wire.write(held)
        self._step = "end of data"
        self._ended(await self._reply(self._patience.end_s))

    def _interrupted(self, reply: Reply | None) -> None:
        """The host has spoken before its turn."""
        if reply is None:
            return
        if reply.code == 421:
            self._leaving(reply)
        self._wire.abort()
        self._settle(_said(reply), self._taken)
        raise _Ended

    async def _send(self, data: bytes, pace: "_Pace") -> None:
        self._wire.write(data)
        pace.sent(len(data))
        await self._wire.drain(self._patience.block_s)

    async def _chunks(self) -> None:
        """The message by BDAT, of bounded chunks."""
        self._step = "BDAT"
        ends, pace, waiting = LineEnds(), _Pace(), 0
        ahead = AHEAD if self._session.offer.pipelining else 0
        held: list[bytes] = []
        octets = 0
        async with contextlib.aclosing(self._pieces(ends)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                held.append(piece)
                octets += len(piece)
                if octets < CHUNK_OCTETS:
                    continue
                await self._send(b"BDAT %d\r\n" % octets + b"".join(held), pace)
                held, octets, waiting = [], 0, waiting + 1
                while waiting > ahead or (waiting and self._wire.unread):
                    waiting -= 1
                    await self._chunk_answered(waiting)
        held.append(ends.end())
        self._sent_whole = True
        self._wire.write(b"BDAT %d LAST\r\n" % octets + b"".join(held))
        while waiting:
            waiting -= 1
            await self._chunk_answered(waiting + 1)
        self._ended(await self._reply(self._patience.end_s))

    async def _chunk_answered(self, behind: int) -> None:
        """Take the reply to one chunk; `behind`: how many more are due, which are read where this one is a no."""
        reply = await self._reply(self._patience.reply_s)
        if reply.positive:
            return
        self._settle(_said(reply), self._taken)
        for _ in range(behind):
            await self._reply(self._patience.reply_s)
        raise _Ended


class _Pace:
    """Sees to it that a message leaves fast enough. Raises TimedOut."""

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._began = self._time()
        self._octets = 0

    def sent(self, octets: int) -> None:
        self._octets += octets
        if self._time() - self._began > 60.0 + self._octets / SLOWEST_OCTETS_S:
            raise TimedOut


def _said(reply: Reply) -> Outcome:
    """What a reply that isn't the hoped-for one means."""
    if reply.code >= 500:
        return Outcome(Cause.REFUSED, reply.answer())
    if reply.code >= 400:
        return Outcome(Cause.DEFERRED, reply.answer())
    return Outcome(Cause.GARBAGE, reply.answer(), "a reply to another question")
