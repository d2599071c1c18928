"""Sending a message on, from a box whose mail is forwarded, in the transaction that accepts it.

The gate has looked, at RCPT, where the box's mail goes and whether that may be written to now (`principal.Forward`).
What can't go on stays in the box, and the trail says why: nothing is ever lost by a forwarding, nor bounced to a sender
who knows nothing of it.

- Within this server the other box gets the very message, as one more recipient. What it forwards itself isn't looked
  at: a message goes on once, so boxes that forward to each other make no loop.
- To another operator it goes as mail of the forwarding box: MAIL FROM is the box's address, since peers take from us
  what is aligned with our own domains alone, and a failure is its holder's affair. Where header From is ours the
  message goes as it is; else it is wrapped into one from the box, whole and unchanged (`mime.forwarded`). Neither null
  senders' nor programs' mail goes there: reports of what was forwarded would be forwarded again. Nor what was here
  before.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.ids import AccountId
from mssmail.base.principal import Beyond, Forward, LetIn, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import Notify, RecipientWishes, Wishes
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing
from mssmail.flow.archives import pieces
from mssmail.flow.deliver import store_bodies
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper, Kept, off_loop
from mssmail.flow.queue import Queue, Work
from mssmail.metrics.registry import counter
from mssmail.mime.automatic import is_automatic
from mssmail.mime.forwarded import Wrapping, around, passages
from mssmail.mime.headers import HeaderBlock
from mssmail.store.interface import Transaction

_AT_ONCE: Final = 8
"""Chunks that are opened in one go: half a megabyte."""

_forwarded = counter("mssmail_forwarded_total", "Messages of forwarded boxes, by outcome.", labels=("outcome",))


@dataclass(frozen=True, slots=True)
class Passing:
    """A message that has come whole, for what is to be decided and written of its going on."""

    kept: Kept
    header: HeaderBlock
    queue_id: str
    sender: Address | None
    wishes: Wishes
    ours: bool
    """Whether header From is of our own domains."""
    skipped_octets: int
    """Of Return-Path, which stays here."""


@dataclass(slots=True)
class Onward:
    """Who gets the message in the end, and what else belongs to the transaction."""

    recipients: list[Recipient]
    works: list[Work] = field(default_factory=list)
    queued: bool = False
    """Something was queued: ring the bell after the commit."""


def seal_target(keys: KeyRing, account: AccountId, target: Address) -> bytes:
    return keys.seal_name(account, str(target), name_aad(b"forward", account, 0))


def open_target(keys: KeyRing, account: AccountId, sealed: bytes) -> Address:
    """Raises Unsealable, KeyDestroyed."""
    address = Address.parse(keys.open_name(account, sealed, name_aad(b"forward", account, 0)))
    assert address is not None
    return address


async def onward(house: House, message: Passing, recipients: Sequence[Recipient], beyond: Collection[str]) -> Onward:
    """Send a message on where its recipients' boxes ask for it. `beyond`: keys of who gets it elsewhere anyway.

    Raises Refusal(STORAGE_FULL, UNAVAILABLE).
    """
    done, stay, gone = Onward([]), [], []
    elsewhere = set(beyond)
    for box in recipients:
        forward = box.forward
        if forward is None:
            stay.append(box)
            continue
        to = _target(house, message, forward)
        if isinstance(to, Recipient):
            gone.append(to)
        if forward.keep or not isinstance(to, Recipient):
            stay.append(box)
        if isinstance(to, Beyond) and to.address.key not in elsewhere:
            elsewhere.add(to.address.key)
            done.works += await _queue(house, message, box, to)
            done.queued = True
        done.works.append(_trace(message, box, forward, to))
        _forwarded.labels(outcome=to.reason.value if isinstance(to, Refusal) else "ok").inc()
    # each box once, whoever of the others has it too: of two that forward to each other neither may be left out
    done.recipients = list({each.account: each for each in (*gone, *stay)}.values())
    return done


def _target(house: House, message: Passing, forward: Forward) -> LetIn | Refusal:
    if isinstance(forward.to, Beyond):
        if message.sender is None or is_automatic(message.header):
            return Refusal(Reason.LOOP, "from no person")
        if passages(message.header, house.settings.server.name) > 1:
            return Refusal(Reason.LOOP, "was here before")
    return forward.to


def _trace(message: Passing, box: Recipient, forward: Forward, to: LetIn | Refusal) -> Work:
    details: dict[str, Value] = {"id": message.queue_id, "keep": forward.keep}
    kind, outcome = Kind.FORWARDED, "ok"
    if isinstance(to, Refusal):
        kind, outcome = Kind.FORWARD_REFUSED, to.reason.value
        details["detail"] = to.detail
    event = Event(kind, box.account, str(forward.address), outcome, details)
    return lambda tx: tx.trail(event)


async def _queue(house: House, message: Passing, box: Recipient, to: Beyond) -> list[Work]:
    utf8 = message.wishes.utf8 or not (box.address.is_ascii and to.address.is_ascii)
    wishes = replace(message.wishes, ret="HDRS", envid="", by_s=None, by_trace=False, utf8=utf8)
    recipient = replace(to, wishes=RecipientWishes(Notify.FAILURE))
    kept, number, skipped = message.kept, int(house.body_numbers.take()), message.skipped_octets
    works: list[Work] = []
    if not message.ours:
        kept, number, skipped = await _wrapped(house, message, box, to), None, 0  # type: ignore[assignment]

        def store(tx: Transaction) -> None:
            store_bodies(tx, [(kept, ())])

        works.append(store)
    queue = Queue(house)
    work = await queue.enqueue_work(
        kept, box.address, (recipient,), wishes, account=box.account, queue_id=number, skipped_octets=skipped
    )
    return [*works, work]


async def _wrapped(house: House, message: Passing, box: Recipient, to: Beyond) -> Kept:
    """A message from the box that holds the original, sealed as any."""
    keeper = Keeper(house)
    # a boundary is made of it, which nobody who writes to the box may foresee: body numbers count up
    ident = f"{keeper.body:x}-{secrets.token_hex(12)}.forward@{house.settings.server.name}"
    wishes = message.wishes
    eight_bit = wishes.eight_bit or not message.header.raw.isascii()
    wrapping = Wrapping(str(box.address), str(to.address), ident, utc(int(house.clock.now())), wishes.utf8, eight_bit)
    before, after = around(wrapping, message.header.raw)
    kept = message.kept
    opened = pieces(house, kept, message.skipped_octets, kept.size_octets)
    try:
        keeper.write(before)
        while some := await off_loop(house, lambda: list(islice(opened, _AT_ONCE))):
            for piece in some:
                keeper.write(piece)
            if keeper.is_full:
                await keeper.flush()
        keeper.write(after)
        return await keeper.finish()
    except BaseException:
        await keeper.abort()
        raise
