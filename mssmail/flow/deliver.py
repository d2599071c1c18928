"""Putting a sealed message into boxes: one transaction for the body, every recipient's row, and the trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind
from mssmail.base.principal import Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.allowance import Allowance
from mssmail.flow.house import House
from mssmail.flow.keep import Kept, Wrap, wrap_for
from mssmail.flow.queue import Work
from mssmail.metrics.registry import counter
from mssmail.store import accounts, folders, messages, replays
from mssmail.store.interface import Transaction
from mssmail.store.messages import NewBody, NewMessage

_delivered = counter("mssmail_messages_delivered_total", "Copies put into boxes.")


_REPEATED: Final = {Kind.SUBMITTED: Kind.SUBMISSION_REPEATED, Kind.RECEIVED: Kind.RECEPTION_REPEATED}


@dataclass(frozen=True, slots=True)
class Replay:
    """By what a submission is known again, while its sender may not have read the 250."""

    digest: bytes
    queue_id: str


def store_bodies(tx: Transaction, new: Sequence[tuple[Kept, Sequence[Wrap]]]) -> None:
    """Write bodies and their wraps. Raises Refusal(UNAVAILABLE) where a period was closed meanwhile."""
    for period in {wrap.period for _, wraps in new for wrap in wraps}:
        if not messages.period_is_open(tx, period):
            raise Refusal(Reason.UNAVAILABLE, f"period {period} is closed")
    messages.add_bodies(
        tx,
        [
            NewBody(
                kept.body,
                kept.size_octets,
                kept.lengths,
                kept.data,
                kept.record,
                [(wrap.account, wrap.period, wrap.wrapped) for wrap in wraps],
            )
            for kept, wraps in new
        ],
    )


async def deliver(
    house: House,
    kept: Kept,
    recipients: Sequence[Recipient],
    submitted: Event,
    replay: Replay | None,
    allowance: Allowance | None = None,
    also: Sequence[Work] = (),
) -> str | None:
    """Deliver to every recipient's INBOX, or to none; the queue id of the earlier submission that this one repeats.

    `allowance`: what the message counts against; `also`: what else belongs to the same transaction, with the body's row
    written, as queueing it for other operators. Durable on return. Raises Refusal(STORAGE_FULL, SENDING_LIMIT,
    UNAVAILABLE).
    """
    now = house.clock.now()
    wraps = [await wrap_for(house, kept, r.account, r.term_s, now) for r in recipients]

    def work(tx: Transaction) -> str | None:
        if replay is not None:
            earlier = replays.remember(tx, replay.digest, house.slot, replay.queue_id)
            if earlier is not None:
                tx.trail(Event(_REPEATED[submitted.kind], submitted.account, details={"id": earlier}))
                return earlier
        if allowance is not None:
            allowance.take(tx)
        store_bodies(tx, [(kept, wraps)])
        tx.trail(submitted)
        put_into_boxes(tx, kept, recipients, wraps, int(now), submitted)
        for each in also:
            each(tx)
        return None

    repeated = await house.write.run(work)
    if repeated is None:
        house.fresh.add(kept.fresh, [(wrap.account, wrap.period) for wrap in wraps])
        _delivered.inc(len(recipients))
    return repeated


def put_into_boxes(
    tx: Transaction, kept: Kept, recipients: Sequence[Recipient], wraps: Sequence[Wrap], now: int, submitted: Event
) -> None:
    """The recipients' rows. Raises Refusal(UNAVAILABLE) where an account was closed since the gate let it in."""
    size, new = kept.size_octets, []
    for recipient, wrap in zip(recipients, wraps, strict=True):
        account = recipient.account
        modseq, inbox = accounts.arrive(tx, account, size)
        uid = folders.count(tx, inbox, modseq, uids=1, messages=1, unseen=1, octets=size)
        if uid is None:
            raise Refusal(Reason.UNAVAILABLE, f"account {account} has no INBOX")
        new.append(NewMessage(inbox, uid, modseq, account, kept.body, wrap.period, now, now, 0, size))
        details = {"id": submitted.details["id"], "uid": int(uid), "from": submitted.account}
        tx.trail(Event(Kind.DELIVERED, account, str(recipient.address), details=details))
    messages.add(tx, new)
