"""Telling a sender what became of a message: delivery reports into their box, or by the queue to their own operator.

Knows when a report is due, whom it goes to, and how it is laid down beside the outcome that it tells of: `notices`
renders and seals before the transaction, `Notices.put` writes within it, so that no outcome is without its report and
none is told twice. A message without a sender is a report itself, or a receipt: nobody is told of it, ever (RFC 3461
§5.2). A report shows nothing of subject or body (`mime.report`), and may pass the quota of the box: who can't receive
must still hear what they sent in vain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.clock import local
from mssmail.base.principal import Beyond, Recipient
from mssmail.base.refusal import Reason
from mssmail.base.relay import By, Cause, Hop, RecipientWishes, Wishes
from mssmail.base.relay import Outcome as Attempted
from mssmail.flow.deliver import put_into_boxes, store_bodies
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper, Kept, wrap_for
from mssmail.flow.queue import Queue
from mssmail.identity.credentials import Credentials
from mssmail.metrics.registry import counter
from mssmail.mime.report import Action, Outcome, Report, render
from mssmail.mime.trace import return_path, written_by
from mssmail.mime.xtext import decode, decode_recipient
from mssmail.policy.notify import is_told
from mssmail.store import accounts
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

DELIVERED: Final = "2.1.5"
"""Enhanced status code of what lies in a box here (RFC 3463 §3.2)."""

RETURNED: Final = "5.4.7"
"""The same of what its sender wanted back once its time was over (RFC 3463 §3.5)."""

_reports = counter("mssmail_reports_total", "Delivery reports by what they tell and whom.", labels=("kind", "outcome"))


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is to be told of."""

    ident: str
    """Its queue id, as the trail has it."""
    sender: Address | None
    wishes: Wishes
    arrived_at: float
    header: bytes = b""
    """Its header block, or the message's beginning; only `mime.report.KEPT` of it is shown."""

    def is_to_return_at(self, now: float) -> bool:
        """Whether its time is over, and it isn't to be tried beyond."""
        by_s = self.wishes.by_s
        return by_s is not None and self.wishes.by is By.RETURN and now >= self.arrived_at + by_s


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of it for one recipient."""

    address: Address
    wishes: RecipientWishes
    action: Action
    status: str
    """Enhanced status code."""
    cause: Cause | None = None
    in_doubt: bool = False
    remote: str = ""
    """The host that was reached, by name."""
    answer: str = ""
    """What it said."""
    finding: str = ""
    """Where it said nothing: what was found."""
    attempted_at: float | None = None
    retried_until: float | None = None
    dsn: bool = False
    """The host that took it over tells of what comes then."""
    deliver_by: bool = False
    """It watches the time that was set."""

    @classmethod
    def of_attempt(
        cls,
        recipient: Beyond,
        action: Action,
        outcome: Attempted,
        hop: Hop | None,
        attempted_at: float,
        retried_until: float | None = None,
    ) -> "Fate":
        """By how the last attempt ended; a message whose time is over has failed although trying might have helped."""
        return cls(
            recipient.address,
            recipient.wishes,
            action,
            outcome.status,
            outcome.cause,
            outcome.in_doubt,
            "" if hop is None else hop.host,
            "" if outcome.answer is None else str(outcome.answer),
            outcome.detail,
            attempted_at,
            retried_until,
            hop is not None and hop.dsn,
            hop is not None and hop.deliver_by,
        )

    def is_told(self, wishes: Wishes) -> bool:
        return is_told(self.action, self.wishes.notify, wishes, dsn=self.dsn, deliver_by=self.deliver_by)

    def reported(self) -> Outcome:
        """As the report has it."""
        return Outcome(
            str(self.address),
            self.action,
            self.status,
            self.cause,
            self.in_doubt,
            decode_recipient(self.wishes.orcpt) if self.wishes.orcpt else None,
            self.remote or None,
            self.answer or None,
            self.finding or None,
            None if self.attempted_at is None else local(int(self.attempted_at)),
            None if self.retried_until is None else local(int(self.retried_until)),
        )


class Notices:
    """Reports made ready. `put` them in the transaction of what they tell, and `done` once it is committed."""

    __slots__ = ("_afterwards", "_works")

    def __init__(self) -> None:
        self._works: list[Callable[[Transaction], None]] = []
        self._afterwards: list[Callable[[], None]] = []

    def put(self, tx: Transaction) -> None:
        """Write them all. Raises Refusal(UNAVAILABLE) where a period was closed meanwhile: make them anew then."""
        for work in self._works:
            work(tx)

    def done(self) -> None:
        for each in self._afterwards:
            each()

    def add(self, work: Callable[[Transaction], None]) -> None:
        self._works.append(work)

    def afterwards(self, work: Callable[[], None]) -> None:
        self._afterwards.append(work)


class Bounces:
    """Makes reports. Keeps nothing."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._credentials = Credentials(house.keys)
        self._queue = Queue(house)

    async def notices(self, sent: Sent, fates: Sequence[Fate]) -> Notices:
        """The reports that are due for what became of a message: one for each action, of those recipients alone that
        the sender is told of (RFC 3461 §5.2.8). Raises Refusal where that may pass.
        """
        if sent.sender is None:
            return Notices()
        notices = Notices()
        timed_out = sent.is_to_return_at(self._house.clock.now())
        for action in Action:
            told = [fate for fate in fates if fate.action is action and fate.is_told(sent.wishes)]
            if timed_out and action is Action.FAILED:
                # Whatever stood in its way, it fails because its sender wanted it back by now (RFC 2852 §4).
                told = [replace(fate, status=RETURNED, cause=Cause.TOO_LATE) for fate in told]
            if told:
                await self._add(notices, sent, sent.sender, action, told)
        return notices

    async def _add(self, notices: Notices, sent: Sent, to: Address, action: Action, told: Sequence[Fate]) -> None:
        own = to.domain in self._house.settings.server.domains
        row = await self._box(to) if own else None
        keeper = Keeper(self._house)
        ident = f"{keeper.body:x}"
        details: dict[str, Value] = {"id": ident, "about": sent.ident, "action": action.value, "recipients": len(told)}
        nobody = own and row is None
        outcome = Reason.NO_MAILBOX.value if nobody else "ok"
        event = Event(Kind.REPORTED, 0 if row is None else row.account_id, str(to), outcome, details)
        notices.add(lambda tx: tx.trail(event))
        if nobody:
            notices.afterwards(_reports.labels(action.value, "nobody").inc)
            return
        try:
            report = self._rendered(sent, to, told, ident)
            keeper.write(report if row is None else return_path(None) + report)
            kept = await keeper.finish()
            if row is None:
                # as pressing as what it tells of (RFC 6710 §4.6), and protected likewise (RFC 8689 §5)
                wishes = Wishes(
                    utf8=not to.is_ascii,
                    eight_bit=not report.isascii(),
                    require_tls=sent.wishes.require_tls,
                    priority=sent.wishes.priority,
                )
                await self._send(notices, kept, to, wishes)
                notices.afterwards(_reports.labels(action.value, "queue").inc)
            else:
                await self._deliver(notices, kept, Recipient(to, row.account_id, row.term_s), event)
                notices.afterwards(_reports.labels(action.value, "box").inc)
        except BaseException:
            await keeper.abort()
            raise

    async def _box(self, to: Address) -> AccountRow | None:
        """The sender's account; a suspended one's box still takes what its holder will want to know."""
        digest = self._credentials.address_digest(to)
        row = await self._house.read.run(lambda tx: accounts.by_address(tx, digest))
        return None if row is None or row.state is State.CLOSED else row

    def _rendered(self, sent: Sent, to: Address, told: Sequence[Fate], ident: str) -> bytes:
        server, now = self._house.settings.server, int(self._house.clock.now())
        wishes = sent.wishes
        report = Report(
            str(to),
            f"postmaster@{server.domains[0]}",
            server.name,
            f"{ident}.report@{server.name}",
            local(now),
            local(int(sent.arrived_at)),
            [fate.reported() for fate in told],
            decode(wishes.envid) if wishes.envid else None,
            None if wishes.by_s is None else local(int(sent.arrived_at) + wishes.by_s),
            sent.header,
        )
        return written_by(server.name, ident) + render(report)

    async def _deliver(self, notices: Notices, kept: Kept, to: Recipient, event: Event) -> None:
        """Into a box here."""
        house, now = self._house, self._house.clock.now()
        wrap = await wrap_for(house, kept, to.account, to.term_s, now)

        def work(tx: Transaction) -> None:
            store_bodies(tx, [(kept, [wrap])])
            put_into_boxes(tx, kept, (to,), [wrap], int(now), event)

        notices.add(work)
        notices.afterwards(lambda: house.fresh.add(kept.fresh, [(wrap.account, wrap.period)]))

    async def _send(self, notices: Notices, kept: Kept, to: Address, wishes: Wishes) -> None:
        """To the operator of who wrote, with a null sender of its own (RFC 3461 §6.1)."""
        queued = await self._queue.enqueue_work(kept, None, (Beyond(to),), wishes)

        def work(tx: Transaction) -> None:
            store_bodies(tx, [(kept, ())])
            queued(tx)

        notices.add(work)
        notices.afterwards(self._house.bell.ring)
