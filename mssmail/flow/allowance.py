"""How much a person may send: messages and recipients an hour and a day, so that a stolen password does little.

Counted by the person who signed in, over all boxes that they may write from, all workers and ports, in the transaction
that accepts the message. What goes beyond is refused for now: the mail stays in the sender's outbox. Software's boxes
(APP) have limits of their own, as does what comes over loopback where that is uncapped.
"""

from dataclasses import dataclass

from mssmail.audit.events import Event, Kind
from mssmail.base.principal import BoxKind, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.metrics.logs import get_logger
from mssmail.metrics.registry import counter
from mssmail.settings.model import Sending
from mssmail.store import sendings
from mssmail.store.interface import Transaction
from mssmail.store.sendings import Sent

_held = counter("mssmail_sending_held_total", "Times a person reached a sending limit; once an hour for each.")
_log = get_logger("flow.allowance")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to one person for one message."""

    limits: Sending
    principal: Principal
    recipients: int

    @classmethod
    def of(cls, house: House, principal: Principal, recipients: int, *, uncapped: bool) -> "Allowance | None":
        """None where nothing is counted."""
        if uncapped or principal.kind is BoxKind.APP:
            return None
        return cls(house.settings.sending, principal, recipients)

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
