"""Copies and moves between two accounts' boxes: sealed anew, all or none, counted and traced on both sides."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.audit.events import Event, Kind
from mssmail.base.ids import AccountId
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, Delegation, Right
from mssmail.base.search import Flag, Header, Text
from mssmail.base.section import Section
from mssmail.crypto.keystore import KeyKind
from mssmail.flow import transfer
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.deliver import deliver
from mssmail.flow.index import Indexer
from mssmail.flow.keep import Keeper
from mssmail.flow.purge import Purge
from mssmail.flow.read import Reader
from mssmail.flow.search import search
from mssmail.flow.transfer import Transfer
from mssmail.flow.view import View, open_view
from mssmail.store import accounts, delegations, trail
from mssmail.store.interface import Transaction
from tests.support.houses import Home, recipient

MESSAGE = b"From: a@demo.mssante.fr\r\nSubject: Bilan\r\n\r\nRein droit normal.\r\n"
DAY = 86_400


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


async def send(home: Home, *to: Principal, times: int = 1) -> None:
    for _ in range(times):
        keeper = Keeper(home.house)
        keeper.write(MESSAGE)
        kept = await keeper.finish()
        event = Event(Kind.SUBMITTED, to[0].account, details={"id": f"{kept.body:x}"})
        await deliver(home.house, kept, [recipient(p) for p in to], event, None)


def give(home: Home, box: Principal, person: Principal, rights: Right = FULL) -> Principal:
    """Let a person act in a box; them, acting there."""
    given = Delegation(rights, 0, None)
    home.write.run_blocking(
        lambda tx: delegations.put_in(tx, box.account, person.account, given, AccountId(0), tell=False)
    )
    return replace(person, account=box.account, address=box.address, rights=rights)


async def inbox(home: Home, principal: Principal) -> View:
    return await open_view(home.house, principal, "INBOX", read_only=True)


async def bodies_in(home: Home, view: View) -> list[bytes]:
    every = range(len(view))
    found = [f async for f in Reader(home.house, view).messages(every, [(Section(), None)])]
    return [f.pieces[0].data or b"" for f in found if f.pieces[0] is not None]


def used(home: Home, principal: Principal) -> int:
    return accounts.by_id(home.tx(), principal.account).used_octets


def counted(home: Home, table: str) -> int:
    row = home.tx().driver.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0])


def traced(home: Home, kind: Kind) -> list[tuple[int, dict[str, object]]]:
    rows = trail.events_of(home.tx(), home.chain, 0, 10_000)
    return [(row.account_id, home.house.trail.open(row)["d"]) for row in rows if row.kind == kind]  # type: ignore[misc]


async def reason_of(attempt: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        await attempt  # type: ignore[misc]
    return caught.value.reason


async def test_copied(home: Home) -> None:
    """A copy is read, searched and flagged in the other box as in the first; the body is stored once."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    acting = give(home, anne, bert)
    await send(home, anne, times=3)
    view = await inbox(home, acting)
    await Changer(home.house, view).store([1], FlagWish(Flag.FLAGGED.value, frozenset({"suivi"}), "add"))
    # bert's keywords have other numbers
    other = await inbox(home, bert)
    await send(home, bert)
    await other.refresh()
    await Changer(home.house, other).store([0], FlagWish(0, frozenset({"a", "b", "Suivi"}), "add"))
    bodies = counted(home, "bodies")
    copied = await Transfer(home.house, view, bert, "inbox").copy(range(3))
    assert (copied.source, copied.first) == ([1, 2, 3], 2)
    assert counted(home, "bodies") == bodies
    there = await inbox(home, bert)
    assert await bodies_in(home, there) == [MESSAGE] * 4
    assert list(there.flags) == [0, 0, Flag.FLAGGED.value, 0]
    named = {number: name for name, number in there.keyword_names.items()}
    assert [name for number, name in named.items() if there.keywords[2] >> number & 1] == ["Suivi"]
    assert await search(home.house, there, Header("subject", "bilan")) == [0, 1, 2, 3]
    await Indexer(home.house, quiet_s=0).run()
    assert await search(home.house, there, Text("rein droit")) == [0, 1, 2, 3]
    assert used(home, bert) == 4 * len(MESSAGE)
    assert used(home, anne) == 3 * len(MESSAGE)


async def test_moved(home: Home) -> None:
    """A move takes the messages and their octets along; the first account's keys open them no longer."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    acting = give(home, anne, bert)
    await send(home, anne, times=3)
    view = await inbox(home, acting)
    moved = await Transfer(home.house, view, bert, "INBOX").move([0, 2])
    assert (moved.source, moved.first) == ([1, 3], 1)
    assert view.take_expunges() == [3, 1]
    assert (used(home, anne), used(home, bert)) == (len(MESSAGE), 2 * len(MESSAGE))
    wraps = home.tx().driver.execute("SELECT account_id, count(*) FROM wraps GROUP BY 1 ORDER BY 1").fetchall()
    assert wraps == [(anne.account, 1), (bert.account, 2)]
    # and what the one box lost is no orphan while the other has it
    home.clock.advance(3_600)  # type: ignore[attr-defined]
    await Purge(home.house, announce=False).run()
    assert counted(home, "body_outbox") == 0
    assert await bodies_in(home, await inbox(home, bert)) == [MESSAGE] * 2
    assert counted(home, "bodies") == 3


async def test_each_account_for_itself(home: Home) -> None:
    """A copy outlives the account that it came from: its key gone, the other's opens the body still."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, anne)
    await Transfer(home.house, await inbox(home, give(home, anne, bert)), bert, "INBOX").copy([0])
    home.key_store.destroy(KeyKind.ACCOUNT, anne.account)
    home.house.keys.forget_account(anne.account)
    assert await bodies_in(home, await inbox(home, bert)) == [MESSAGE]


async def test_there_already(home: Home) -> None:
    """A message that both boxes got is copied over as any, under the wrap that is there."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, anne, bert)
    await Transfer(home.house, await inbox(home, give(home, anne, bert)), bert, "Trash").copy([0])
    view = await open_view(home.house, bert, "Trash", read_only=True)
    assert await bodies_in(home, view) == [MESSAGE]
    assert counted(home, "wraps") == 2


@pytest.mark.parametrize("kind", [Kind.COPIED, Kind.MOVED])
async def test_traced(home: Home, kind: Kind) -> None:
    """Either box's trail has the act, with the person who did it and the other box."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, anne, times=2)
    passing = Transfer(home.house, await inbox(home, give(home, anne, bert)), bert, "INBOX")
    await (passing.copy if kind is Kind.COPIED else passing.move)([0, 1])
    (left, came) = traced(home, kind)
    assert left[0] == anne.account
    assert {"uids": [[1, 2]], "person": bert.person, "to_account": bert.account, "count": 2}.items() <= left[1].items()
    assert came[0] == bert.account
    assert {"first": 1, "person": bert.person, "from_account": anne.account, "count": 2}.items() <= came[1].items()


async def test_arrival_is_kept(home: Home) -> None:
    """Arrival and INTERNALDATE go along, and the term is that of the box that it goes to."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    acting = give(home, anne, bert)
    await send(home, anne)
    home.clock.advance(10 * DAY)  # type: ignore[attr-defined]

    def set_term(days: int) -> None:
        home.write.run_blocking(lambda tx: accounts.set_term(tx, bert.account, days * DAY))

    set_term(20)
    view = await inbox(home, acting)
    await Transfer(home.house, view, bert, "INBOX").copy([0])
    rows = home.tx().driver.execute("SELECT arrived_at, internal_date, period FROM messages ORDER BY account_id")
    (there, here) = rows.fetchall()
    assert there[:2] == here[:2]
    assert 20 * DAY <= here[2] - here[0] <= 21 * DAY
    assert there[2] > here[2]
    set_term(5)
    assert await reason_of(Transfer(home.house, view, bert, "INBOX").copy([0])) is Reason.TERM


@pytest.mark.parametrize(
    ("rights", "to_own", "from_own"),
    [
        (Right.READ, True, False),
        (Right.READ | Right.SEND | Right.MANAGE, True, False),
        (Right.READ | Right.WRITE, True, True),
    ],
)
async def test_rights(home: Home, rights: Right, to_own: bool, from_own: bool) -> None:
    """To read is enough to copy out of a box, to write is needed to put in, and to move out."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    acting = give(home, anne, bert, rights)
    await send(home, anne, bert)
    out, into = await inbox(home, acting), await inbox(home, bert)
    for allowed, passing in (
        (to_own, Transfer(home.house, out, bert, "Trash").copy([0])),
        (from_own, Transfer(home.house, into, acting, "Trash").copy([0])),
        (from_own, Transfer(home.house, out, bert, "Trash").move([0])),
        (from_own, Transfer(home.house, into, acting, "Trash").move([0])),
    ):
        if allowed:
            await passing
        else:
            assert await reason_of(passing) is Reason.NO_RIGHT


async def test_nothing_or_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the box is full, the folder missing or the set too large, nothing has passed."""
    anne, bert = home.add_account("anne"), home.add_account("bert", quota_octets=len(MESSAGE))
    view = await inbox(home, give(home, anne, bert))
    await send(home, anne, times=2)
    await view.refresh()
    assert await reason_of(Transfer(home.house, view, bert, "INBOX").move([0, 1])) is Reason.OVER_QUOTA
    assert await reason_of(Transfer(home.house, view, bert, "Absent").move([0, 1])) is Reason.FOLDER_MISSING
    monkeypatch.setattr(transfer, "MAX_MESSAGES", 1)
    assert await reason_of(Transfer(home.house, view, bert, "INBOX").copy([0, 1])) is Reason.TOO_MANY_MESSAGES
    assert (len(await inbox(home, bert)), used(home, bert), used(home, anne)) == (0, 0, 2 * len(MESSAGE))
    await Transfer(home.house, view, bert, "INBOX").copy([1])


async def test_meanwhile(home: Home) -> None:
    """What is expunged, or a right that ends, between the look and the act doesn't pass."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    acting = give(home, anne, bert)
    await send(home, anne, times=2)
    view, own = await inbox(home, acting), await inbox(home, anne)
    passing = Transfer(home.house, view, bert, "INBOX")
    wrap = passing._wrap

    def expunge(*found: object) -> object:
        keys = wrap(*found)  # type: ignore[arg-type]

        def work(tx: Transaction) -> None:
            tx.driver.execute("DELETE FROM messages WHERE uid = 1 AND folder_id = ?", [own.folder])

        home.write.run_blocking(work)
        return keys

    passing._wrap = expunge  # type: ignore[assignment,method-assign]
    copied = await passing.copy([0, 1])
    assert copied.source == [2]

    def withdraw(*found: object) -> object:
        keys = wrap(*found)  # type: ignore[arg-type]
        home.write.run_blocking(lambda tx: delegations.drop(tx, anne.account, bert.account))
        return keys

    passing._wrap = withdraw  # type: ignore[assignment,method-assign]
    assert await reason_of(passing.copy([1])) is Reason.NO_RIGHT
    assert len(await inbox(home, bert)) == 1
