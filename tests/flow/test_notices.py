"""Notices of sign-ins from new areas: when they are due, and that they come once."""

from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.flow.notices import Notices
from tests.support.town import CLAIRE, FAST, PAUL, Town, address

DAY_S = 86_400


async def told(town: Town) -> int:
    """Notices that come of what happened so far, by the mails in INBOXes; looked for twice, as two workers would."""
    for _ in range(2):
        await Notices(town.house, town.standing.credentials).look()
    mails = int(town.home.tx().driver.execute("SELECT count(*) FROM messages").fetchone()[0])
    assert [kind for kind, *_ in town.events()].count("new-place-told") == mails
    return mails


@pytest.mark.parametrize(
    ("clients", "notices"),
    [
        (["192.0.2.1"], 1),
        (["192.0.2.1", "192.0.2.200"], 1),
        (["192.0.2.1", "192.0.3.1", "192.0.2.1"], 2),
        (["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"], 2),
        ([f"192.0.{n}.1" for n in range(6)], 3),
    ],
)
async def test_new_areas(town: Town, clients: list[str], notices: int) -> None:
    """The first sign-in from each area is told of, three in a day at most."""
    town.clock.advance(DAY_S + 60)
    for client in clients:
        await town.enter(client=client)
        town.clock.advance(30)
    assert await told(town) == notices


async def test_first_day(town: Town) -> None:
    """On the day that a box was made nothing is told; from where its holder came then, nothing later either."""
    await town.enter()
    town.clock.advance(DAY_S + 60)
    await town.enter()
    assert await told(town) == 0
    await town.enter(PAUL)
    assert await told(town) == 1


async def test_switched_off(tmp_path: Path) -> None:
    """Where the settings want none, none is due, nor later."""
    town = Town(tmp_path, replace(FAST, notices=False))
    await town.settle_in()
    town.clock.advance(DAY_S + 60)
    await town.enter()
    assert await told(town) == 0
    town.close()


async def test_suspended(town: Town) -> None:
    """A box that is closed meanwhile is written nothing."""
    town.clock.advance(DAY_S + 60)
    await town.enter()
    await town.people.suspend(address(CLAIRE))
    assert await told(town) == 0
    await town.people.resume(address(CLAIRE))
    assert await told(town) == 0
