"""A message between DATA and its reply, whoever sends it: bounded, its header looked at, sealed, delivered or refused.

Knows octets and what is common to all messages; who may send what, and what is put before a header, is for those who
build on it: `submit` and `receive`. A refusal known before the end is kept until it: the message is consumed first.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, Final

from cryptography.hazmat.primitives import hashes

from mssmail.audit.events import Event, Value
from mssmail.base.address import Address
from mssmail.base.clock import utc
from mssmail.base.ids import AccountId
from mssmail.base.principal import Beyond, LetIn, Recipient
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import NEVER, NO_WISHES, Notify, RecipientWishes, Wishes
from mssmail.flow.absence import noted
from mssmail.flow.allowance import Allowance
from mssmail.flow.archives import concern_of
from mssmail.flow.bounce import DELIVERED, Bounces, Fate, Notices, Sent
from mssmail.flow.concerning import Concern, Exchange
from mssmail.flow.deliver import Replay, deliver
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper, Kept
from mssmail.flow.onward import Onward, Passing, onward
from mssmail.flow.queue import Work
from mssmail.metrics.registry import counter
from mssmail.mime.addresses import mailboxes
from mssmail.mime.dates import format_date
from mssmail.mime.headers import HeaderBlock
from mssmail.mime.node import Node
from mssmail.mime.report import Action, shown
from mssmail.mime.trace import return_path

HEADER_OCTETS = 256 * 1024
"""Header blocks beyond are refused: the largest seen in practice are a tenth of that."""
MAX_RECEIVED = 100
"""Hops after which a message is in a loop (RFC 5321 §6.3)."""
HASHED_OCTETS: Final = 2047
"""Hashed at a time: for one octet more `cryptography` gives up the interpreter, to have it back a turn later."""
PIECEMEAL_OCTETS: Final = 16 * 1024
"""What is larger is worth a turn, and hashed at once."""

NO_HEADER: Final = HeaderBlock(b"")

untraced = counter("mssmail_trail_lost_total", "Refusals that the trail couldn't take, for want of disk.")


@lru_cache(maxsize=4)
def date_of(second: int) -> bytes:
    """A Date header's value; a busy server asks for the same one hundreds of times."""
    return format_date(utc(second))


def authors(header: HeaderBlock) -> list[Address]:
    """The addresses of From. Raises Refusal(BAD_HEADERS) where there isn't one field of them (RFC 5322 §3.6.2)."""
    if header.count(b"from") != 1:
        raise Refusal(Reason.BAD_HEADERS, f"{header.count(b'from')} From fields")
    if header.count(b"sender") > 1:
        raise Refusal(Reason.BAD_HEADERS, f"{header.count(b'sender')} Sender fields")
    found = []
    for each in mailboxes(header.first(b"from") or b"") or ():
        address = Address.parse(each.decode("utf-8", "replace"))
        if address is None:
            raise Refusal(Reason.BAD_HEADERS, "From holds no address that can be read")
        found.append(address)
    if not found:
        raise Refusal(Reason.BAD_HEADERS, "From holds no address that can be read")
    return found


def wished(wishes: Wishes, recipients: Sequence[LetIn]) -> dict[str, Value]:
    """What the trail says of what a sender asked for, beside addresses: nothing of what wasn't asked."""
    details: dict[str, Value] = {
        "utf8": wishes.utf8,
        "require_tls": wishes.require_tls,
        "body": "8BITMIME" if wishes.eight_bit else "",
        "ret": wishes.ret,
        "envid": wishes.envid,
        "priority": wishes.priority,
        "by": "" if wishes.by_s is None else f"{wishes.by_s};{wishes.by.value}{'T' if wishes.by_trace else ''}",
        "dsn": [f"{each.address} {_spelt(each.wishes)}" for each in recipients if each.wishes != NO_WISHES],
    }
    return {name: value for name, value in details.items() if value}


def _spelt(wishes: RecipientWishes) -> str:
    """As RCPT had it (RFC 3461 §4)."""
    words = []
    if wishes.notify is not None:
        words.append(f"NOTIFY={wishes.notify.spelt}")
    if wishes.orcpt:
        words.append(f"ORCPT={wishes.orcpt}")
    return " ".join(words)


class Arrival:
    """One message. `write` all of it, then `finish`, or `abort`."""

    _ours: ClassVar[bool]
    """Whether header From is of our own domains."""

    def __init__(self, house: House, recipients: Sequence[LetIn], wishes: Wishes) -> None:
        self._house = house
        self._recipients = [each for each in recipients if isinstance(each, Recipient)]
        self._beyond = [each for each in recipients if isinstance(each, Beyond)]
        self._wishes = wishes
        self._successes = [each for each in self._recipients if Notify.SUCCESS in (each.wishes.notify or NEVER)]
        self._shown = b""
        """The fields of its header that a report may show, where one will be due."""
        self._allowance: Allowance | None = None
        """What the message counts against."""
        self._keeper = Keeper(house)
        self.queue_id = f"{self._keeper.body:x}"
        self._header: bytearray | None = bytearray()
        self._digest = hashes.Hash(hashes.SHA256())
        self._size = 0
        self._refusal: Refusal | None = None
        self.replay_digest = b""
        """By what a repeat is known, once `finish` returned: for `Acknowledgements`."""
        self._concern: Concern | None = None
        """Whom its archives say it is about, once it has come whole."""

    # --- what a kind of message says of itself ---

    _sender: Address | None
    """None for the null one."""

    async def _edited(self, block: bytes) -> bytes:
        """The header block as it is kept. Raises Refusal."""
        raise NotImplementedError

    def _judge(self, root: Node) -> None:
        """What can be said of the message once all of it has come. Raises Refusal."""

    async def _last_look(self) -> None:
        """What may have changed while the message came. Raises Refusal."""

    async def _also(self, kept: Kept) -> Sequence[Work]:
        """What else is done in the transaction that accepts the message. Raises Refusal."""
        return ()

    def _event(self) -> Event:
        """What the trail says of the message, `id` among its details."""
        raise NotImplementedError

    def _envelope(self) -> tuple[str, str]:
        """Who sends it, and in whose name: by what a repeat is known, beside recipients and octets."""
        raise NotImplementedError

    def _taken(self) -> None:
        """It was delivered."""
        raise NotImplementedError

    async def _trace(self, refusal: Refusal) -> None:
        """Write to the trail that it was refused."""
        raise NotImplementedError

    # --- what is common to all ---

    def _priority(self) -> str:
        """The clause of Received for a priority other than the usual one (RFC 6710 §7)."""
        return f"\r\n PRIORITY {self._wishes.priority}" if self._wishes.priority else ""

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
        if not (self._wishes.eight_bit or data.isascii()):
            # What wasn't announced (RFC 6152 §3) must be known all the same, to whoever sends it on.
            self._wishes = replace(self._wishes, eight_bit=True)
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
                await self._write_body(await self._taken_up(data[:end]))
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
        await self._write_body(await self._taken_up(bytes(header[:end])))
        if len(header) > end:
            await self._write_body(bytes(header[end:]))

    async def _taken_up(self, block: bytes) -> bytes:
        """The header block as it is kept. Raises Refusal."""
        if self._successes:
            self._shown = shown(block)
        return await self._edited(block)

    async def _write_body(self, data: bytes) -> None:
        self._keeper.write(data)
        if self._keeper.is_full:
            await self._keeper.flush()

    async def finish(self) -> str:
        """Deliver; the queue id. Durable on return. Raises Refusal, traced."""
        try:
            if self._refusal is None and self._header is not None:
                # no blank line came: all of it is header (RFC 5322 §2.1 lets a message have no body)
                header, self._header = bytes(self._header), None
                if header and not header.endswith(b"\r\n"):
                    header += b"\r\n"
                await self._write_body(await self._taken_up(header))
            if self._refusal is not None:
                raise self._refusal
            await self._last_look()
            kept = await self._keeper.finish()
            root = self._keeper.root
            assert root is not None
            self._judge(root)
            self._concern = await concern_of(self._house, kept, root)
            event, replay = self._event(), self._replay()
            notices = await self._notices()
            also = [*await self._also(kept), notices.put]
            if self._concern is not None:
                event, take = self._concerning(event, self._concern)
                also.append(take)
            recipients, queued = self._recipients, False
            if any(each.absent or each.forward is not None for each in recipients):
                ruled = await self._by_rules(kept, root.block or NO_HEADER)
                recipients, queued = ruled.recipients, ruled.queued
                also += ruled.works
            repeated = await deliver(self._house, kept, recipients, event, replay, self._allowance, also)
            if repeated is None:
                notices.done()
        except Refusal as refusal:
            await self._keeper.abort()
            await self._trace(refusal)
            raise
        self._taken()
        if queued:
            self._house.bell.ring()
        return self.queue_id if repeated is None else repeated

    def _concerning(self, event: Event, concern: Concern) -> tuple[Event, Work]:
        """The message's event with what its archives say, and what shows it to the register of patients."""
        addresses = [each.address for each in self._recipients] + [each.address for each in self._beyond]
        exchange = Exchange(self.queue_id, concern, AccountId(event.account), event.subject, addresses)
        register = self._house.register
        return replace(event, details={**event.details, **concern.details()}), lambda tx: register.take(tx, exchange)

    async def _by_rules(self, kept: Kept, header: HeaderBlock) -> Onward:
        """What follows from absences and forwardings. Raises Refusal."""
        skipped = len(return_path(self._sender))
        passing = Passing(kept, header, self.queue_id, self._sender, self._wishes, self._ours, skipped)
        done = await onward(self._house, passing, self._recipients, {each.address.key for each in self._beyond})
        absent = [each for each in self._recipients if each.absent]
        if absent:
            done.works += await noted(self._house, absent, self._sender, header)
        return done

    async def abort(self) -> None:
        await self._keeper.abort()

    async def _notices(self) -> Notices:
        """What the sender asked to be told of a delivery here (RFC 3461 §5.2.3)."""
        if not self._successes:
            return Notices()
        now = self._house.clock.now()
        sent = Sent(self.queue_id, self._sender, self._wishes, now, self._shown)
        fates = [Fate(each.address, each.wishes, Action.DELIVERED, DELIVERED) for each in self._successes]
        return await Bounces(self._house).notices(sent, fates)

    def _replay(self) -> Replay:
        recipients = sorted([r.address.key for r in self._recipients] + [r.address.key for r in self._beyond])
        envelope = "\0".join([*self._envelope(), *recipients])
        digest = self._house.keys.digest("replay", envelope.encode() + b"\0" + self._digest.finalize())
        self.replay_digest = digest
        return Replay(digest, self.queue_id)
