"""The way into the queue: what other operators are to be given, written in the transaction that accepts the message.

Knows how a queued message's sender, wishes and recipients are sealed, and what is written beside them: the body's key
wrapped for the post (`base.ids.POST`) in a period of the queue's own, each recipient in the trail, and who wrote to
which patient. Who takes it out again is `relay`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import POST, AccountId
from mssmail.base.principal import Beyond
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import By, Notify, RecipientWishes, Wishes
from mssmail.crypto.format import name_aad
from mssmail.crypto.keys import KeyRing
from mssmail.flow.house import House
from mssmail.flow.keep import Keyed, wrap_for
from mssmail.metrics.registry import counter
from mssmail.policy.retry import first_due
from mssmail.store import correspondence, messages, queue
from mssmail.store.interface import Transaction
from mssmail.store.queue import QueuedMessage, QueuedRecipient

SLACK_S: Final = 86_400
"""How much longer than the queue's lifetime a body's key lives: a server that was down must still tell the senders."""

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_queued = counter("mssmail_queue_recipients_total", "Recipients queued for other operators.")

Work = Callable[[Transaction], None]


class Queueable(Keyed, Protocol):
    """A body to be queued, as `Kept` is one: its row is written, or there, in the same transaction."""

    @property
    def size_octets(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is kept of a queued message beside its recipients."""

    sender: Address | None
    wishes: Wishes
    skipped_octets: int
    """At the body's start, which stay here: Return-Path is a box's, not a relay's (RFC 5321 §4.4)."""


def seal_row(keys: KeyRing, kind: bytes, queue_id: int, number: int, content: dict[str, object]) -> bytes:
    """What a row of the queue says of people, bound to its place; `kind`: at most 8 octets."""
    return keys.seal_system(_to_json(content).encode(), name_aad(kind, AccountId(queue_id), number))


def unseal_row(keys: KeyRing, kind: bytes, queue_id: int, number: int, sealed: bytes) -> dict[str, Any]:
    """Raises Unsealable where the row was altered or moved."""
    said: dict[str, Any] = json.loads(keys.open_system(sealed, name_aad(kind, AccountId(queue_id), number)))
    return said


class Seals:
    """Seals and opens what the queue's rows say of people. Safe for threads."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def domain(self, domain: str) -> tuple[bytes, bytes]:
        """A domain's digest, and its name sealed."""
        digest = self._keys.digest("queue domain", domain.encode())
        return digest, self._keys.seal_system(domain.encode(), b"queue domain" + digest)

    def open_domain(self, digest: bytes, sealed: bytes) -> str:
        return self._keys.open_system(sealed, b"queue domain" + digest).decode()

    def seal_envelope(self, queue_id: int, envelope: Envelope) -> bytes:
        wishes = envelope.wishes
        content: dict[str, object] = {"s": "" if envelope.sender is None else str(envelope.sender)}
        for name, value in (
            ("k", envelope.skipped_octets),
            ("r", wishes.ret),
            ("e", wishes.envid),
            ("u", wishes.utf8),
            ("8", wishes.eight_bit),
            ("t", wishes.require_tls),
            ("p", wishes.priority),
            ("c", wishes.by_trace),
        ):
            if value:
                content[name] = value
        if wishes.by_s is not None:
            content |= {"y": wishes.by_s, "m": wishes.by.value}
        return seal_row(self._keys, b"qmessage", queue_id, 0, content)

    def envelope(self, queue_id: int, sealed: bytes) -> Envelope:
        """Raises Unsealable where the row was altered or moved."""
        said = unseal_row(self._keys, b"qmessage", queue_id, 0, sealed)
        wishes = Wishes(
            said.get("r", ""),
            said.get("e", ""),
            said.get("u", False),
            said.get("8", False),
            said.get("t", False),
            said.get("p", 0),
            said.get("y"),
            By(said.get("m", "N")),
            said.get("c", False),
        )
        return Envelope(Address.parse(said["s"]), wishes, said.get("k", 0))

    def seal_recipient(self, queue_id: int, number: int, recipient: Beyond) -> bytes:
        content: dict[str, object] = {"a": str(recipient.address)}
        if recipient.wishes.notify is not None:
            content["n"] = recipient.wishes.notify.value
        if recipient.wishes.orcpt:
            content["o"] = recipient.wishes.orcpt
        return seal_row(self._keys, b"qrcpt", queue_id, number, content)

    def recipient(self, queue_id: int, number: int, sealed: bytes) -> Beyond:
        """Raises Unsealable where the row was altered or moved."""
        said = unseal_row(self._keys, b"qrcpt", queue_id, number, sealed)
        address = Address.parse(said["a"])
        assert address is not None
        notify = said.get("n")
        return Beyond(address, RecipientWishes(None if notify is None else Notify(notify), said.get("o", "")))


class Queue:
    """Queues messages within others' transactions."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.seals = Seals(house.keys)

    async def enqueue_work(
        self,
        kept: Queueable,
        sender: Address | None,
        recipients: Sequence[Beyond],
        wishes: Wishes,
        *,
        account: AccountId = POST,
        queue_id: int | None = None,
        skipped_octets: int = 0,
    ) -> Work:
        """What puts a message into the queue, for a transaction that also holds its body's row.

        `sender`: None for the null one; `account`: whose it is, `POST` for nobody's here; `queue_id`: the body's number
        where none is given, else one of `house.body_numbers`, as where the same body is queued twice;
        `skipped_octets`: of the stored body, not to be sent. Ring `house.bell` after the commit. Raises Refusal.
        """
        house, number = self._house, int(kept.body) if queue_id is None else queue_id
        now, settings = house.clock.now(), house.settings.queue
        expires_at = now + settings.lifetime
        deadline_at = min(now + settings.delay_notice, expires_at)
        if wishes.by_s is not None:
            by_at = now + wishes.by_s
            deadline_at = min(deadline_at, by_at)
            if wishes.by is By.RETURN:
                expires_at = min(expires_at, by_at)
        wrap = await wrap_for(house, kept, POST, int(settings.lifetime) + SLACK_S, now)
        message = QueuedMessage(
            number,
            kept.body,
            account,
            wrap.period,
            wrap.wrapped,
            kept.size_octets,
            int(expires_at),
            int(deadline_at),
            self.seals.seal_envelope(number, Envelope(sender, wishes, skipped_octets)),
        )
        due_at = first_due(now, wishes.priority)
        rows = [
            QueuedRecipient(*self.seals.domain(each.domain), due_at, self.seals.seal_recipient(number, k, each))
            for k, each in enumerate(recipients, 1)
        ]
        patients = self._patients(recipients) if account != POST else []
        events = [_event(account, number, each.address) for each in recipients]

        def work(tx: Transaction) -> None:
            if not messages.period_is_open(tx, wrap.period):
                raise Refusal(Reason.UNAVAILABLE, f"period {wrap.period} is closed")
            queue.queue(tx, message, rows)
            for digest in patients:
                correspondence.wrote(tx, digest, account)
            for event in events:
                tx.trail(event)

        _queued.inc(len(rows))
        return work

    def _patients(self, recipients: Sequence[Beyond]) -> list[bytes]:
        domain = self._house.settings.patients.domain
        return [patient_digest(self._house.keys, each.address) for each in recipients if each.domain == domain]


def patient_digest(keys: KeyRing, patient: Address) -> bytes:
    """By which `correspondence` knows a patient."""
    return keys.digest("patient", patient.key.encode())


def with_time_left(wishes: Wishes, created_at: float, now: float) -> Wishes:
    """The sender's wishes as they are to be passed on: of DELIVERBY's seconds some have gone (RFC 2852 §4.1.4)."""
    return wishes if wishes.by_s is None else replace(wishes, by_s=int(created_at + wishes.by_s - now))


def _event(account: AccountId, queue_id: int, address: Address) -> Event:
    details: dict[str, Value] = {"id": f"{queue_id:x}"}
    return Event(Kind.QUEUED, int(account), str(address), details=details)
