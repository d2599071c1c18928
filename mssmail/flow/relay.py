"""Mail on its way to other operators: leased, carried, and its outcome written, by every worker at once.

Knows when what is due is tried, by how many at a time, and what follows from how it ended; neither SMTP nor DNS
(`courier`), nor how a sender is told (`bounce`). A carrier is a task that takes one message after another to a domain:
it settles one and leases the next in the same transaction.

Invariants:
- what is under way is leased; a worker that is killed loses its leases to the others, or to its next life;
- an outcome, its trail and what the sender is told of it are one transaction;
- as many bodies are open as carriers are at work, each a chunk at a time;
- a domain whose server fails is probed by one message, after a pause that grows, whatever waits for it.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

from mssmail.base.address import Address
from mssmail.base.refusal import Refusal
from mssmail.base.relay import Attempt, Cause, Outcome
from mssmail.crypto.envelope import Unsealable
from mssmail.flow.bounce import Bounces
from mssmail.flow.courier import Courier
from mssmail.flow.house import House
from mssmail.flow.letter import Letter
from mssmail.flow.outcome import INTERRUPTED, Ended, Outcomes
from mssmail.flow.queue import Seals
from mssmail.flow.queue_term import Terms
from mssmail.flow.read import BodyGone
from mssmail.flow.throttle import Throttle, share
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import counter, gauge
from mssmail.store import queue_domains, queue_lease
from mssmail.store.interface import Transaction
from mssmail.store.queue_domains import DueDomain
from mssmail.store.queue_lease import Leased

LEASE_S: Final = 90
AGAIN_S: Final = 1.0
"""After which it is begun again, should it ever end."""
RENEW_S: Final = 20.0
LONGEST_NAP_S: Final = 2.0
"""Between two looks at the queue: what other workers took back or let go is found then."""
TURNS_OF_A_CARRIER: Final = 50
"""Messages after which a carrier makes room for other domains."""
DOMAINS_AT_ONCE: Final = 200
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0
"""Between attempts to write an outcome that the store can't take."""
LAST_STEP_S: Final = 2.0
"""How long a server that stops waits for replies to messages that were sent whole."""

_lost = counter("mssmail_relay_leases_lost_total", "Errands whose lease was lost before they ended.")
_taken_back = counter("mssmail_relay_leases_lapsed_total", "Leases taken back from workers that were gone.")
_busy = gauge("mssmail_relay_busy", "Errands under way.")
_log = get_logger("flow.relay")


class Relay:
    """One worker's part. `run` it as a task; `close` it before store and courier."""

    def __init__(
        self,
        house: House,
        courier: Courier,
        bounces: Bounces,
        has_left: Callable[[Address], bool],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`has_left`: whether a recipient was struck off since the gate let them in; `chance`: 0 to 1."""
        self._house = house
        self._courier = courier
        self._has_left = has_left
        self._seals = Seals(house.keys)
        self._outcomes = Outcomes(house, bounces, chance)
        self.terms = Terms(house, self._seals, bounces)
        """Notices, lifetimes and traces: another task's."""
        self._throttles: dict[bytes, Throttle] = {}
        self.carriers: set[asyncio.Task[None]] = set()
        """The tasks that carry now."""
        self._held: dict[int, Leased] = {}
        """What this worker has leased, by fence."""
        self._renewed_at = house.clock.monotonic()
        self._closing = False

    async def begin(self, *, last: bool) -> None:
        """Take back what an earlier life of this worker had in hand; `last`: and workers that there are no more."""
        low = self._house.slot
        high = (1 << 31) if last else low
        freed = await self._house.write.run(lambda tx: queue_lease.free(tx, low, high, INTERRUPTED))
        _taken_back.inc(freed)

    async def run(self) -> None:
        """Until cancelled: take up what is due, whenever something is."""
        while not self._closing:
            nap = LONGEST_NAP_S
            try:
                nap = await self.turn()
            except Refusal as refusal:
                _log.warning("the queue can't be looked at now", reason=refusal.reason.value)
            except Exception as error:  # noqa: BLE001 - one failure must not end the relay
                failure(_log, "relay failed", error)
            await self._house.bell.heard(nap)

    async def turn(self) -> float:
        """Take up what is due; seconds until something may be due next."""
        house = self._house
        await self._keep_leases()
        lapsed, domains, next_at = await house.read.run(_look)
        if lapsed:
            _taken_back.inc(await house.write.run(lambda tx: queue_lease.free_lapsed(tx, INTERRUPTED)))
        for domain in domains:
            await self._take_up(domain)
        return max(0.05, min(LONGEST_NAP_S, next_at - house.clock.now())) if not domains else LONGEST_NAP_S

    async def _keep_leases(self) -> None:
        now = self._house.clock.monotonic()
        if now - self._renewed_at >= RENEW_S:
            self._renewed_at = now
            held = list(self._held.values())
            if held:
                await self._house.write.run(lambda tx: queue_lease.renew(tx, held, LEASE_S))

    # --- carriers ---

    async def _take_up(self, domain: DueDomain) -> None:
        """Begin as many carriers to a domain as there is room for."""
        throttle = self._throttles.setdefault(domain.digest, Throttle())
        if not throttle.busy:
            throttle.retry_at = 0.0  # what the queue's rows say counts: an administrator may want it tried at once
        if throttle.retry_at > self._house.clock.now():
            return
        room = min(throttle.room(self._most_to_one()), self._room())
        if room <= 0 or self._stops():
            return
        throttle.busy += room  # taken before anything is awaited
        leased: list[Leased] = []
        try:
            leased = await self._lease(domain.digest, room)
        finally:
            throttle.busy -= room - len(leased)
        if self._stops():  # meanwhile
            throttle.busy -= len(leased)
            await self._give_back(leased)
            return
        for each in leased:
            carrier = asyncio.create_task(self._carrier(throttle, each, domain.failures), name="mssmail carrier")
            self.carriers.add(carrier)
            carrier.add_done_callback(self.carriers.discard)

    def _stops(self) -> bool:
        return self._closing

    async def _give_back(self, leased: list[Leased]) -> None:
        def work(tx: Transaction) -> None:
            for each in leased:
                queue_lease.give_back(tx, each)

        await self._house.write.run(work)
        for each in leased:
            self._let_go(each)

    def _most_to_one(self) -> int:
        settings = self._house.settings
        return share(settings.relay.max_connections_per_domain, settings.server.workers)

    def _room(self) -> int:
        return self._house.settings.queue.concurrency - sum(each.busy for each in self._throttles.values())

    async def _lease(self, digest: bytes, count: int) -> list[Leased]:
        fences = [int(self._house.body_numbers.take()) for _ in range(count)]
        slot = self._house.slot
        leased = await self._house.write.run(lambda tx: queue_lease.lease(tx, digest, slot, fences, LEASE_S))
        return self._hold(leased)

    def _let_go(self, leased: Leased) -> None:
        self._held.pop(leased.fence, None)
        _busy.set(len(self._held))

    def _hold(self, leased: list[Leased]) -> list[Leased]:
        self._held |= {each.fence: each for each in leased}
        _busy.set(len(self._held))
        return leased

    async def _carrier(self, throttle: Throttle, first: Leased, failures: int) -> None:
        """Take one message after another to a domain, which failed so many times in a row before."""
        leased = first
        try:
            for turn in range(1, TURNS_OF_A_CARRIER + 1):
                following = await self._errand(throttle, leased, failures, go_on=turn < TURNS_OF_A_CARRIER)
                if following is None:
                    break
                leased = following
                if self._stops():
                    await self._give_back([leased])
                    break
        except Refusal as refusal:
            _log.warning("an errand is put off", reason=refusal.reason.value)
            self._let_go(leased)  # its lease lapses, and it is tried again
        except Exception as error:  # noqa: BLE001 - ours
            failure(_log, "carrier failed", error)
            self._let_go(leased)
        finally:
            throttle.busy -= 1
            self._house.bell.ring()

    async def _errand(self, throttle: Throttle, leased: Leased, failures: int, *, go_on: bool) -> Leased | None:
        """Carry one message, and settle it; the next of the domain, leased."""
        letter = None
        try:
            letter = Letter(self._house, self._seals, leased)
        except Unsealable:
            ended = self._outcomes.unreadable(leased, [(number, attempts) for number, _, attempts in leased.recipients])
        else:
            attempted = await self._attempt(letter, throttle, failures)
            ended = self._outcomes.unreadable(leased, letter.unreadable, attempted)
        going_on = go_on and ended.well and self._may_go_on(throttle)
        mine, following = await self._write(ended, letter, going_on)
        self._let_go(leased)
        ended.done()
        if not mine:
            _lost.inc()
        if ended.well and throttle.room(self._most_to_one()) > 0:
            self._house.bell.ring()  # there may be more to do at once than before
        self._hold(following)
        return following[0] if following else None

    def _may_go_on(self, throttle: Throttle) -> bool:
        return not self._closing and throttle.busy <= throttle.window

    async def _attempt(self, letter: Letter, throttle: Throttle, failures: int) -> Ended:
        left = letter.part([each for each in letter.addressees if each.attempts and self._has_left(each.address)])
        try:
            if not letter.addressees:
                return self._outcomes.struck_off(letter, left)
            attempt = await self._carried(letter)
        except (BodyGone, Unsealable):
            return self._outcomes.gone(letter, left)
        ended = self._outcomes.judge(letter, attempt, throttle, failures, self._most_to_one())
        return self._outcomes.struck_off(letter, left, ended)

    async def _carried(self, letter: Letter) -> Attempt:
        """What came of it; where that is a fault of ours, too: it must end as any other does, by and by.

        Raises BodyGone, Unsealable.
        """
        try:
            await letter.text.open()
            return await self._courier.carry(letter.errand(self._house.clock.now()), letter.text.chunks)
        except (BodyGone, Unsealable):
            raise
        except Refusal as refusal:
            _log.warning("an errand is put off", reason=refusal.reason.value)
            detail = refusal.reason.value
        except Exception as error:  # noqa: BLE001 - ours
            failure(_log, "an errand failed", error)
            detail = type(error).__name__
        return Attempt(None, [Outcome(Cause.FAULT, detail=detail)] * len(letter.addressees))

    async def _write(self, ended: Ended, letter: Letter | None, going_on: bool) -> tuple[bool, list[Leased]]:
        """Settle an errand, for as long as it takes: what was delivered must not be forgotten. The next one, leased.

        Raises Refusal once the relay closes.
        """
        house, digest, pause = self._house, ended.leased.domain_digest, FIRST_PAUSE_S
        fences = [int(house.body_numbers.take())] if going_on else []

        def work(tx: Transaction) -> tuple[bool, list[Leased]]:
            mine = ended.write(tx)
            return mine, queue_lease.lease(tx, digest, house.slot, fences, LEASE_S) if fences else []

        while True:
            try:
                if letter is not None:
                    await self._tell(ended, letter)
                return await house.write.run(work)
            except Refusal as refusal:
                if self._closing:
                    raise
                _log.warning("an outcome waits to be written", reason=refusal.reason.value)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_S, 2 * pause)

    async def _tell(self, ended: Ended, letter: Letter) -> None:
        """Make ready what the sender is told. Raises Refusal.

        A report that fails by a fault of ours is left out: without its outcome the message would go again and again.
        """
        try:
            await self._outcomes.tell(ended, letter)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - ours
            failure(_log, "a report can't be made", error)

    async def close(self) -> None:
        """Begin nothing new; wait a little for what is in its last step, and let go of the rest."""
        self._closing = True
        if self.carriers:
            await asyncio.wait(self.carriers, timeout=LAST_STEP_S)
        for carrier in list(self.carriers):
            carrier.cancel()
        await asyncio.gather(*self.carriers, return_exceptions=True)
        held = list(self._held.values())

        def work(tx: Transaction) -> None:
            for each in held:
                queue_lease.interrupted(tx, each, INTERRUPTED)

        with contextlib.suppress(Refusal):
            await self._house.write.run(work)
        self._held.clear()


def _look(tx: Transaction) -> tuple[bool, list[DueDomain], int]:
    return queue_lease.any_lapsed(tx), queue_domains.due_domains(tx, DOMAINS_AT_ONCE), queue_domains.next_due(tx)
