"""Putting a sealed message into boxes: one transaction for the body, every recipient's row, and the trail."""

from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.audit.events import Event, Kind
from mssmail.base.ids import FolderId
from mssmail.base.principal import Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.house import House
from mssmail.flow.keep import Kept, Wrap, wrap_for
from mssmail.metrics.registry import counter
from mssmail.store import accounts, messages, replays, searches
from mssmail.store.interface import Transaction
from mssmail.store.messages import NewMessage

_delivered = counter("mssmail_messages_delivered_total", "Copies put into boxes.")


@dataclass(frozen=True, slots=True)
class Replay:
    """By what a submission is known again, while its sender may not have read the 250."""

    digest: bytes
    queue_id: str


def store_body(tx: Transaction, kept: Kept, wraps: Sequence[Wrap]) -> None:
    """Write a body and its wraps. Raises Refusal(UNAVAILABLE) where a period was closed meanwhile."""
    messages.add_body(
        tx,
        kept.body,
        size_octets=kept.size_octets,
        lengths=kept.lengths,
        data=kept.data,
        record=kept.record,
        at=int(tx.now),
    )
    for wrap in wraps:
        if not messages.period_is_open(tx, wrap.period):
            raise Refusal(Reason.UNAVAILABLE, f"period {wrap.period} is closed")
        messages.add_wrap(tx, wrap.account, kept.body, wrap.period, wrap.wrapped)
        searches.mark_due(tx, wrap.account, kept.body, wrap.period)


async def deliver(
    house: House, kept: Kept, recipients: Sequence[Recipient], submitted: Event, replay: Replay | None
) -> str | None:
    """Deliver to every recipient's INBOX, or to none; the queue id of the earlier submission that this one repeats.

    Durable on return. Raises Refusal(STORAGE_FULL, UNAVAILABLE).
    """
    now = house.clock.now()
    wraps = [await wrap_for(house, kept, r.account, r.term_s, now) for r in recipients]

    def work(tx: Transaction) -> str | None:
        if replay is not None:
            earlier = replays.remember(tx, replay.digest, house.slot, replay.queue_id)
            if earlier is not None:
                tx.trail(Event(Kind.SUBMISSION_REPEATED, submitted.account, details={"id": earlier}))
                return earlier
        store_body(tx, kept, wraps)
        tx.trail(submitted)
        for recipient, wrap in zip(recipients, wraps, strict=True):
            _put(tx, kept, recipient, wrap, int(now), submitted)
        return None

    repeated = await house.write.run(work)
    if repeated is None:
        _delivered.inc(len(recipients))
    return repeated


def _put(tx: Transaction, kept: Kept, recipient: Recipient, wrap: Wrap, now: int, submitted: Event) -> None:
    """One recipient's row. Raises Refusal(UNAVAILABLE) where the account was closed since the gate let it in."""
    modseq, inbox = accounts.arrive(tx, recipient.account, kept.size_octets)
    message = NewMessage(recipient.account, kept.body, wrap.period, now, now, 0, kept.size_octets)
    uid = messages.add(tx, FolderId(inbox), message, modseq, now)
    if uid is None:
        raise Refusal(Reason.UNAVAILABLE, f"account {recipient.account} has no INBOX")
    details = {"id": submitted.details["id"], "uid": int(uid), "from": submitted.account}
    tx.trail(Event(Kind.DELIVERED, recipient.account, str(recipient.address), details=details))
