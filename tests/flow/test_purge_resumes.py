"""A purge killed at any step, before or after its commit, goes on where it was and ends the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from mssmail.audit.events import Event, Kind
from mssmail.audit.export import opened
from mssmail.audit.verify import verify
from mssmail.base.clock import FakeClock
from mssmail.crypto.keystore import KeyKind
from mssmail.flow.deliver import deliver
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper
from mssmail.flow.purge import Purge
from mssmail.policy.retention import period_of
from mssmail.settings.units import Seconds
from mssmail.store import accounts, trail
from mssmail.store.lanes import WriteLane
from tests.support.houses import Home, recipient

MESSAGES = 4


class Killed(BaseException):
    """The process dies here; a BaseException, so that no handler of ours takes it for a failure."""


class Killing:
    """A write lane that dies at its n-th unit, before it or after its commit."""

    def __init__(self, inner: WriteLane, at: int, *, after: bool) -> None:
        self._inner = inner
        self._left = at
        self._after = after

    async def run(self, work: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        if self._left < 0:
            raise Killed
        result = await self._inner.run(work)
        if self._left == 0:
            raise Killed
        return result


async def fill(home: Home, house: House) -> None:
    people = [home.add_account(name) for name in ("anne", "bert")]
    for _ in range(MESSAGES):
        keeper = Keeper(house)
        keeper.write(b"Subject: x\r\n\r\n" + bytes(range(256)) * 2000)
        kept = await keeper.finish()
        event = Event(Kind.SUBMITTED, 1, details={"id": f"{kept.body:x}"})
        await deliver(house, kept, [recipient(p) for p in people], event, None)


@pytest.mark.parametrize("after", [False, True])
async def test_a_killed_purge_ends_the_same(tmp_path: Path, after: bool) -> None:
    """At every step in turn: everything is gone, the key with it, and each message was counted once."""
    steps = 0
    for at in range(1, 40):
        folder = tmp_path / str(at)
        folder.mkdir()
        home = Home(folder)
        assert isinstance(home.clock, FakeClock)
        settings = replace(home.settings, retention=replace(home.settings.retention, default=Seconds(5)))
        house = home.with_settings(settings)
        period = period_of(home.clock.now(), 5, None)
        await fill(home, house)
        home.clock.advance(7)
        dying = replace(house, write=cast(WriteLane, Killing(home.write, at, after=after)))
        try:
            await Purge(dying, announce=False).run()
        except Killed:
            steps += 1
        home.clock.advance(60)
        await Purge(house, announce=False).run()
        count = home.tx().driver.execute
        for table in ("messages", "wraps", "bodies", "records", "body_outbox"):
            assert count(f"SELECT count(*) FROM {table}").fetchone() == (0,), (at, table)
        assert count("SELECT state, erased FROM periods").fetchall() == [("gone", 2 * MESSAGES)], at
        state = home.key_store.state(KeyKind.PERIOD, period)
        assert state is not None
        assert state.destroyed_at is not None
        assert accounts.by_id(home.tx(), accounts.page(home.tx(), 0, 1)[0].account_id).used_octets == 0
        assert not list((folder / "bodies").glob("??/*"))
        told = [opened(house.trail, row) for row in trail.events_of(home.tx(), home.chain, 0, 1000)]
        assert sum(cast(int, e.details["count"]) for e in told if e.kind == "erased") == 2 * MESSAGES, at
        assert verify(home.tx(), house.trail).sound
        home.close()
        if steps < at:
            break
    assert steps >= 6, "the purge has at least that many steps to die at"
