"""Taking a message in: scanned and sealed as its octets come, in bounded memory.

At most one chunk of plain text and `HELD_OCTETS` of sealed text are in memory; what is more goes to the body store's
`incoming` as it comes, sealed. Nothing is on disk in clear, ever.
"""

import asyncio
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.base.refusal import Reason, Refusal
from mssmail.crypto.body import BodySealer, new_key, seal_record
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.crypto.kms.interface import KeyProviderError
from mssmail.flow.fresh import FreshMessage
from mssmail.flow.house import House
from mssmail.metrics.registry import counter
from mssmail.mime import record as records
from mssmail.mime import text as texts
from mssmail.mime.node import Node
from mssmail.mime.record import Record
from mssmail.mime.scan import Scanner
from mssmail.policy.retention import period_of
from mssmail.store.bodies import Upload

T = TypeVar("T")

HELD_OCTETS = 1 << 20
"""Sealed octets kept in memory before they are written to `incoming`."""

_kept = counter("mssmail_messages_sealed_total", "Messages sealed.")


@dataclass(frozen=True, slots=True)
class Kept:
    """A sealed message, durable but for what the database will hold."""

    body: BodyId
    key: bytes
    size_octets: int
    lengths: bytes
    data: bytes | None
    """The sealed chunks end to end; None where the body store has them."""
    record: bytes
    fresh: FreshMessage | None
    """What is searched of it, for `house.fresh` once its rows are committed; None where it has more than one chunk."""


async def off_loop(house: House, work: Callable[[], T]) -> T:
    """Do blocking work of the key store, the disk or large sealing in its executor."""
    return await asyncio.get_running_loop().run_in_executor(house.crypto_work, work)


class Keeper:
    """One message on its way in. `finish` or `abort` it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.body = house.body_numbers.take()
        self._key = new_key()
        self._sealer = BodySealer(self._key, self.body)
        self._scanner = Scanner()
        self._lengths = array("I")
        self._held: list[bytes] = []
        self._held_octets = 0
        self._upload: Upload | None = None
        self.root: Node | None = None
        """The message's structure, once it is whole."""

    @property
    def size_octets(self) -> int:
        return self._sealer.size_octets

    def write(self, data: bytes) -> None:
        """Take octets; call `flush` afterwards where `is_full`."""
        self._scanner.feed(data)
        for sealed in self._sealer.write(data):
            self._hold(sealed)

    def _hold(self, sealed: bytes) -> None:
        self._lengths.append(len(sealed))
        self._held.append(sealed)
        self._held_octets += len(sealed)

    @property
    def is_full(self) -> bool:
        return self._held_octets >= HELD_OCTETS

    async def flush(self) -> None:
        """Write what is held to the body store. Raises Refusal(STORAGE_FULL, UNAVAILABLE)."""
        held, self._held, self._held_octets = self._held, [], 0

        def work() -> None:
            if self._upload is None:
                self._upload = self._house.bodies.begin()
            for sealed in held:
                self._upload.write(sealed)

        await off_loop(self._house, work)

    async def finish(self) -> Kept:
        """Seal the rest and the record; a large body is durable in the body store on return. Raises Refusal."""
        node = self.root = self._scanner.finish()
        record = records.build(node)
        fresh = self._fresh(node, record)
        self._hold(self._sealer.finish())
        sealed_record = seal_record(self._key, self.body, record.octets)
        data: bytes | None = None
        if self._upload is None and self._held_octets <= self._house.settings.store.inline_max:
            data = b"".join(self._held)
        else:
            await self.flush()
            upload = self._upload
            assert upload is not None
            await off_loop(self._house, lambda: upload.commit(self.body))
            self._upload = None
        if sys.byteorder != "little":
            self._lengths.byteswap()
        _kept.inc()
        lengths = self._lengths.tobytes()
        return Kept(self.body, self._key, self._sealer.size_octets, lengths, data, sealed_record, fresh)

    def _fresh(self, node: Node, record: Record) -> FreshMessage | None:
        octets = self._sealer.unsealed
        if octets is None or record.header is None:
            return None
        pieces = [(piece, octets[piece.start : piece.end]) for piece in texts.pieces_of(node)]
        return FreshMessage(self.body, self._key, record, pieces)

    async def abort(self) -> None:
        """Forget the message."""
        self._held.clear()
        if self._upload is not None:
            upload, self._upload = self._upload, None
            await off_loop(self._house, upload.abort)


@dataclass(frozen=True, slots=True)
class Wrap:
    """A body's key, wrapped for an account in a period."""

    account: AccountId
    period: Period
    wrapped: bytes


class Keyed(Protocol):
    """A body and its key."""

    @property
    def body(self) -> BodyId: ...
    @property
    def key(self) -> bytes: ...


async def wrap_for(house: House, kept: Keyed, account: AccountId, term_s: int | None, arrived_at: float) -> Wrap:
    """Wrap a body's key for an account; the period's key is on disk before this returns. Raises Refusal."""
    retention = house.settings.retention
    period = period_of(arrived_at, retention.default if term_s is None else term_s, retention.period)

    def work() -> Wrap:
        try:
            return Wrap(account, period, house.keys.wrap(account, kept.body, period, kept.key))
        except (KeyDestroyed, KeyProviderError) as error:
            raise Refusal(Reason.UNAVAILABLE, f"account {account}, period {period}: {type(error).__name__}") from error

    return work() if house.keys.ready(account, period) else await off_loop(house, work)
