"""What comes to its time in the queue, in every worker: notices of delay, ends of lifetimes, and traces forgotten.

Each message's deadline is its notice's time first and its lifetime's end then. Who does what is decided by the row:
the transaction that moves it on holds the notice too.
"""

import asyncio
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import Cause, Outcome
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.bounce import Bounces, Fate, Notices, Sent
from mssmail.flow.house import House
from mssmail.flow.letter import Text
from mssmail.flow.outcome import NOT_TRIED, open_tried
from mssmail.flow.queue import Envelope, Seals
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import gauge
from mssmail.mime.report import Action
from mssmail.store import correspondence, queue_term, queue_tls
from mssmail.store.interface import Transaction
from mssmail.store.queue import MessageRow
from mssmail.store.queue_state import State
from mssmail.store.queue_term import OpenRecipient

LIFETIME: Final = "lifetime"
"""It was tried for as long as the settings say."""
AT_ONCE: Final = 50
"""Deadlines that are met together, in a few transactions; a domain that is away has thousands fall due at once."""
LOOK_S: Final = 1.0
TIDY_S: Final = 300.0
COUNT_S: Final = 30.0
ASK_AGAIN_S: Final = 60
"""When a recipient is being tried as its lifetime ends, how its attempt ends is waited for."""

_waiting = gauge("mssmail_queue_messages", "Messages that wait for other operators, as the first worker counts them.")
_oldest = gauge("mssmail_queue_oldest_seconds", "Age of the oldest of them.")
_log = get_logger("flow.queue")


class Terms:
    """The looks of one worker: a standing task of its own, which keeps no mail waiting."""

    def __init__(self, house: House, seals: Seals, bounces: Bounces) -> None:
        self._house = house
        self._seals = seals
        self._bounces = bounces
        self._tidied_at = self._counted_at = float("-inf")

    async def look(self) -> None:
        """Do what is due. Raises Refusal."""
        house = self._house
        now = house.clock.monotonic()
        while due := await house.read.run(lambda tx: queue_term.deadlines(tx, AT_ONCE)):
            met = await asyncio.gather(*(self._met(*each) for each in due))
            if len(due) < AT_ONCE or not any(met):
                break
        if house.slot <= 0 and now - self._counted_at >= COUNT_S:
            self._counted_at = now
            count, oldest = await house.read.run(queue_term.counts)
            _waiting.set(count)
            _oldest.set(0 if oldest is None else max(0, house.clock.now() - oldest))
        if now - self._tidied_at >= TIDY_S:
            self._tidied_at = now
            await self._tidy()

    async def _met(self, queue_id: int, deadline: int) -> bool:
        """Whether a deadline was met here, and not by another worker or later."""
        try:
            await self._meet(queue_id, deadline)
        except Unsealable:
            _log.error("a queued message can't be read", id=f"{queue_id:x}")
            await self._house.write.run(lambda tx: queue_term.expire_all(tx, queue_id))
        except Refusal as refusal:
            _log.info("a deadline waits", id=f"{queue_id:x}", reason=refusal.reason.value)
            return False
        except Exception as error:  # noqa: BLE001 - one message mustn't keep the others, nor the tidying
            failure(_log, "a deadline failed", error)
            return False
        return True

    async def _tidy(self) -> None:
        house = self._house
        before = int(house.clock.now() - house.settings.queue.trace)
        while await house.write.run(lambda tx: queue_term.forget(tx, before, 500)) == 500:
            pass
        since = int(house.clock.now() - house.settings.patients.answer_term)
        await house.write.run(lambda tx: correspondence.forget(tx, since))
        await house.write.run(queue_tls.forget)

    async def _meet(self, queue_id: int, deadline: int) -> None:
        """A message's notice, or its end."""
        house = self._house
        found = await house.read.run(lambda tx: queue_term.message(tx, queue_id))
        if found is None:
            return
        message, recipients = found
        envelope = self._seals.envelope(queue_id, message.sealed)
        over = house.clock.now() >= message.expires_at
        told = [each for each in recipients if not over or each.state is not State.SENDING]
        each_fate = [self._fate(queue_id, message, each, over=over) for each in told]
        fates = [fate for fate in each_fate if fate is not None]
        notices = await self._notices(queue_id, message, envelope, fates)
        kind = Kind.RELAY_FAILED if over else Kind.RELAY_DELAYED
        outcome, details = LIFETIME if over else "ok", _details(queue_id)
        events = [
            Event(kind, int(message.account_id), None if fate is None else str(fate.address), outcome, details)
            for fate in each_fate
        ]
        again = int(house.clock.now()) + ASK_AGAIN_S if over else message.expires_at

        def work(tx: Transaction) -> None:
            if not queue_term.set_deadline(tx, queue_id, deadline, again):
                raise Refusal(Reason.UNAVAILABLE, "another worker had it")
            if over and queue_term.expire(tx, queue_id, [each.number for each in told], LIFETIME) != len(told):
                raise Refusal(Reason.UNAVAILABLE, "a recipient was taken up meanwhile")
            notices.put(tx)
            for event in events:
                tx.trail(event)

        await house.write.run(work)
        notices.done()

    async def _notices(self, queue_id: int, message: MessageRow, envelope: Envelope, fates: list[Fate]) -> Notices:
        if envelope.sender is None or not any(fate.is_told(envelope.wishes) for fate in fates):
            return Notices()
        header = await Text(self._house, message.body, envelope.skipped_octets).header()
        sent = Sent(f"{queue_id:x}", envelope.sender, envelope.wishes, message.created_at, header)
        return await self._bounces.notices(sent, fates)

    def _fate(self, queue_id: int, message: MessageRow, each: OpenRecipient, *, over: bool) -> Fate | None:
        """By the last attempt; where it was never tried, by what is known of its domain. None: its row was altered."""
        try:
            beyond = self._seals.recipient(queue_id, each.number, each.sealed)
        except Unsealable:
            return None
        try:
            tried = open_tried(self._house.keys, queue_id, each.number, each.last)
        except Unsealable:  # of the trace alone: whom the message is for can be read, and is no less to be told of
            tried = NOT_TRIED
        action = Action.FAILED if over else Action.DELAYED
        until = None if over else float(message.expires_at)
        cause = _cause(each.cause)
        if cause is None:
            status = "4.4.7"  # delivery time expired (RFC 3463 §3.5)
            return Fate(
                beyond.address, beyond.wishes, action, status, attempted_at=each.attempted_at, retried_until=until
            )
        outcome = Outcome(cause, tried.answer, tried.detail, tried.in_doubt)
        at = message.created_at if each.attempted_at is None else each.attempted_at
        return Fate.of_attempt(beyond, action, outcome, tried.hop, at, until)


def _cause(name: str | None) -> Cause | None:
    try:
        return None if name is None else Cause(name)
    except ValueError:
        return None


def _details(queue_id: int) -> dict[str, Value]:
    return {"id": f"{queue_id:x}"}
