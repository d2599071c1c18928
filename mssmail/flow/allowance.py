"""How much a person may send: messages and recipients an hour and a day, so that a stolen password does little.

Counted by the person who signed in, over all boxes that they may write from, all workers and ports, in the transaction
that accepts the message. What goes beyond is refused for now: the mail stays in the sender's outbox. An account may
have limits of its own in place of the settings', and an application's box (APP) has others from the start; these two
are also looked at before a message comes, since software sends by the thousand. What comes over loopback, where that
is uncapped, counts against an account's own limits alone.
"""

import sys
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind
from mssmail.base.limits import NO_LIMITS
from mssmail.base.principal import BoxKind, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.metrics.logs import get_logger
from mssmail.metrics.registry import counter
from mssmail.store import sendings
from mssmail.store.interface import Transaction
from mssmail.store.sendings import Sent

_held = counter("mssmail_sending_held_total", "Times a person reached a sending limit; once an hour for each.")
_log = get_logger("flow.allowance")


@dataclass(frozen=True, slots=True)
class Measure:
    """How much somebody may send; 0: any number."""

    messages_per_hour: int
    messages_per_day: int
    recipients_per_hour: int
    recipients_per_day: int

    @classmethod
    def of(cls, house: House, principal: Principal, *, uncapped: bool) -> "Measure":
        """An account's own limits, and those of the settings where it has none; `uncapped`: its own alone."""
        settings, own = house.settings, principal.limits
        general = settings.application if principal.kind is BoxKind.APP else settings.sending

        def chosen(mine: int | None, everybodys: int) -> int:
            return mine if mine is not None else 0 if uncapped else everybodys

        return cls(
            chosen(own.messages_per_hour, general.messages_per_hour),
            chosen(own.messages_per_day, general.messages_per_day),
            chosen(own.recipients_per_hour, general.recipients_per_hour),
            chosen(own.recipients_per_day, general.recipients_per_day),
        )

    def recipients_left(self, sent: Sent) -> int:
        measured = (
            (sent.recipients_hour, self.recipients_per_hour),
            (sent.recipients_day, self.recipients_per_day),
        )
        return min((max(0, most - count) for count, most in measured if most), default=sys.maxsize)


NOTHING: Final = Measure(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to one person for one message."""

    limits: Measure
    principal: Principal
    recipients: int

    @classmethod
    def of(cls, house: House, principal: Principal, recipients: int, *, uncapped: bool) -> "Allowance | None":
        """None where nothing is counted."""
        limits = Measure.of(house, principal, uncapped=uncapped)
        return None if limits == NOTHING else cls(limits, principal, recipients)

    @classmethod
    async def before(cls, house: House, principal: Principal, *, uncapped: bool) -> int:
        """How many recipients an application, or who has limits of their own, may name in the message to come.

        Whatever comes in between, `take` decides. Raises Refusal(SENDING_LIMIT), traced, where even one is too many.
        """
        if principal.kind is not BoxKind.APP and principal.limits == NO_LIMITS:
            return sys.maxsize
        allowance = cls.of(house, principal, 1, uncapped=uncapped)
        if allowance is None:
            return sys.maxsize
        sent = await house.read.run(lambda tx: sendings.sent(tx, principal.person))
        over = allowance._over(sent.with_one_more())
        if over:
            raise await allowance.refused(house, over)
        return allowance.limits.recipients_left(sent)

    async def refused(self, house: House, over: str) -> Refusal:
        """Trace that a limit was reached before the message came; what to tell."""
        refusal = Refusal(Reason.SENDING_LIMIT, over)
        if await house.write.run(lambda tx: self.hold(tx, refusal)):
            self.alarm(refusal)
        return refusal

    def take(self, tx: Transaction) -> None:
        """Count the message that is being accepted. Raises Refusal(SENDING_LIMIT), and nothing is counted then."""
        sent = sendings.count(tx, self.principal.person, 1, self.recipients)
        over = self._over(sent)
        if over:
            raise Refusal(Reason.SENDING_LIMIT, over)

    def _over(self, sent: Sent) -> str:
        """Which limit is passed, in words for the trail; empty: none."""
        limits = self.limits
        measured = (
            (sent.messages_hour, limits.messages_per_hour, "messages an hour"),
            (sent.recipients_hour, limits.recipients_per_hour, "recipients an hour"),
            (sent.messages_day, limits.messages_per_day, "messages a day"),
            (sent.recipients_day, limits.recipients_per_day, "recipients a day"),
        )
        return next((f"{most} {what}" for count, most, what in measured if most and count > most), "")

    def hold(self, tx: Transaction, refusal: Refusal) -> bool:
        """Trace that a limit was reached, once an hour; whether it is news."""
        # the count itself was undone with the refusal: a row that only this hour knows may be missing
        sendings.count(tx, self.principal.person, 0, 0)
        if not sendings.hold(tx, self.principal.person):
            return False
        address, person = self.principal.address, self.principal.person
        details = {"limit": refusal.detail, "client": self.principal.client}
        tx.trail(Event(Kind.SENDING_HELD, person, str(address), refusal.reason.value, details))
        return True

    def alarm(self, refusal: Refusal) -> None:
        """After the commit, where it was news."""
        _held.inc()
        _log.warning("sending limit reached", account=self.principal.person, limit=refusal.detail)
