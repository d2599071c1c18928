"""Submission: a signed-in identity's message, checked, edited where the contract allows, sealed and delivered.

The octets that come in are kept as they are, but for these: `Return-Path` and `Received` before them, `Bcc` taken out,
a missing `Date` or `Message-ID` added (RFC 6409 §8). `Received` never shows the author's address or program.
A refusal known before the end is kept until it: the message is consumed first.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.principal import BoxKind, LetIn, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import Wishes
from mssmail.flow.allowance import Allowance
from mssmail.flow.arrival import MAX_RECEIVED, NO_HEADER, Arrival, authors, date_of, untraced, wished
from mssmail.flow.gate import Gate
from mssmail.flow.hourly import Hourly
from mssmail.flow.house import House
from mssmail.flow.keep import Kept
from mssmail.flow.queue import Queue, Work
from mssmail.flow.reminders import reminding
from mssmail.metrics.registry import counter
from mssmail.mime.headers import HeaderBlock, edit
from mssmail.mime.node import Node
from mssmail.mime.receipt import is_receipt
from mssmail.mime.trace import return_path
from mssmail.store import replays
from mssmail.store.interface import Transaction

_submitted = counter("mssmail_submissions_total", "Submissions by outcome.", labels=("outcome",))
_accepted = _submitted.labels(outcome="ok")

TOLD_AFTER_S: Final = 0.1
"""How long read 250s are gathered before the store hears of them in one unit of work."""


class Submission(Arrival):
    """A signed-in identity's message."""

    _ours = True

    def __init__(
        self,
        house: House,
        gate: Gate,
        principal: Principal,
        sender: Address | None,
        recipients: Sequence[LetIn],
        wishes: Wishes,
        *,
        uncapped: bool = False,
    ) -> None:
        """`sender`: None for the null one; `uncapped`: whether the message counts against no sending limit."""
        super().__init__(house, recipients, wishes)
        self._allowance = Allowance.of(house, principal, len(recipients), uncapped=uncapped)
        self._gate = gate
        self._principal = principal
        self._sender = sender
        self._borrowed: dict[Address, int] = {}
        """Addresses of header From, with their boxes, that aren't the one signed in to."""

    async def _edited(self, block: bytes) -> bytes:
        """The header block as it is kept. Raises Refusal."""
        header = HeaderBlock(block)
        await self._check_from(header)
        if header.count(b"received") > MAX_RECEIVED:
            raise Refusal(Reason.LOOP, f"{header.count(b'received')} Received fields")
        now = int(self._house.clock.now())
        name = self._house.settings.server.name
        date = date_of(now)
        id_and_date = f"id {self.queue_id}{self._priority()};\r\n ".encode() + date
        trace = return_path(self._sender) + f"Received: by {name} (mssmail) with {self._protocol()} ".encode()
        trace += id_and_date + b"\r\n"
        added = []
        if b"date" not in header:
            added.append(b"Date: " + date + b"\r\n")
        if b"message-id" not in header:
            added.append(f"Message-ID: <{self.queue_id}.{now:x}@{name}>\r\n".encode())
        if not added and b"bcc" not in header:
            return trace + block
        return edit(block, prepend=trace, append=added)

    async def _also(self, kept: Kept) -> Sequence[Work]:
        root = self._keeper.root
        header = (root and root.block) or NO_HEADER
        works = [*reminding(self._house, self._principal.account, header, self._concern)]
        if not self._beyond:
            return works
        work = await Queue(self._house).enqueue_work(
            kept,
            self._sender,
            self._beyond,
            self._wishes,
            account=self._principal.account,
            skipped_octets=len(return_path(self._sender)),
        )
        return [work, *works]

    def _protocol(self) -> str:
        """RFC 3848, RFC 6531 §4.3: submission over TLS, signed in."""
        return "UTF8SMTPSA" if self._wishes.utf8 else "ESMTPSA"

    async def _check_from(self, header: HeaderBlock) -> None:
        """RFC 5322 §3.6.2: one From; every mailbox in it must be the identity's."""
        for address in authors(header):
            box = await self._gate.sender(self._principal, address)
            if box != self._principal.account:
                self._borrowed[address] = int(box)

    def _author(self) -> str:
        """By whom the trail knows the message: a read receipt has no sender."""
        return str(self._sender or self._principal.address)

    def _event(self) -> Event:
        details: dict[str, Value] = {
            **wished(self._wishes, (*self._recipients, *self._beyond)),
            "id": self.queue_id,
            "octets": self._size,
            "recipients": len(self._recipients) + len(self._beyond),
            "person": self._principal.person,
            "client": self._principal.client,
        }
        if self._sender is None:
            details["receipt"] = True
        if self._borrowed:
            details["from"] = list(self._borrowed.values())
        return Event(Kind.SUBMITTED, self._principal.account, self._author(), details=details)

    def _envelope(self) -> tuple[str, str]:
        return str(self._principal.person), "" if self._sender is None else self._sender.key

    def _judge(self, root: Node) -> None:
        """Without a sender only a read receipt goes: whatever else fails must have somebody to be told."""
        if self._sender is None and not is_receipt(root):
            raise Refusal(Reason.NULL_SENDER)

    async def _last_look(self) -> None:
        if self._borrowed:  # a right may have ended while the message came
            await self._gate.may_write_from(self._principal, list(self._borrowed))

    def _taken(self) -> None:
        _accepted.inc()
        if self._beyond:
            self._house.bell.ring()

    async def _trace(self, refusal: Refusal) -> None:
        """A refusal that can't be traced because the disk is full is still told to the sender."""
        _submitted.labels(outcome=refusal.reason.value).inc()
        details: dict[str, Value] = {"detail": refusal.detail, "octets": self._size, "client": self._principal.client}
        details["person"] = self._principal.person
        account, reason = self._principal.account, refusal.reason.value
        event = Event(Kind.SUBMISSION_REFUSED, account, self._author(), reason, details)
        held = self._allowance if refusal.reason is Reason.SENDING_LIMIT else None

        def write(tx: Transaction) -> bool:
            tx.trail(event)
            return held is not None and held.hold(tx, refusal)

        try:
            news = await self._house.write.run(write)
        except Refusal:
            untraced.inc()
        else:
            if held is not None and news:
                held.alarm(refusal)


class Readings:
    """Which 250s were read, gathered over connections: one unit of work for many. All methods on the loop.

    That the store hears of it later harms nobody: while a connection is open, its submissions are held against no one.
    `close` it before the store.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._read: list[bytes] = []

    def add(self, digests: list[bytes]) -> None:
        if not self._read:
            asyncio.get_running_loop().call_later(TOLD_AFTER_S, self.tell)
        self._read += digests

    def tell(self) -> None:
        """Tell the store now."""
        if self._read:
            read, self._read = self._read, []
            self._house.write.post(lambda tx: replays.forget(tx, read))

    def close(self) -> None:
        self.tell()


class Acknowledgements:
    """Which 250s of a connection its client is known to have read."""

    def __init__(self, house: House, readings: Readings) -> None:
        self._house = house
        self._readings = readings
        self._unread: list[bytes] = []

    def sent(self, digest: bytes) -> None:
        self._unread.append(digest)

    def read(self) -> None:
        """The client's next command came: it read what was sent before."""
        if self._unread:
            unread, self._unread = self._unread, []
            self._readings.add(unread)

    def lost(self) -> None:
        """The connection ended without another command."""
        if self._unread:
            # Of the same octets an earlier sending may have been read: that goes before.
            self._readings.tell()
            unread, self._unread = self._unread, []
            self._house.write.post(lambda tx: replays.arm(tx, unread))


class Rate:
    """Messages an account submitted to this worker within the last hour."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._hourly = Hourly(house.clock)

    def check(self, principal: Principal, *, uncapped: bool) -> None:
        """Count one more. Raises Refusal(TOO_MANY_MESSAGES)."""
        if not uncapped and principal.kind is not BoxKind.APP:
            # an application's limits are counted exactly, and may be wider
            self._hourly.count(principal.account, self._house.settings.smtp.max_messages_per_hour)
