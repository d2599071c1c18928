"""Mail just kept, in memory: bounded, gone once it is searchable, never given for what is gone or another's."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.base.principal import Principal
from mssmail.base.search import And, Body, Flag, Header, Key, Not, Sent, Text, When
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.fresh import Fresh, FreshMessage
from mssmail.flow.index import Indexer
from mssmail.flow.search import search
from mssmail.mime import text as texts
from mssmail.mime.record import build
from mssmail.mime.scan import Scanner
from tests.support.houses import Home
from tests.support.posts import forget, inbox, send

ANNE, BERT = AccountId(1), AccountId(2)
NOW, END = 50.0, Period(100)
MAIL = "From: Zoé <z@x.fr>\r\nSubject: Bilan\r\nDate: 2 Jan 2026 12:00:00 +0100\r\n\r\nÉlectro\r\n".encode()


def message(body: int, octets: bytes = MAIL) -> FreshMessage:
    scanner = Scanner()
    scanner.feed(octets)
    node = scanner.finish()
    pieces = [(piece, octets[piece.start : piece.end]) for piece in texts.pieces_of(node)]
    return FreshMessage(BodyId(body), b"k" * 32, build(node), pieces)


def held(fresh: Fresh, account: AccountId, *bodies: int, now: float = NOW, period: int = END) -> list[int]:
    found = fresh.find(account, [(BodyId(body), Period(period)) for body in bodies], now)
    return [each.body for each in found if each is not None]


def test_the_oldest_goes() -> None:
    """Past the bound the first that came go, whatever was made of the others meanwhile."""
    fresh = Fresh(3 * message(0).held_octets + 10)
    for body in (1, 2, 3):
        fresh.add(message(body), [(ANNE, END)])
    assert held(fresh, ANNE, 1, 2, 3) == [1, 2, 3]
    fresh.add(message(4), [(ANNE, END)])
    assert held(fresh, ANNE, 1, 2, 3, 4) == [2, 3, 4]
    third = fresh.get(BodyId(3))
    assert third is not None and fresh.entry(third) is not None
    assert held(fresh, ANNE, 2, 3, 4) == [3, 4]


def test_what_was_made_is_counted() -> None:
    """A text that is longer than its octets takes room too; once all is done nothing is counted any more."""
    wide = message(9, b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\ufdfa".encode() * 100)
    fresh = Fresh(wide.held_octets + message(1).held_octets + 100)
    fresh.add(message(1), [(ANNE, END)])
    fresh.add(wide, [(ANNE, END)])
    assert held(fresh, ANNE, 1, 9) == [1, 9]
    assert len(fresh.text(wide) or b"") > 3_000
    assert held(fresh, ANNE, 1, 9) == []
    fresh.add(message(2), [(ANNE, END)])
    fresh.add(message(3), [(ANNE, END)])
    assert held(fresh, ANNE, 2, 3) == [2, 3]


def test_a_text_is_that_of_the_message() -> None:
    """What is made of the octets held is what would be made of the whole message; it is made once."""
    attachment = b"--b\r\nContent-Disposition: attachment; filename=ecg.pdf\r\n\r\n" + b"JVBERi0x\r\n" * 50
    octets = (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\nun\r\n"
        + attachment
        + b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ndeux\r\n"
        + attachment
        + b"--b--\r\nepilogue"
    )
    scanner = Scanner()
    scanner.feed(octets)
    record = build(scanner.finish())
    fresh, kept = Fresh(), message(1, octets)
    fresh.add(kept, [(ANNE, END)])
    text = fresh.text(kept)
    assert text is not None and text == texts.search_text(record, lambda start, end: octets[start:end])
    assert fresh.text(kept) is text


def test_places_go_one_by_one() -> None:
    """A message stays for those for whom it isn't searchable yet; a period or an account takes its places along."""
    fresh = Fresh()
    fresh.add(message(1), [(ANNE, END), (BERT, END)])
    fresh.add(message(2), [(BERT, Period(200))])
    fresh.done(ANNE, BodyId(1), END)
    assert (held(fresh, ANNE, 1), held(fresh, BERT, 1)) == ([], [1])
    assert held(fresh, BERT, 1, period=200) == []
    assert held(fresh, BERT, 1, now=100) == []
    fresh.drop_ended(99.9)
    assert len(fresh) == 2
    fresh.drop_ended(100)
    assert len(fresh) == 1
    fresh.forget_account(BERT)
    assert len(fresh) == 0
    fresh.add(None, [(ANNE, END)])
    assert len(fresh) == 0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path, FakeClock())
    yield made
    made.close()


KEYS: list[tuple[Key, list[int]]] = [
    (Text("électro 1"), [1]),
    (Body("ELECTRO"), []),
    (Header("from", "zoé"), [0, 1, 2]),
    (Header("x-other", "un 2"), [2]),
    (Sent(When.ON, date(2026, 1, 2)), [0, 1, 2]),
    (And((Header("subject", "bilan 1"), Text("électro"))), [1]),
    (Not(Text("électro 0")), [1, 2]),
]


async def sent(home: Home, *to: Principal) -> None:
    for number in range(3):
        head = (
            f"From: Zoé <z@x.fr>\r\nSubject: Bilan {number}\r\nX-Other: un {number}\r\nDate: 2 Jan 2026 12:00:00 +0100"
        )
        await send(home, f"{head}\r\n\r\nÉlectro {number}\r\n".encode(), *to)


async def test_a_search_opens_nothing_that_is_in_memory(home: Home) -> None:
    """Mail just kept is searched and made searchable without its body or record; then it leaves memory."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await sent(home, anne, bert)
    forget(home, "bodies", "records")
    for who in (anne, bert):
        view = await inbox(home, who)
        for key, expected in KEYS:
            assert await search(home.house, view, key) == expected, key
    assert len(home.house.fresh) == 3
    assert await Indexer(home.house).run() == 6
    assert len(home.house.fresh) == 0
    for key, expected in KEYS:
        if not isinstance(key, Header) or key.name != "x-other":
            assert await search(home.house, view, key) == expected, key


async def test_gone_is_gone(home: Home) -> None:
    """A message in memory isn't found once it was expunged, though a copy of its body is in the account."""
    anne = home.add_account("anne")
    await sent(home, anne)
    view = await inbox(home, anne)
    changer = Changer(home.house, await inbox(home, anne))
    await changer.copy([1], "Trash")
    await changer.store([1], FlagWish(Flag.DELETED.value, frozenset(), "add"))
    await changer.expunge()
    assert await search(home.house, view, Text("électro")) == [0, 2]


async def test_a_large_message_is_opened(home: Home) -> None:
    """Of more than a chunk nothing is kept in memory, and it is found all the same."""
    anne = home.add_account("anne")
    await send(home, b"Subject: x\r\n\r\n" + b"mot " * 20_000 + b"aiguille", anne)
    assert len(home.house.fresh) == 0
    assert await search(home.house, await inbox(home, anne), Text("aiguille")) == [0]


async def test_what_was_not_committed_is_not_kept(home: Home) -> None:
    """Only messages whose rows are there come into memory."""
    anne = home.add_account("anne")
    home.write.run_blocking(lambda tx: tx.driver.execute("UPDATE accounts SET inbox_id = 4711"))
    with pytest.raises(Exception, match="no INBOX"):
        await sent(home, anne)
    assert len(home.house.fresh) == 0
