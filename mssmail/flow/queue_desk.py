"""The queue as administrators see it, and what they may do: never a message's content, each act in the trail.

Shown are sender, recipients, and of each attempt the peer, its TLS and its answer: what a sender may be told who asks
where a message is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.house import House
from mssmail.flow.outcome import NOT_TRIED, Tried, open_tried
from mssmail.flow.queue import Seals
from mssmail.store import queue_view
from mssmail.store.interface import Row, Transaction
from mssmail.store.queue_domains import IDLE
from mssmail.store.queue_state import State

MAX_SHOWN: Final = 10_000
UNREADABLE: Final = "(unreadable)"
"""Stands for what a row that was altered would say: the others are shown, and it can be dropped."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt for a recipient."""

    attempt: int
    at: int
    cause: str
    tried: Tried


@dataclass(frozen=True, slots=True)
class ShownRecipient:
    number: int
    address: str
    state: str
    attempts: int
    due_at: int | None
    """Of the next attempt; None where there is none."""
    changed_at: int
    cause: str
    trace: tuple[Attempted, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownMessage:
    ident: str
    account: int
    """Who sent it; 0: another operator's or the server's own."""
    sender: str
    """Empty: the null sender."""
    size_octets: int
    created_at: int
    expires_at: int
    ended_at: int | None
    recipients: tuple[ShownRecipient, ...]


@dataclass(frozen=True, slots=True)
class ShownDomain:
    name: str
    counts: Mapping[str, int]
    """Recipients that aren't at their end, by state."""
    next_at: int | None
    failures: int
    """Connections in a row that came to nothing."""
    retry_at: int | None
    cause: str
    paused: bool


class QueueDesk:
    """The use-cases behind `mssmail queue`."""

    def __init__(self, house: House, administrator: str) -> None:
        """`administrator`: who does it, for the trail."""
        self._house = house
        self._administrator = administrator
        self._seals = Seals(house.keys)

    # --- seeing ---

    async def waiting(self, domain: str | None = None, count: int = 100) -> list[ShownMessage]:
        """Messages with their recipients that aren't at their end, the oldest first; so many recipients at most."""
        digest = None if domain is None else self._seals.domain(domain.lower())[0]
        rows = await self._house.read.run(lambda tx: queue_view.waiting(tx, digest, min(count, MAX_SHOWN)))
        messages: dict[int, list[Row]] = {}
        for row in rows:
            messages.setdefault(row[0], []).append(row)
        return [
            self._message(found[0][:7], [self._recipient(queue_id, row[7:]) for row in found])
            for queue_id, found in messages.items()
        ]

    async def show(self, ident: str) -> ShownMessage | None:
        """A message with all its recipients and attempts, for as long as its trace is kept."""
        queue_id = _number(ident)
        found = await self._house.read.run(lambda tx: queue_view.message(tx, queue_id))
        if found is None:
            return None
        row, recipients, attempts = found
        traces: dict[int, list[Attempted]] = {}
        for number, attempt, at, cause, _, sealed in attempts:
            try:
                tried = open_tried(self._house.keys, queue_id, number, sealed)
            except Unsealable:
                tried = NOT_TRIED
            traces.setdefault(number, []).append(Attempted(attempt, at, cause, tried))
        shown = [self._recipient(queue_id, each, tuple(traces.get(each[0], ()))) for each in recipients]
        return self._message(row, shown)

    async def domains(self) -> list[ShownDomain]:
        """Every domain that mail went to, those with something due first."""
        rows, states = await self._house.read.run(queue_view.domains)
        counts: dict[bytes, dict[str, int]] = {}
        for digest, state, count, _ in states:
            counts.setdefault(digest, {})[State(state).name.lower()] = count
        return [
            ShownDomain(
                self._domain(digest, sealed),
                counts.get(digest, {}),
                None if next_at >= IDLE else next_at,
                failures,
                retry_at or None,
                cause or "",
                bool(paused),
            )
            for digest, sealed, next_at, retry_at, failures, paused, cause in rows
        ]

    def _domain(self, digest: bytes, sealed: bytes) -> str:
        try:
            return self._seals.open_domain(digest, sealed)
        except Unsealable:
            return UNREADABLE

    def _message(self, row: Row, recipients: list[ShownRecipient]) -> ShownMessage:
        queue_id, account, size, created, expires, ended, sealed = row
        try:
            sender = self._seals.envelope(queue_id, sealed).sender
            shown = "" if sender is None else str(sender)
        except Unsealable:
            shown = UNREADABLE
        return ShownMessage(f"{queue_id:x}", account, shown, size, created, expires, ended, tuple(recipients))

    def _recipient(self, queue_id: int, row: Row, trace: tuple[Attempted, ...] = ()) -> ShownRecipient:
        number, sealed, state, attempts, due_at, changed_at, cause = row
        try:
            address = str(self._seals.recipient(queue_id, number, sealed).address)
        except Unsealable:
            address = UNREADABLE
        due = due_at if state == State.WAITING else None
        return ShownRecipient(number, address, State(state).name.lower(), attempts, due, changed_at, cause or "", trace)

    # --- changing ---

    async def retry(self, ident: str | None = None, domain: str | None = None) -> int:
        """Let what waits be tried at once: a message, a domain's, or all; how many recipients."""
        return await self._move("retry", State.WAITING, State.WAITING, ident, domain)

    async def hold(self, ident: str) -> int:
        """Let a message wait until it is released; its lifetime goes on."""
        return await self._move("hold", State.WAITING, State.HELD, ident)

    async def release(self, ident: str) -> int:
        return await self._move("release", State.HELD, State.WAITING, ident)

    async def drop(self, ident: str) -> int:
        """Give a message up, with nobody told; how many recipients it was not yet given to or tried for just now."""
        return await self._move("drop", State.WAITING, State.DROPPED, ident, also=State.HELD)

    async def _move(
        self,
        act: str,
        before: State,
        after: State,
        ident: str | None,
        domain: str | None = None,
        also: State | None = None,
    ) -> int:
        queue_id = None if ident is None else _number(ident)
        digest = None if domain is None else self._seals.domain(domain.lower())[0]
        details: dict[str, Value] = {"administrator": self._administrator, "act": act}
        if ident is not None:
            details["id"] = ident
        if domain is not None:
            details["domain"] = domain.lower()

        def work(tx: Transaction) -> int:
            count = 0
            for state in (before, *(() if also is None else (also,))):
                count += queue_view.move(tx, state, after, queue_id=queue_id, digest=digest)
            if count:
                tx.trail(Event(Kind.QUEUE_CHANGED, details=details | {"recipients": count}))
            return count

        return await self._house.write.run(work)

    async def pause(self, domain: str) -> None:
        """Let nothing more be given to a domain; what is under way ends."""
        await self._set_paused(domain.lower(), Kind.DOMAIN_PAUSED, 1)

    async def resume(self, domain: str) -> None:
        await self._set_paused(domain.lower(), Kind.DOMAIN_RESUMED, 0)

    async def _set_paused(self, domain: str, kind: Kind, paused: int) -> None:
        digest, sealed = self._seals.domain(domain)
        details: dict[str, Value] = {"administrator": self._administrator, "domain": domain}

        def work(tx: Transaction) -> None:
            queue_view.set_paused(tx, digest, sealed, paused)
            tx.trail(Event(kind, details=details))

        await self._house.write.run(work)


def _number(ident: str) -> int:
    """A queue id's number; 0, which none has, for what is none."""
    try:
        number = int(ident, 16)
    except ValueError:
        return 0
    return number if 0 < number < 1 << 63 else 0
