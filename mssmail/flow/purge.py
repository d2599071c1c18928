"""Erasing mail at its term, period by period, in an order that can stop anywhere and go on.

1. The period is closed, in a transaction: from then on nothing is wrapped under it (each wrap checks that in its own).
2. In batches, its messages' rows go, with their vanished and trail rows, quota and counters; then what wraps are left.
3. Once no wrap remains, the period's key is destroyed in the key store, which is synced.
4. Bodies that nothing holds are removed; "erased" is written to the trail.
Each step starts from the period's state, so a killed purge goes on where it was. A wrong clock or a mistyped term must
not erase a hospital: guards stop with an alarm.
"""

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass

import structlog

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import AccountId, BodyId, FolderId, Period
from mssmail.base.refusal import Reason, Refusal
from mssmail.crypto.keystore import KeyKind
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.metrics.registry import counter, gauge
from mssmail.store import accounts, leases, messages, periods, replays, vanished
from mssmail.store.bodies import SPARED_S
from mssmail.store.interface import Transaction
from mssmail.store.leases import Lease
from mssmail.store.messages import ranges_of

LEASE = "purge"
LEASE_TERM_S = 30
BATCH = 500
CLOCK_JUMP_S = 25 * 3600
GUARD_MESSAGES = 10_000
GUARD_SHARE = 0.05
MAX_VANISHED = 10_000
"""Rows of a folder's log of expunged UIDs: half a megabyte. Open views lag by seconds, never by so many expunges."""
LAST_RUN = "purge last run"
"""The key store's note of when the guards last let a run pass (whole seconds)."""

_erased = counter("mssmail_messages_erased_total", "Messages erased at their term.")
_refused = gauge("mssmail_purge_stopped", "1 while the purge is stopped by a guard.")
_log = structlog.get_logger("mssmail.purge")


@dataclass(frozen=True, slots=True)
class Purged:
    """What a run did."""

    messages: int
    periods: int
    bodies: int


class PurgeStopped(Exception):
    """A guard stopped the purge; the text says which and what to do."""


class Purge:
    """The purge of one process. `announce` makes each change known to workers that share no memory with this one."""

    def __init__(self, house: House, *, announce: bool) -> None:
        self._house = house
        self._announce = announce
        self._holder = f"{os.getpid()}.{id(self):x}"

    async def run(self, *, wait_s: float = 0.0, allow_shrink: bool = False) -> Purged | None:
        """Purge what is due under the lease; None where another held it for all of `wait_s`.

        Raises PurgeStopped, Refusal.
        """
        lease = await self._lease(wait_s)
        if lease is None:
            return None
        try:
            return await self._run(lease, allow_shrink=allow_shrink)
        finally:
            await self._house.write.run(lambda tx: leases.drop(tx, lease))

    async def _lease(self, wait_s: float) -> Lease | None:
        until = self._house.clock.monotonic() + wait_s
        while True:
            lease = await self._house.write.run(lambda tx: leases.take(tx, LEASE, self._holder, LEASE_TERM_S))
            if lease is not None or self._house.clock.monotonic() >= until:
                return lease
            await asyncio.sleep(0.1)

    async def _run(self, lease: Lease, *, allow_shrink: bool) -> Purged:
        await self._guard(allow_shrink=allow_shrink)
        count = done = 0
        ended = await self._house.read.run(lambda tx: periods.ended(tx, int(tx.now)))
        for period, state in ended:
            count += await self._erase(lease, period, state)
            done += 1
        bodies = await self.collect(lease)
        await self._trim(lease)
        self._house.keys.forget_ended()
        await self._house.write.run(lambda tx: replays.expire(tx))
        return Purged(count, done, bodies)

    async def _guard(self, *, allow_shrink: bool) -> None:
        """Stop where the clock jumped since the last run, or where an unlikely share of the mail is newly due."""
        now = int(self._house.clock.now())
        note = await off_loop(self._house, lambda: self._house.keys.store.note(LAST_RUN))
        last = now if note is None else int(note)
        due, every = await self._house.read.run(lambda tx: periods.count_due(tx, int(tx.now)))
        trouble = None
        if now - last > CLOCK_JUMP_S and due:
            trouble = f"the clock is {(now - last) / 3600:.0f} h after the last run"
        elif every >= GUARD_MESSAGES and due > every * GUARD_SHARE:
            trouble = f"{due} of {every} messages are due at once"
        if trouble is not None and not allow_shrink:
            _refused.set(1)
            event = Event(
                Kind.PURGE_REFUSED, outcome="stopped", details={"cause": trouble, "due": due, "messages": every}
            )
            await self._house.write.run(lambda tx: tx.trail(event))
            _log.error("purge stopped", cause=trouble)
            raise PurgeStopped(
                f"{trouble}: check the clock and the retention settings, "
                "then run `mssmail retention run --allow-shrink`"
            )
        _refused.set(0)
        await off_loop(self._house, lambda: self._house.keys.store.put_note(LAST_RUN, str(now).encode()))

    async def _erase(self, lease: Lease, period: Period, state: str) -> int:
        """Take one period from where it stands to its end; how many messages went."""
        house, count = self._house, 0
        if state == "open":

            def close(tx: Transaction) -> None:
                leases.hold(tx, lease)
                if periods.close(tx, period, int(tx.now)):
                    tx.trail(Event(Kind.PERIOD_CLOSED, details={"period": int(period)}))

            await house.write.run(close)
            state = "closed"
        if state == "closed":
            while batch := await house.write.run(lambda tx: self._batch(tx, lease, period)):
                count += batch
                _erased.inc(batch)
            while await house.write.run(lambda tx: self._drop_wraps(tx, lease, period)):
                pass
            await house.write.run(lambda tx: periods.advance(tx, period, "emptied", None))
            state = "emptied"
        if state == "emptied":
            await off_loop(house, lambda: house.keys.store.destroy(KeyKind.PERIOD, period))

            def gone(tx: Transaction) -> None:
                leases.hold(tx, lease)
                total = periods.erased(tx, period, 0)
                periods.advance(tx, period, "gone", int(tx.now))
                details = {"period": int(period), "messages": total}
                tx.trail(Event(Kind.PERIOD_KEY_DESTROYED, details=details))

            await house.write.run(gone)
        return count

    def _batch(self, tx: Transaction, lease: Lease, period: Period) -> int:
        """Erase some of a period's messages: one trail event for each folder."""
        leases.hold(tx, lease)
        doomed = periods.doomed(tx, period, BATCH)
        by_folder: dict[tuple[FolderId, AccountId], list[int]] = defaultdict(list)
        for each in doomed:
            by_folder[each.folder_id, each.account_id].append(each.uid)
        for (folder, account), uids in by_folder.items():
            ranges = ranges_of(sorted(uids))
            modseq = accounts.change(tx, account)
            gone = messages.choose(tx, folder, ranges)
            messages.remove(tx, folder, account, gone, modseq, grace_s=0)
            accounts.release(tx, account, gone.octets)
            details: dict[str, Value] = {
                "folder": int(folder),
                "uids": [list(r) for r in ranges],
                "period": int(period),
                "count": gone.count,
            }
            tx.trail(Event(Kind.ERASED, account, details=details))
            if self._announce:
                replays.notify(tx, account, "mail")
        periods.erased(tx, period, len(doomed))
        return len(doomed)

    def _drop_wraps(self, tx: Transaction, lease: Lease, period: Period) -> int:
        leases.hold(tx, lease)
        return periods.drop_wraps(tx, period, BATCH)

    async def _trim(self, lease: Lease) -> None:
        """Cut the logs of expunged UIDs that have grown long; a view that lags behind compares all UIDs instead."""
        house = self._house
        for folder in await house.read.run(lambda tx: vanished.long(tx, MAX_VANISHED)):

            def work(tx: Transaction, folder: FolderId = folder) -> None:
                leases.hold(tx, lease)
                vanished.trim(tx, folder, MAX_VANISHED)

            await house.write.run(work)

    async def collect(self, lease: Lease) -> int:
        """Remove bodies that nothing holds any more; how many files and rows went."""
        house, count = self._house, 0
        while True:

            def work(tx: Transaction) -> tuple[int, list[BodyId]]:
                leases.hold(tx, lease)
                due = periods.due_bodies(tx, int(tx.now), BATCH)
                return len(due), periods.collect(tx, due)

            looked, files = await house.write.run(work)
            for body in files:
                await off_loop(house, lambda b=body: house.bodies.remove(b))  # type: ignore[misc]
            if files:
                await house.write.run(lambda tx, f=files: periods.collected(tx, f))  # type: ignore[misc]
            count += looked
            if looked < BATCH:
                return count

    async def sweep(self) -> int:
        """Remove files whose body has no row: submissions that never committed, spared for an hour."""
        house, count = self._house, 0
        before = house.clock.now() - SPARED_S
        found = await off_loop(house, lambda: list(house.bodies.sweep(before)))
        for body in found:
            if not await house.read.run(lambda tx, b=body: periods.body_known(tx, b)):  # type: ignore[misc]
                await off_loop(house, lambda b=body: house.bodies.remove(b))  # type: ignore[misc]
                count += 1
        return count


async def preview(house: House, within_s: int) -> list[tuple[Period, int, int]]:
    """What would go within so many seconds: each period's end, its messages and octets."""
    return await house.read.run(lambda tx: periods.upcoming(tx, int(tx.now) + within_s))


async def set_term(house: House, account: AccountId, term_s: int | None, by: str) -> None:
    """Give an account's coming mail a term of its own. Raises Refusal(ACCOUNT_MISSING, TERM)."""
    most = house.settings.retention.maximum
    if term_s is not None and not 1 <= term_s <= most:
        raise Refusal(Reason.TERM, f"between 1 s and {most} s")

    def work(tx: Transaction) -> None:
        accounts.by_id(tx, account)
        accounts.set_term(tx, account, term_s)
        tx.trail(Event(Kind.RETENTION_SET, account, details={"term_s": term_s, "by": by}))

    await house.write.run(work)
