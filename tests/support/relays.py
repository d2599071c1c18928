"""A house with a relay, a courier that does as it is told, and mail to other operators."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from mssmail.audit.events import Event, Kind
from mssmail.base.address import Address
from mssmail.base.clock import FakeClock
from mssmail.base.principal import Beyond, Principal
from mssmail.base.relay import Answer, Attempt, Cause, Errand, Hop, Outcome, RecipientWishes, Wishes
from mssmail.flow.bounce import Bounces
from mssmail.flow.courier import Body
from mssmail.flow.deliver import deliver
from mssmail.flow.keep import Keeper
from mssmail.flow.queue import Queue
from mssmail.flow.relay import Relay
from mssmail.settings.model import Settings
from mssmail.store import trail
from mssmail.store.queue_state import State
from tests.support.houses import Home

HOP = Hop("mx.hopital.mssante.fr", "192.0.2.25", "TLSv1.3", "TLS_AES_256_GCM_SHA384", "CN=mx,O=HOPITAL", dsn=True)
HOSPITAL, LABORATORY = "hopital.mssante.fr", "labo.mssante.fr"
RETURN_PATH = b"Return-Path: <anne@demo.mssante.fr>\r\n"
MESSAGE = (
    b"From: anne@demo.mssante.fr\r\nTo: dr@hopital.mssante.fr\r\nSubject: Bilan\r\nMessage-ID: <1@x>\r\n\r\n"
    b"Cr\xc3\xa9atinine normale.\r\n"
)


def beyond(text: str, wishes: RecipientWishes | None = None) -> Beyond:
    address = Address.parse(text)
    assert address is not None
    return Beyond(address, wishes or RecipientWishes())


def all_of(cause: Cause, code: int = 0, text: str = "", **more: Any) -> Callable[[Errand], Attempt]:
    """Every recipient of an errand fares alike."""
    answer = Answer(code, "", text) if code else None
    outcome = Outcome(cause, answer, **more)
    return lambda errand: Attempt(HOP if cause is not Cause.UNREACHABLE else None, [outcome] * len(errand.recipients))


TAKEN = all_of(Cause.DELIVERED, 250, "OK")


class ToldCourier:
    """Takes all, unless it is told otherwise; keeps what it was given. `gate`: carries nothing until it is set."""

    def __init__(self) -> None:
        self.given: list[tuple[Errand, bytes]] = []
        self.plan: deque[Callable[[Errand], Attempt]] = deque()
        self.always: Callable[[Errand], Attempt] = TAKEN
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = self.most = 0

    async def carry(self, errand: Errand, body: Body) -> Attempt:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            octets = b"".join([chunk async for chunk in body()])
            self.given.append((errand, octets))
            return (self.plan.popleft() if self.plan else self.always)(errand)
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        pass


class Post:
    """A home, its relay and its courier. `close` it."""

    def __init__(self, folder: Path, *, settings: Settings | None = None, home: Home | None = None) -> None:
        self.home = home or Home(folder, FakeClock(), settings=settings)
        self.house = self.home.house
        self.courier = ToldCourier()
        self.left: set[Address] = set()
        """Who was struck off."""
        self.relay = self.worker()
        self.queue = Queue(self.house)

    @property
    def clock(self) -> FakeClock:
        assert isinstance(self.home.clock, FakeClock)
        return self.home.clock

    def worker(self) -> Relay:
        return Relay(self.house, self.courier, Bounces(self.house), lambda address: address in self.left, lambda: 0.0)

    async def send(
        self, sender: Principal | None, *to: str | Beyond, wishes: Wishes | None = None, octets: bytes = MESSAGE
    ) -> str:
        """Queue a message; its id."""
        keeper = Keeper(self.house)
        skipped = RETURN_PATH if sender is not None else b""
        keeper.write(skipped + octets)
        if keeper.is_full:
            await keeper.flush()
        kept = await keeper.finish()
        work = await self.queue.enqueue_work(
            kept,
            None if sender is None else sender.address,
            [each if isinstance(each, Beyond) else beyond(each) for each in to],
            wishes or Wishes(),
            **({} if sender is None else {"account": sender.account}),
            skipped_octets=len(skipped),
        )
        ident = f"{kept.body:x}"
        account = 0 if sender is None else int(sender.account)
        event = Event(Kind.SUBMITTED, account, details={"id": ident})
        await deliver(self.house, kept, (), event, None, also=(work,))
        return ident

    async def turn(self) -> None:
        """Let the relay do all that is due now."""
        for _ in range(400):
            before = len(self.courier.given)
            await self.relay.terms.look()
            await self.relay.turn()
            await self.settled()
            if len(self.courier.given) == before:
                return
        raise AssertionError("the relay doesn't come to rest")

    async def settled(self) -> None:
        carriers = self.relay.carriers
        if carriers:
            await asyncio.wait(carriers)

    async def after(self, seconds: float) -> None:
        """Later."""
        self.clock.advance(seconds)
        await self.turn()

    def states(self, ident: str) -> list[State]:
        return [
            State(row[0]) for row in self.rows("SELECT state FROM queue_recipients WHERE queue_id = ?", int(ident, 16))
        ]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.home.tx().driver.execute(sql, values).fetchall()
        return found

    def events(self, *labels: str) -> list[tuple[str, int, str, dict[str, Any]]]:
        """Kind, account, outcome and what else the trail says."""
        return [
            (Kind(row.kind).label, row.account_id, str(said["o"]), cast("dict[str, Any]", said.get("d", {})))
            for row in trail.events_of(self.home.tx(), self.home.chain, 0, 10_000)
            for said in [self.house.trail.open(row)]
            if Kind(row.kind).label in labels
        ]

    def close(self) -> None:
        self.home.close()


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """One over a folder of its own."""
    made = Post(tmp_path)
    yield made
    await made.relay.close()
    made.close()


@pytest.fixture
def anne(post: Post) -> Principal:
    """Somebody who writes."""
    return post.home.add_account("anne")
