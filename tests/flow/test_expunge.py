"""Expunged mail: its wrap goes with its last message, and views close up over any pattern of gaps."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mssmail.base.principal import Principal
from mssmail.base.search import Flag, Text
from mssmail.flow import purge
from mssmail.flow.append import Append, Targets
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.purge import Purge
from mssmail.flow.search import search
from mssmail.flow.view import View
from tests.support.houses import Home
from tests.support.posts import inbox, send

_DELETE = FlagWish(Flag.DELETED.value, frozenset(), "add")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


async def filled(home: Home, who: Principal, count: int) -> View:
    append = Append(Targets(home.house, who), "INBOX")
    await append.look()
    for _ in range(count):
        append.begin()
        await append.write(b"Subject: x\r\n\r\ny\r\n")
        await append.end(0, frozenset(), None)
    await append.finish()
    return await inbox(home, who)


def rows(home: Home, table: str) -> int:
    found = home.tx().driver.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found[0])


@pytest.mark.parametrize(
    ("copies", "expunged", "wraps", "due"),
    [
        ((), [0], 0, 1),
        (("INBOX",), [0], 1, 0),
        (("INBOX",), [0, 1], 0, 1),
        (("INBOX", "INBOX"), [0, 2], 1, 0),
        (("INBOX", "INBOX"), [0, 1, 2], 0, 1),
        (("Trash",), [0], 1, 0),
        (("INBOX", "Trash"), [0, 1], 1, 0),
    ],
)
async def test_a_wrap_goes_with_the_last_message_that_needs_it(
    home: Home, copies: Sequence[str], expunged: list[int], wraps: int, due: int
) -> None:
    """Copies that go together, in one range or in several, count as gone; one that stays keeps wrap and body."""
    anne = home.add_account("anne")
    await send(home, b"Subject: x\r\n\r\ny\r\n", anne)
    view = await inbox(home, anne)
    for folder in copies:
        await Changer(home.house, view).copy([0], folder)
    view = await inbox(home, anne)
    changer = Changer(home.house, view)
    await changer.store(expunged, _DELETE)
    assert await changer.expunge() == len(expunged)
    assert (rows(home, "wraps"), rows(home, "body_outbox")) == (wraps, due)


async def test_another_accounts_copy_is_no_reason_to_keep_a_wrap(home: Home) -> None:
    """Each account has its wrap of a shared body; the body is looked at again once either goes."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, b"Subject: x\r\n\r\ny\r\n", anne, bert)
    changer = Changer(home.house, await inbox(home, anne))
    await changer.store([0], _DELETE)
    await changer.expunge()
    assert (rows(home, "wraps"), rows(home, "body_outbox")) == (1, 1)


@pytest.mark.parametrize("gaps", [range(0, 300, 2), range(10, 290), [0, 299], [3, 4, 5, 200], range(300)])
async def test_views_close_up(home: Home, gaps: Sequence[int]) -> None:
    """Whatever goes, each announced number is right in its turn, and flags stay with their messages."""
    anne = home.add_account("anne")
    mine = await filled(home, anne, 300)
    theirs = await inbox(home, anne)
    changer = Changer(home.house, theirs)
    await changer.store(range(0, 300, 3), FlagWish(Flag.SEEN.value, frozenset({"k"}), "add"))
    await changer.store(gaps, _DELETE)
    await mine.refresh()
    assert mine.take_updates() == sorted({*range(0, 300, 3), *gaps})
    assert await changer.expunge() == len(gaps)
    await mine.refresh()
    uids = list(range(1, 301))
    for number in mine.take_expunges():
        del uids[number - 1]
    left = [i for i in range(300) if i not in set(gaps)]
    assert uids == [i + 1 for i in left] == list(mine.uids)
    assert [bool(f & Flag.SEEN.value) for f in mine.flags] == [i % 3 == 0 for i in left]
    assert [bool(k) for k in mine.keywords] == [i % 3 == 0 for i in left]
    assert len(mine.modseqs) == len(left) == mine.told_exists


async def test_only_what_is_flagged_by_then_goes(home: Home) -> None:
    """A flag that another session took away meanwhile keeps its message, whatever the view says."""
    anne = home.add_account("anne")
    mine = await filled(home, anne, 6)
    changer = Changer(home.house, mine)
    await changer.store(range(1, 5), _DELETE)
    theirs = await inbox(home, anne)
    await Changer(home.house, theirs).store([2], FlagWish(Flag.DELETED.value, frozenset(), "remove"))
    assert await changer.expunge() == 3
    assert mine.take_expunges() == [5, 4, 2]
    assert list(mine.uids) == [1, 3, 6]
    assert home.tx().driver.execute("SELECT messages, octets FROM folders WHERE messages > 0").fetchall() == [(3, 51)]


async def test_the_log_of_expunged_mail_has_a_floor(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge keeps the latest rows; whether a view is older than its floor or not, it learns of all that went."""
    monkeypatch.setattr(purge, "MAX_VANISHED", 3)
    anne = home.add_account("anne")
    old = await filled(home, anne, 12)
    theirs = await inbox(home, anne)
    changer = Changer(home.house, theirs)
    newer = theirs
    for number in range(6):
        await changer.store([number], _DELETE)
        await changer.expunge([number])
        theirs.take_expunges()
        if number == 3:
            newer = await inbox(home, anne)
    await Purge(home.house, announce=False).run()
    assert rows(home, "vanished") == 3
    floor = home.tx().driver.execute("SELECT vanished_floor FROM folders WHERE messages = 6").fetchone()[0]
    assert old.modseq < floor <= newer.modseq
    await send(home, b"Subject: x\r\n\r\ny\r\n", anne)
    for view in (old, newer):
        await view.refresh()
        view.take_expunges()
        view.take_exists()
        assert list(view.uids) == [2, 4, 6, 8, 10, 12, 13]
    assert await search(home.house, old, Text("y")) == list(range(7))
    await Purge(home.house, announce=False).run()
    assert rows(home, "vanished") == 3
