"""Submission: a signed-in identity's message, checked, edited where the contract allows, sealed and delivered.

The octets that come in are kept as they are, but for these: `Return-Path` and `Received` before them, `Bcc` taken out,
a missing `Date` or `Message-ID` added (RFC 6409 §8). `Received` never shows the author's address or program.
A refusal known before the end is kept until it: the message is consumed first.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives import hashes

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.principal import BoxKind, Principal, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.allowance import Allowance
from mssmail.flow.deliver import Replay, deliver
from mssmail.flow.gate import Gate
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper
from mssmail.metrics.registry import counter
from mssmail.mime.addresses import mailboxes
from mssmail.mime.dates import format_date
from mssmail.mime.headers import HeaderBlock, edit
from mssmail.store import replays
from mssmail.store.interface import Transaction

HEADER_OCTETS = 256 * 1024
"""Header blocks beyond are refused: the largest seen in practice are a tenth of that."""
MAX_RECEIVED = 100
"""Hops after which a message is in a loop (RFC 5321 §6.3)."""

_untraced = counter("mssmail_trail_lost_total", "Refusals that the trail couldn't take, for want of disk.")
_submitted = counter("mssmail_submissions_total", "Submissions by outcome.", labels=("outcome",))
_accepted = _submitted.labels(outcome="ok")

HASHED_OCTETS: Final = 2047
"""Hashed at a time: for one octet more `cryptography` gives up the interpreter, to have it back a turn later."""
PIECEMEAL_OCTETS: Final = 16 * 1024
"""What is larger is worth a turn, and hashed at once."""
TOLD_AFTER_S: Final = 0.1
"""How long read 250s are gathered before the store hears of them in one unit of work."""


@lru_cache(maxsize=4)
def _date_of(second: int) -> bytes:
    """A Date header's value; a busy server asks for the same one hundreds of times."""
    return format_date(utc(second))


class Submission:
    """One message between DATA and its reply. `write` all of it, then `finish`, or `abort`."""

    def __init__(
        self,
        house: House,
        gate: Gate,
        principal: Principal,
        sender: Address,
        recipients: Sequence[Recipient],
        details: dict[str, Value],
        *,
        uncapped: bool = False,
    ) -> None:
        """`uncapped`: whether the message counts against no sending limit."""
        self._house = house
        self._allowance = Allowance.of(house, principal, len(recipients), uncapped=uncapped)
        self._gate = gate
        self._principal = principal
        self._sender = sender
        self._recipients = recipients
        self._details = details
        self._keeper = Keeper(house)
        self.queue_id = f"{self._keeper.body:x}"
        self._header: bytearray | None = bytearray()
        self._digest = hashes.Hash(hashes.SHA256())
        self._size = 0
        self._refusal: Refusal | None = None
        self._borrowed: dict[Address, int] = {}
        """Addresses of header From, with their boxes, that aren't the one signed in to."""
        self.replay_digest = b""
        """By what a repeat is known, once `finish` returned: for `Acknowledgements`."""

    def refuse(self, reason: Reason, detail: str = "") -> None:
        """Let `finish` refuse the message for a reason that the protocol's side saw; the first one counts."""
        if self._refusal is None:
            self._refusal = Refusal(reason, detail)

    @property
    def is_refused(self) -> bool:
        """Whether `finish` will refuse the message, whatever else comes."""
        return self._refusal is not None

    async def write(self, data: bytes) -> None:
        """Take octets of the message, dot-stuffing undone, in any pieces. Never raises a Refusal."""
        self._size += len(data)
        most = self._house.settings.smtp.max_message_size
        if self._refusal is None and self._size > most:
            self.refuse(Reason.TOO_LARGE, f"over {most} octets")
        if self._refusal is not None:
            return
        step = HASHED_OCTETS if len(data) <= PIECEMEAL_OCTETS else len(data)
        for start in range(0, len(data), step):
            self._digest.update(data[start : start + step])
        try:
            if self._header is not None:
                await self._write_header(self._header, data)
            else:
                await self._write_body(data)
        except Refusal as refusal:
            self.refuse(refusal.reason, refusal.detail)

    async def _write_header(self, header: bytearray, data: bytes) -> None:
        if not header:
            # As a rule all of it comes at once, and nothing need be put together.
            end = data.find(b"\r\n\r\n") + 4
            if 4 <= end <= HEADER_OCTETS and not data.startswith(b"\r\n"):
                self._header = None
                await self._write_body(await self._edited(data[:end]))
                if len(data) > end:
                    await self._write_body(data[end:])
                return
        searched = max(0, len(header) - 3)
        header += data
        end = 2 if header.startswith(b"\r\n") else header.find(b"\r\n\r\n", searched) + 4
        if end < 4 and not header.startswith(b"\r\n"):
            if len(header) > HEADER_OCTETS:
                raise Refusal(Reason.HEADERS_TOO_LARGE, f"over {HEADER_OCTETS} octets")
            return
        if end > HEADER_OCTETS:
            raise Refusal(Reason.HEADERS_TOO_LARGE, f"over {HEADER_OCTETS} octets")
        self._header = None
        await self._write_body(await self._edited(bytes(header[:end])))
        if len(header) > end:
            await self._write_body(bytes(header[end:]))

    async def _write_body(self, data: bytes) -> None:
        self._keeper.write(data)
        if self._keeper.is_full:
            await self._keeper.flush()

    async def _edited(self, block: bytes) -> bytes:
        """The header block as it is kept. Raises Refusal."""
        header = HeaderBlock(block)
        await self._check_from(header)
        if header.count(b"received") > MAX_RECEIVED:
            raise Refusal(Reason.LOOP, f"{header.count(b'received')} Received fields")
        now = int(self._house.clock.now())
        name = self._house.settings.server.name
        date = _date_of(now)
        id_and_date = f"id {self.queue_id};\r\n ".encode() + date
        trace = f"Return-Path: <{self._sender}>\r\nReceived: by {name} (mssmail) with {self._protocol()} ".encode()
        trace += id_and_date + b"\r\n"
        added = []
        if b"date" not in header:
            added.append(b"Date: " + date + b"\r\n")
        if b"message-id" not in header:
            added.append(f"Message-ID: <{self.queue_id}.{now:x}@{name}>\r\n".encode())
        if not added and b"bcc" not in header:
            return trace + block
        return edit(block, prepend=trace, append=added)

    def _protocol(self) -> str:
        """RFC 3848, RFC 6531 §4.3: submission over TLS, signed in."""
        return "UTF8SMTPSA" if self._details.get("utf8") else "ESMTPSA"

    async def _check_from(self, header: HeaderBlock) -> None:
        """RFC 5322 §3.6.2: one From; every mailbox in it must be the identity's."""
        if header.count(b"from") != 1:
            raise Refusal(Reason.BAD_HEADERS, f"{header.count(b'from')} From fields")
        written = mailboxes(header.first(b"from") or b"")
        if not written:
            raise Refusal(Reason.BAD_HEADERS, "From holds no address that can be read")
        found = [Address.parse(each.decode("utf-8", "replace")) for each in written]
        if header.count(b"sender") > 1:
            raise Refusal(Reason.BAD_HEADERS, f"{header.count(b'sender')} Sender fields")
        for address in found:
            if address is None:
                raise Refusal(Reason.BAD_HEADERS, "From holds no address that can be read")
            box = await self._gate.sender(self._principal, address)
            if box != self._principal.account:
                self._borrowed[address] = int(box)

    async def finish(self) -> str:
        """Deliver; the queue id. Durable on return. Raises Refusal, traced."""
        try:
            if self._refusal is None and self._header is not None:
                # no blank line came: all of it is header (RFC 5322 §2.1 lets a message have no body)
                header, self._header = bytes(self._header), None
                if header and not header.endswith(b"\r\n"):
                    header += b"\r\n"
                await self._write_body(await self._edited(header))
            if self._refusal is not None:
                raise self._refusal
            if self._borrowed:  # a right may have ended while the message came
                await self._gate.may_write_from(self._principal, list(self._borrowed))
            kept = await self._keeper.finish()
            event, replay = self._event(), self._replay()
            repeated = await deliver(self._house, kept, self._recipients, event, replay, self._allowance)
        except Refusal as refusal:
            await self._keeper.abort()
            await self._trace(refusal)
            raise
        _accepted.inc()
        return self.queue_id if repeated is None else repeated

    async def abort(self) -> None:
        await self._keeper.abort()

    def _event(self) -> Event:
        details: dict[str, Value] = {
            **self._details,
            "id": self.queue_id,
            "octets": self._size,
            "recipients": len(self._recipients),
            "person": self._principal.person,
            "client": self._principal.client,
        }
        if self._borrowed:
            details["from"] = list(self._borrowed.values())
        return Event(Kind.SUBMITTED, self._principal.account, str(self._sender), details=details)

    def _replay(self) -> Replay:
        recipients = sorted(r.address.key for r in self._recipients)
        envelope = "\0".join([str(self._principal.person), self._sender.key, *recipients])
        digest = self._house.keys.digest("replay", envelope.encode() + b"\0" + self._digest.finalize())
        self.replay_digest = digest
        return Replay(digest, self.queue_id)

    async def _trace(self, refusal: Refusal) -> None:
        """A refusal that can't be traced because the disk is full is still told to the sender."""
        _submitted.labels(outcome=refusal.reason.value).inc()
        details: dict[str, Value] = {"detail": refusal.detail, "octets": self._size, "client": self._principal.client}
        details["person"] = self._principal.person
        event = Event(
            Kind.SUBMISSION_REFUSED, self._principal.account, str(self._sender), refusal.reason.value, details
        )
        held = self._allowance if refusal.reason is Reason.SENDING_LIMIT else None

        def write(tx: Transaction) -> bool:
            tx.trail(event)
            return held is not None and held.hold(tx, refusal)

        try:
            news = await self._house.write.run(write)
        except Refusal:
            _untraced.inc()
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
        self._times: dict[int, deque[float]] = {}

    def check(self, principal: Principal, *, uncapped: bool) -> None:
        """Count one more. Raises Refusal(TOO_MANY_MESSAGES)."""
        most = self._house.settings.smtp.max_messages_per_hour
        if not most or uncapped or principal.kind is BoxKind.APP:
            return  # an application's limits are counted exactly, and may be wider
        now = self._house.clock.monotonic()
        times = self._times.setdefault(principal.account, deque())
        while times and times[0] < now - 3600:
            times.popleft()
        if len(times) >= most:
            raise Refusal(Reason.TOO_MANY_MESSAGES, f"{most} an hour")
        times.append(now)
