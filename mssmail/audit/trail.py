"""The chain step that lanes take in the transaction of the acts themselves, and the signed checkpoints.

An event's sealed octets carry (with the clear columns as associated data) what it says. Its hash is
SHA-256(previous hash, clear columns, subject digest, sealed octets): anyone can follow the chain without a key, and
nobody without the trail's keys can write an event that opens. Each life of a lane has a chain of its own, numbered
without gaps. A checkpoint signs (Ed25519) the head and count of every chain that moved since the one before, whose
hash it holds; the last one's number is also noted in the key store, apart from the database.
"""

import hashlib
import json
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mssmail.audit.events import Event
from mssmail.base.ids import ChainId
from mssmail.crypto.body import subkey
from mssmail.crypto.envelope import Unsealable, seal, unseal
from mssmail.crypto.format import LABEL_TRAIL, event_aad
from mssmail.crypto.keys import KeyRing
from mssmail.crypto.keystore import KeyKind
from mssmail.store import trail as rows
from mssmail.store.interface import Transaction
from mssmail.store.trail import CheckpointRow, EventRow

DAY_MS = 86_400_000
_CLEAR = struct.Struct(">QQQHQ")
_NOTE = "trail checkpoint"
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def first_head(chain_label: bytes = b"mssmail trail 1") -> bytes:
    """The head of a chain that has no event yet."""
    return hashlib.sha256(chain_label).digest()


def event_hash(previous: bytes, row: EventRow) -> bytes:
    """An event's hash, from what lies on disk alone. Raises Unsealable where a column holds what none of ours does."""
    clear = row.chain_id, row.sequence, row.at_ms, row.kind, row.account_id
    try:
        return _hash(previous, clear, row.subject, row.sealed)
    except (struct.error, TypeError, ValueError) as alien:
        raise Unsealable from alien


def _hash(previous: bytes, clear: tuple[int, int, int, int, int], subject: bytes | None, sealed: bytes) -> bytes:
    subject = subject or b""
    return hashlib.sha256(previous + _CLEAR.pack(*clear) + bytes([len(subject)]) + subject + sealed).digest()


def checkpoint_hash(row: CheckpointRow) -> bytes:
    return hashlib.sha256(row.statement + row.signature).digest()


def encode(event: Event) -> bytes:
    """What is sealed: compact JSON."""
    content: dict[str, object] = {"o": event.outcome}
    if event.subject is not None:
        content["s"] = event.subject
    if event.details:
        content["d"] = dict(event.details)
    return _to_json(content).encode()


class TrailKeys:
    """The trail's own keys: one a day, so that what is cut at its term can't be opened from a copy either."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._days: dict[int, bytes] = {}

    def of(self, at_ms: int) -> bytes:
        """Raises KeyDestroyed where that day's events are past their term."""
        day = at_ms // DAY_MS
        key = self._days.get(day)
        if key is None:
            key = subkey(self._ring.store.obtain(KeyKind.TRAIL, day), LABEL_TRAIL)
            if len(self._days) > 400:
                self._days.clear()
            self._days[day] = key
        return key

    def destroy_before(self, day: int) -> None:
        """Destroy the keys of all days before this one."""
        for old in self._ring.store.live(KeyKind.TRAIL, before=day):
            self._days.pop(old, None)
            self._ring.store.destroy(KeyKind.TRAIL, old)

    def digest(self, subject: str) -> bytes:
        return self._ring.digest("trail", subject.lower().encode())

    def signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._ring.store.obtain(KeyKind.SIGNING, 0))

    def public(self) -> Ed25519PublicKey:
        return self.signer().public_key()

    def public_octets(self) -> bytes:
        """The raw 32 octets that verify the checkpoints."""
        return self.public().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def open(self, row: EventRow) -> dict[str, object]:
        """What an event says. Raises Unsealable, KeyDestroyed."""
        try:
            aad = event_aad(row.chain_id, row.sequence, row.at_ms, row.kind, row.account_id)
        except struct.error as alien:
            raise Unsealable from alien
        content: dict[str, object] = json.loads(unseal(self.of(row.at_ms), row.sealed, aad))
        return content

    def noted_checkpoint(self) -> tuple[int, bytes] | None:
        """Number and hash of the last checkpoint, as the key store remembers it."""
        note = self._ring.store.note(_NOTE)
        return None if note is None else (int.from_bytes(note[:8], "big"), note[8:])

    def note_checkpoint(self, row: CheckpointRow) -> None:
        self._ring.store.put_note(_NOTE, row.number.to_bytes(8, "big") + checkpoint_hash(row))


class LaneChain:
    """The chain of one life of one lane.

    A worker's is registered before its lane runs, since bodies are numbered by it. A command's may be None: it is
    registered with its first event, so that commands that only read leave no trace of their own.
    """

    def __init__(self, keys: TrailKeys, chain: ChainId | None, slot: int = -1) -> None:
        self._keys = keys
        self._slot = slot
        self._chain = chain

    @property
    def chain_id(self) -> ChainId | None:
        return self._chain

    def append(self, tx: Transaction, events: Sequence[object], batch: int) -> None:
        """Seal, hash and insert `events` (of type Event) in order, and write the chain's head once."""
        if not events:
            if self._chain is not None:
                rows.set_batch(tx, self._chain, batch)
            return
        known = None if self._chain is None else rows.head(tx, self._chain)
        if self._chain is None or known is None:  # new, or its registration was rolled back
            self._chain = rows.register(tx, self._slot, first_head())
            known = (0, first_head())
        chain, (count, head) = self._chain, known
        at_ms = int(tx.now * 1000)
        key = self._keys.of(at_ms)
        out: list[EventRow] = []
        for event in events:
            assert isinstance(event, Event)
            count += 1
            aad = event_aad(chain, count, at_ms, event.kind, event.account)
            sealed = seal(key, encode(event), aad)
            subject = None if event.subject is None else self._keys.digest(event.subject)
            head = _hash(head, (chain, count, at_ms, event.kind, event.account), subject, sealed)
            out.append(EventRow(chain, count, at_ms, event.kind, event.account, subject, sealed, head))
        rows.add(tx, out)
        rows.set_head(tx, chain, count, head, batch)


def checkpoint(tx: Transaction, keys: TrailKeys) -> CheckpointRow | None:
    """Sign the heads of all chains that moved since the last checkpoint; None where none did.

    The caller notes it with `note_checkpoint` once the transaction is committed.
    """
    moved = rows.untied(tx)
    if not moved:
        return None
    last = rows.last_checkpoint(tx)
    number = 1 if last is None else last.number + 1
    statement = json.dumps(
        {
            "v": 1,
            "number": number,
            "at_ms": int(tx.now * 1000),
            "previous": "" if last is None else checkpoint_hash(last).hex(),
            "chains": [[c.chain_id, c.count, c.head.hex(), c.cut, c.cut_head.hex()] for c in moved],
        },
        separators=(",", ":"),
    ).encode()
    row = CheckpointRow(number, int(tx.now * 1000), statement, keys.signer().sign(statement))
    rows.add_checkpoint(tx, row)
    rows.tie(tx, moved)
    return row
