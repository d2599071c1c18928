"""Opened records in memory: bounded, gone with their period and account, never given for a message that is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.base.principal import Principal
from mssmail.base.search import Flag
from mssmail.flow.append import Append, Targets
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.read import Reader
from mssmail.flow.shelf import Shelf
from mssmail.flow.view import View, open_view
from mssmail.mime.record import VERSION, Record
from tests.support.houses import Home

ANNE, BOB = AccountId(1), AccountId(2)


def record(size: int) -> Record:
    return Record(bytes([VERSION, 0]).ljust(size, b"x"))


def places(*bodies: int, period: int = 100) -> list[tuple[BodyId, Period]]:
    return [(BodyId(body), Period(period)) for body in bodies]


def shelved(shelf: Shelf, account: AccountId, *bodies: int, now: float = 0, period: int = 100) -> list[bool]:
    return [found is not None for found in shelf.find(account, places(*bodies, period=period), now)]


def test_the_longest_unused_goes() -> None:
    """Past the bound the records go that nobody asked for lately."""
    shelf = Shelf(max_octets=3 * 1_500)
    shelf.put(ANNE, ((place, record(1_000)) for place in places(1, 2, 3)), 0)
    assert shelved(shelf, ANNE, 1) == [True]
    shelf.put(ANNE, [(places(4)[0], record(1_000))], 0)
    assert shelved(shelf, ANNE, 1, 2, 3, 4) == [True, False, True, True]
    shelf.put(ANNE, [(places(5)[0], record(100_000))], 0)
    assert len(shelf) == 0


def test_a_period_takes_its_records_along() -> None:
    """From a period's end on nothing of it is given out, kept or taken in."""
    shelf = Shelf()
    shelf.put(ANNE, [(place, record(10)) for place in places(1) + places(2, period=200)], 0)
    assert shelved(shelf, ANNE, 1, now=99.9) == [True]
    assert shelved(shelf, ANNE, 1, now=100) == [False]
    assert len(shelf) == 1
    shelf.put(ANNE, [(places(1)[0], record(10))], 100)
    shelf.drop_ended(200)
    assert len(shelf) == 0


def test_accounts_are_apart() -> None:
    """One account's records are no other's, and go when its keys are given up."""
    shelf = Shelf()
    for account in (ANNE, BOB):
        shelf.put(account, [(places(1)[0], record(10))], 0)
    shelf.put(ANNE, [(places(2)[0], record(10))], 0)
    assert shelved(shelf, BOB, 2) == [False]
    shelf.forget_account(ANNE)
    assert (shelved(shelf, ANNE, 1, 2), shelved(shelf, BOB, 1)) == ([False, False], [True])


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path, FakeClock())
    yield made
    made.close()


async def put(home: Home, who: Principal, count: int) -> View:
    spool = Append(Targets(home.house, who), "INBOX")
    await spool.look()
    for k in range(count):
        spool.begin()
        await spool.write(b"Subject: %d\r\n\r\nx\r\n" % k)
        await spool.end(0, frozenset(), None)
    await spool.finish()
    return await open_view(home.house, who, "INBOX", read_only=False)


async def listed(home: Home, view: View, indexes: range) -> tuple[list[bytes], int]:
    """The envelopes of some messages, and how many were lost."""
    reader = Reader(home.house, view)
    return [fetched.record.envelope async for fetched in reader.messages(indexes, ())], reader.lost


async def test_a_listing_again_is_the_same(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partly, wholly or not from the shelf: the same records in the same order; what is on it isn't opened again."""
    view = await put(home, home.add_account("anne"), 450)
    some, _ = await listed(home, view, range(100, 300))
    whole, lost = await listed(home, view, range(450))
    assert (len(whole), lost, whole[100:300]) == (450, 0, some)

    def refuse(*_: object) -> bytes:
        raise AssertionError("opened again")

    monkeypatch.setattr("mssmail.flow.read.open_record", refuse)
    assert await listed(home, view, range(450)) == (whole, 0)


async def test_gone_is_gone(home: Home) -> None:
    """A record on the shelf doesn't outlive its message, whoever expunged it."""
    anne = home.add_account("anne")
    view = await put(home, anne, 3)
    assert len((await listed(home, view, range(3)))[0]) == 3
    other = await open_view(home.house, anne, "INBOX", read_only=False)
    changer = Changer(home.house, other)
    await changer.store([1], FlagWish(Flag.DELETED.value, frozenset(), "add"))
    await changer.expunge()
    found, lost = await listed(home, view, range(3))
    assert (len(found), lost) == (2, 1)
