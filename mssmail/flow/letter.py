"""A queued message in hand: its envelope opened, and its body as it is given to another operator.

Knows how rows of the queue are opened; a body is opened chunk by chunk, each time it is asked for.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from mssmail.base.address import Address
from mssmail.base.ids import POST
from mssmail.base.principal import Beyond
from mssmail.base.relay import Errand
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.flow.queue import Envelope, Seals, with_time_left
from mssmail.flow.read import BodyGone, Sealed, offsets_of, stream
from mssmail.store.queue import QueuedBody
from mssmail.store.queue_lease import Leased

_HEADER_OCTETS: Final = 64 * 1024
"""Of a header, what is looked at for a report, which shows a few fields of it."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """One recipient in hand."""

    number: int
    beyond: Beyond
    attempts: int
    """So far."""

    @property
    def address(self) -> Address:
        return self.beyond.address


class Letter:
    """A message to recipients of one domain, leased."""

    def __init__(self, house: House, seals: Seals, leased: Leased) -> None:
        """Raises Unsealable where the message's row was altered or moved."""
        self._house = house
        self.leased = leased
        self.envelope: Envelope = seals.envelope(leased.queue_id, leased.sealed)
        addressees: list[Addressee] = []
        self.unreadable: list[tuple[int, int]] = []
        """Recipients whose row was altered or moved: number, attempts so far."""
        for number, sealed, attempts in leased.recipients:
            try:
                beyond = seals.recipient(leased.queue_id, number, sealed)
            except Unsealable:
                self.unreadable.append((number, attempts))
            else:
                addressees.append(Addressee(number, beyond, attempts))
        self.addressees: Sequence[Addressee] = addressees
        self.text = Text(house, leased.body, self.envelope.skipped_octets)

    def part(self, with_: Sequence[Addressee]) -> Sequence[Addressee]:
        """Take these out: they aren't given the message."""
        if with_:
            self.addressees = [each for each in self.addressees if each not in with_]
        return with_

    @property
    def ident(self) -> str:
        return f"{self.leased.queue_id:x}"

    def errand(self, now: float) -> Errand:
        envelope, leased = self.envelope, self.leased
        return Errand(
            envelope.sender,
            [(each.beyond.address, each.beyond.wishes) for each in self.addressees],
            with_time_left(envelope.wishes, leased.created_at, now),
            self.text.size_octets,
        )


class Text:
    """A queued message's octets, without those that stay here."""

    def __init__(self, house: House, body: QueuedBody, skipped_octets: int) -> None:
        self._house = house
        self._body = body
        self._skipped = skipped_octets
        self._sealed: Sealed | None = None

    @property
    def size_octets(self) -> int:
        return self._body.size_octets - self._skipped

    async def open(self) -> None:
        """Get its key. Raises BodyGone where the message was erased, Unsealable."""
        body, keys = self._body, self._house.keys
        if body.wrapped is None:
            raise BodyGone
        wrapped = body.wrapped

        def unwrap() -> bytes:
            return keys.unwrap(POST, body.body_id, body.period, wrapped)

        try:
            key = unwrap() if keys.ready(POST, body.period) else await off_loop(self._house, unwrap)
        except KeyDestroyed as gone:
            raise BodyGone from gone
        self._sealed = Sealed(body.body_id, key, body.inline, offsets_of(body.lengths))

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of it, from the start. `open` it before. Raises BodyGone, Unsealable, Refusal."""
        assert self._sealed is not None
        async for octets in stream(self._house, self._sealed, self._skipped, self._body.size_octets):
            yield octets

    async def header(self) -> bytes:
        """Its header, or the beginning of it; nothing where it can't be opened any more."""
        try:
            await self.open()
            async for octets in self.chunks():
                end = octets.find(b"\r\n\r\n")
                return octets[: min(_HEADER_OCTETS, end + 2 if end >= 0 else _HEADER_OCTETS)]
        except (BodyGone, Unsealable):
            pass
        return b""
