"""Searches find the same whether mail was made searchable, is about to be, or has to be opened."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock, SystemClock, utc
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.search import (
    Arrived,
    Body,
    Flag,
    Header,
    Larger,
    Not,
    Sent,
    Smaller,
    Text,
    When,
)
from mssmail.flow import index
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.fresh import MAX_OCTETS, Fresh
from mssmail.flow.index import MAX_ENTRIES, Indexer
from mssmail.flow.purge import Purge
from mssmail.flow.search import search
from mssmail.flow.view import open_view
from mssmail.store import leases, searches
from mssmail.store.interface import Transaction
from tests.support.houses import Home
from tests.support.posts import SEARCH_TABLES, forget, inbox, send


@pytest.fixture(params=[MAX_OCTETS, 0], ids=["in memory", "opened"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """A house that keeps new mail in memory until it is searchable, and one that opens it."""
    made = Home(tmp_path, fresh=Fresh(request.param))
    yield made
    made.close()


def rows(home: Home) -> dict[str, int]:
    execute = home.tx().driver.execute
    return {table: execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in SEARCH_TABLES}


def mail(number: int, body: str = "corps", subject: str = "Bilan rénal") -> bytes:
    return (
        f"From: Dr Éloïse <e{number}@x.fr>\r\nSubject: {subject} {number}\r\nMessage-ID: <{number}@x>\r\n"
        f"Date: {1 + number % 28:02d} Jan 2026 12:00:00 +0000\r\n\r\n{body} {number}\r\n"
    ).encode()


async def test_a_message_is_made_searchable_once_for_all(home: Home) -> None:
    """One text for a body, columns for each account; nothing stays due, and a second run finds nothing to do."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    for number in range(3):
        await send(home, mail(number), anne, bert)
    assert rows(home)["search_due"] == 6
    assert await Indexer(home.house).run() == 6
    assert rows(home) == {"search_texts": 3, "search_columns": 2, "search_entries": 6, "search_due": 0}
    assert await Indexer(home.house).run() == 0
    for who in (anne, bert):
        view = await inbox(home, who)
        assert await search(home.house, view, Header("subject", "RÉNAL 1")) == [1]
        assert await search(home.house, view, Body("CORPS 2")) == [2]


async def test_searches_open_no_body_once_it_is_done(home: Home) -> None:
    """Header searches read columns alone, text searches search texts alone."""
    anne = home.add_account("anne")
    for number in range(3):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()
    forget(home, "bodies", "records")
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("corps 1")) == [1]
    forget(home, "search_texts")
    assert await search(home.house, view, Header("FROM", "ÉLOÏSE <e1@")) == [1]
    assert await search(home.house, view, Sent(When.SINCE, date(2026, 1, 2))) == [1, 2]
    assert await search(home.house, view, Text("corps")) == []


async def test_what_a_search_opened_is_kept(home: Home) -> None:
    """A search that had to open bodies keeps their texts for the next one."""
    anne = home.add_account("anne")
    for number in range(3):
        await send(home, mail(number), anne)
    home.house.fresh.forget_account(anne.account)
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("corps 1")) == [1]
    await home.write.run(lambda _: None)
    assert rows(home)["search_texts"] == 3
    forget(home, "bodies")
    assert await search(home.house, view, Text("corps 1")) == [1]


async def test_headers_that_a_search_opened_are_kept(home: Home) -> None:
    """So are columns of many messages; the indexer then only forgets that they were due."""
    anne = home.add_account("anne")
    for number in range(60):
        await send(home, mail(number), anne)
    home.house.fresh.forget_account(anne.account)
    view = await inbox(home, anne)
    wanted = Header("subject", "rénal 59")
    assert await search(home.house, view, wanted) == [59]
    await home.write.run(lambda _: None)
    assert rows(home) == {"search_texts": 0, "search_columns": 1, "search_entries": 60, "search_due": 60}
    assert await Indexer(home.house).run() == 60
    assert rows(home) == {"search_texts": 60, "search_columns": 1, "search_entries": 60, "search_due": 0}
    forget(home, "bodies", "records")
    assert await search(home.house, view, wanted) == [59]


async def test_a_search_and_the_indexer_make_no_entry_twice(home: Home) -> None:
    """Columns that hold a message which others hold by now aren't written; what they were to replace stays."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    due = await home.read.run(lambda tx: searches.due(tx, 0, 10))
    await Indexer(home.house).run()
    number = home.house.body_numbers.take()
    late = searches.NewColumns(number, anne.account, due[0].period, 1, b"", b"", [due[0].body], [])
    await home.write.run(lambda tx: searches.keep(tx, anne.account, [], [late]))
    assert rows(home) == {"search_texts": 1, "search_columns": 1, "search_entries": 1, "search_due": 0}
    assert await search(home.house, await inbox(home, anne), Header("subject", "rénal")) == [0]


async def test_columns_are_joined(home: Home) -> None:
    """Mail that comes one by one ends up in few columns, none with too many entries."""
    anne = home.add_account("anne")
    indexer = Indexer(home.house)
    for number in range(40):
        await send(home, mail(number), anne)
        assert await indexer.run() == 1
    written = rows(home)
    assert (written["search_entries"], written["search_due"]) == (40, 0)
    assert written["search_columns"] <= 4
    found = await search(home.house, await inbox(home, anne), Header("subject", "rénal 3"))
    assert found == [3, *range(30, 40)]
    most = home.tx().driver.execute("SELECT max(count) FROM search_columns").fetchone()
    assert most[0] <= MAX_ENTRIES


async def test_a_message_too_long_is_opened(home: Home) -> None:
    """A message with more text than is kept, or a longer header, is found all the same."""
    anne = home.add_account("anne")
    await send(home, mail(0, "mot " * 400_000 + "aiguille"), anne)
    await send(home, b"Subject: long\r\nTo: " + b"a@b.fr,\r\n " * 8000 + b"aiguille@b.fr\r\n\r\nx", anne)
    await Indexer(home.house).run()
    written = rows(home)
    assert (written["search_texts"], written["search_entries"], written["search_due"]) == (1, 1, 0)
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("aiguille")) == [0, 1]
    assert await search(home.house, view, Header("to", "aiguille")) == [1]
    await home.write.run(lambda _: None)
    assert rows(home)["search_texts"] == 1


@pytest.mark.parametrize("table", ["search_texts", "search_columns"])
async def test_damage_is_passed_over(home: Home, table: str) -> None:
    """Where a sealed text or columns were altered or exchanged, the messages are opened."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()
    home.write.run_blocking(lambda tx: tx.driver.execute(f"UPDATE {table} SET sealed = zeroblob(600)"))
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("corps 1")) == [1]
    assert await search(home.house, view, Header("subject", "rénal 1")) == [1]


async def test_texts_of_two_bodies_cannot_change_places(home: Home) -> None:
    """A text moved to another body doesn't open there."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()

    def swap(tx: Transaction) -> None:
        (first, one), (second, two) = tx.driver.execute("SELECT body_id, sealed FROM search_texts").fetchall()
        tx.driver.execute("UPDATE search_texts SET sealed = ? WHERE body_id = ?", [two, first])
        tx.driver.execute("UPDATE search_texts SET sealed = ? WHERE body_id = ?", [one, second])

    home.write.run_blocking(swap)
    assert await search(home.house, await inbox(home, anne), Text("corps 1")) == [1]


async def test_expunged_mail_leaves_no_text(home: Home) -> None:
    """After the grace nothing readable of it is left; its neighbours in the columns are done again."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    assert isinstance(home.clock, FakeClock)
    await send(home, mail(0), anne, bert)
    await send(home, mail(1), anne)
    await send(home, mail(2), anne)
    await Indexer(home.house).run()
    view = await inbox(home, anne)
    changer = Changer(home.house, view)
    await changer.store([0, 1], FlagWish(Flag.DELETED.value, frozenset(), "add"))
    await changer.expunge()
    home.clock.advance(120)
    await Purge(home.house, announce=False).run()
    assert rows(home) == {"search_texts": 2, "search_columns": 1, "search_entries": 1, "search_due": 3}
    await Indexer(home.house).run()
    assert rows(home) == {"search_texts": 2, "search_columns": 2, "search_entries": 2, "search_due": 0}
    view.take_expunges()
    assert await search(home.house, view, Header("subject", "rénal 2")) == [0]
    assert await search(home.house, await inbox(home, bert), Text("rénal 0")) == [0]


async def test_purge_leaves_nothing(home: Home) -> None:
    """Texts, columns and entries go with the period; what was still due is forgotten at the next turn."""
    anne = home.add_account("anne")
    assert isinstance(home.clock, FakeClock)
    await Purge(home.house, announce=False).run()
    for number in range(3):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()
    await send(home, mail(3), anne)
    home.clock.advance(200 * 86_400)
    await Purge(home.house, announce=False).run(allow_shrink=True)
    assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 1}
    await Indexer(home.house).run()
    assert set(rows(home).values()) == {0}


async def test_mail_expunged_while_it_is_being_made_searchable(home: Home) -> None:
    """Nothing is written for a message whose wrap went between its opening and the commit."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    due = await home.read.run(lambda tx: searches.due(tx, 0, 10))
    forget(home, "wraps")
    number = home.house.body_numbers.take()
    columns = searches.NewColumns(number, anne.account, due[0].period, 2, b"", b"", [d.body for d in due], [])
    sealed = {d.body: b"x" for d in due}
    assert await home.write.run(lambda tx: searches.write(tx, due, sealed, [columns])) == 1
    assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 2}
    await Indexer(home.house).run()
    assert set(rows(home).values()) == {0}


async def test_a_lost_turn_is_done_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commit fails, all of it stays due, and the next run does it."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    indexer = Indexer(home.house)

    def full(*_: object) -> int:
        raise Refusal(Reason.STORAGE_FULL)

    with monkeypatch.context() as patched:
        patched.setattr(searches, "write", full)
        with pytest.raises(Refusal):
            await indexer.run()
    assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 1}
    assert isinstance(home.clock, FakeClock)
    home.clock.advance(31)
    assert await indexer.run() == 1


async def test_one_worker_at_a_time(home: Home) -> None:
    """While another worker holds the lease nothing is done here; once it has ended, it is."""
    anne = home.add_account("anne")
    assert isinstance(home.clock, FakeClock)
    await send(home, mail(0), anne)
    await home.write.run(lambda tx: leases.take(tx, "search", "another", 30))
    indexer = Indexer(home.house)
    assert await indexer.run() == 0
    home.clock.advance(31)
    assert await indexer.run() == 1
    await send(home, mail(1), anne)
    home.clock.advance(31)
    await home.write.run(lambda tx: leases.take(tx, "search", "another", 30))
    with pytest.raises(Refusal):
        await indexer.run()
    assert rows(home)["search_due"] == 1
    home.clock.advance(31)
    assert await indexer.run() == 1


async def test_a_killed_worker_goes_on_at_once(home: Home) -> None:
    """What takes a worker's place after a crash has its lease, and goes on where it was."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
        assert await Indexer(home.house).run() == 1


async def test_copies_are_found_by_their_source(home: Home) -> None:
    """A copy has its source's text and columns."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    await Indexer(home.house).run()
    view = await inbox(home, anne)
    for _ in range(2):
        await Changer(home.house, view).copy([0], "Trash")
    forget(home, "bodies", "records")
    trash = await open_view(home.house, anne, "Trash", read_only=True)
    assert await search(home.house, trash, Text("corps")) == [0, 1]
    assert await search(home.house, trash, Not(Header("subject", "rénal"))) == []


async def test_no_message_of_another_is_found(home: Home) -> None:
    """Columns and texts that another account may read give nothing to this one."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, mail(0), anne)
    await send(home, mail(1), bert)
    await Indexer(home.house).run()

    def mislead(tx: Transaction) -> None:
        (theirs,) = tx.driver.execute(
            "SELECT columns_id FROM search_entries WHERE account_id = ?", [anne.account]
        ).fetchone()
        tx.driver.execute("UPDATE search_entries SET columns_id = ?", [theirs])

    home.write.run_blocking(mislead)
    assert await search(home.house, await inbox(home, bert), Header("subject", "rénal 1")) == [0]
    assert await search(home.house, await inbox(home, bert), Header("subject", "rénal 0")) == []


async def test_dates_follow_the_zone(home: Home) -> None:
    """SINCE, ON and BEFORE go by the day in the message's own zone (RFC 3501 §6.4.4)."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    midnight = home.clock.now() // 86_400 * 86_400
    home.write.run_blocking(
        lambda tx: [
            tx.driver.execute("UPDATE messages SET internal_date = ?, zone_minutes = ? WHERE uid = ?", [at, zone, uid])
            for uid, at, zone in ((1, midnight, -60), (2, midnight - 1, 60))
        ]
    )
    today = utc(midnight).date()
    view = await inbox(home, anne)
    for when, day, expected in (
        (When.SINCE, today, [1]),
        (When.BEFORE, today, [0]),
        (When.ON, today, [1]),
        (When.ON, today - timedelta(1), [0]),
        (When.ON, today + timedelta(1), []),
    ):
        assert await search(home.house, view, Arrived(when, day)) == expected, (when, day)


async def test_sizes_are_compared_exactly(home: Home) -> None:
    """LARGER and SMALLER exclude the size itself (RFC 3501 §6.4.4)."""
    anne = home.add_account("anne")
    size = len(mail(1))
    await send(home, mail(1), anne)
    view = await inbox(home, anne)
    for key, expected in (
        (Larger(size), []),
        (Larger(size - 1), [0]),
        (Smaller(size), []),
        (Smaller(size + 1), [0]),
    ):
        assert await search(home.house, view, key) == expected, key


async def test_the_last_space_is_left_to_mail(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is nearly full nothing is made searchable, neither by the indexer nor by a search."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    with monkeypatch.context() as patched:
        patched.setattr(index, "SPARED_OCTETS", 1 << 62)
        assert await Indexer(home.house).run() == 0
        assert await search(home.house, await inbox(home, anne), Text("corps")) == [0]
        await home.write.run(lambda _: None)
        assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 1}
    assert await Indexer(home.house).run() == 1


async def test_a_turn_waits_until_nothing_is_written(tmp_path: Path) -> None:
    """With a quiet time, a turn begins only that long after the last commit."""
    home = Home(tmp_path, SystemClock())
    anne = home.add_account("anne")
    for number in range(3):
        await send(home, mail(number), anne)
    committed = home.write.committed_at
    assert await Indexer(home.house, quiet_s=0.05).run() == 3
    assert home.clock.monotonic() - committed >= 0.05
    home.close()
