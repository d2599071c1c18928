"""Mail through the house: delivered, seen, read, changed, searched, and erased at term."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mssmail.audit.events import Event, Kind
from mssmail.audit.verify import verify
from mssmail.base.clock import FakeClock
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.search import And, Arrived, Body, Flag, HasFlag, Header, Key, Larger, Not, Or, Text, When
from mssmail.base.section import Part, Section, Span
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.flow.append import Append, Appended, Targets
from mssmail.flow.boxes import Boxes
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.deliver import Replay, deliver
from mssmail.flow.keep import Keeper, Kept
from mssmail.flow.purge import Purge, PurgeStopped, set_term
from mssmail.flow.read import Reader, Wanted
from mssmail.flow.search import search
from mssmail.flow.view import View, open_view
from mssmail.settings.units import Seconds
from mssmail.store import accounts, messages
from tests.support.houses import Home, recipient

SMALL = (
    b"From: a@demo.mssante.fr\r\nTo: b@demo.mssante.fr\r\nSubject: =?utf-8?q?Bilan_r=C3=A9nal?=\r\n"
    b"Date: Mon, 05 Jan 2026 12:00:00 +0100\r\nMessage-ID: <1@x>\r\n\r\nCr\xc3\xa9atinine normale.\r\n"
)
ALL: Wanted = (Section(), None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


async def keep(home: Home, octets: bytes, piece: int = 10_000) -> Kept:
    keeper = Keeper(home.house)
    for start in range(0, len(octets), piece):
        keeper.write(octets[start : start + piece])
        if keeper.is_full:
            await keeper.flush()
    return await keeper.finish()


async def send(home: Home, octets: bytes, *to: Principal, replay: Replay | None = None) -> str | None:
    kept = await keep(home, octets)
    event = Event(Kind.SUBMITTED, to[0].account, details={"id": f"{kept.body:x}"})
    return await deliver(home.house, kept, [recipient(p) for p in to], event, replay)


async def body_of(home: Home, view: View, index: int, span: Span | None = None) -> bytes:
    reader = Reader(home.house, view)
    async for fetched in reader.messages([index], [(Section(), span)]):
        piece = fetched.pieces[0]
        assert piece is not None
        if piece.data is not None:
            return piece.data
        return b"".join([part async for part in reader.stream(piece)])
    raise LookupError(index)


def big(octets: int) -> bytes:
    """A message whose octets don't compress."""
    seed, out = b"x", [SMALL]
    size = len(SMALL)
    while size < octets:
        seed = hashlib.sha512(seed).digest()
        line = seed.hex().encode()[:76] + b"\r\n"
        out.append(line)
        size += len(line)
    return b"".join(out)


@pytest.mark.parametrize("size", [0, 200, 65_536 - 3, 65_536, 400_000, 3_000_000])
async def test_what_is_delivered_is_read_back(home: Home, size: int) -> None:
    """The octets that a recipient reads are those that were delivered, whole and in part."""
    anne = home.add_account("anne")
    message = big(size)
    await send(home, message, anne)
    view = await open_view(home.house, anne, "inbox", read_only=False)
    assert len(view) == 1
    assert await body_of(home, view, 0) == message
    for start, count in ((0, 10), (65_530, 20), (len(message) - 5, 100), (len(message) + 9, 5)):
        assert await body_of(home, view, 0, Span(start, count)) == message[start : start + count]


async def test_one_body_serves_all_recipients(home: Home) -> None:
    """A message to three boxes is stored once and readable in each."""
    people = [home.add_account(name) for name in ("anne", "bert", "cora")]
    await send(home, SMALL, *people)
    assert home.tx().driver.execute("SELECT count(*) FROM bodies").fetchone() == (1,)
    for person in people:
        view = await open_view(home.house, person, "INBOX", read_only=True)
        assert await body_of(home, view, 0) == SMALL


async def test_a_view_learns_of_arrivals_changes_and_expunges(home: Home) -> None:
    """Another session's acts show in order, and message numbers change only when the expunges are taken."""
    anne = home.add_account("anne")
    for _ in range(5):
        await send(home, SMALL, anne)
    mine = await open_view(home.house, anne, "INBOX", read_only=False)
    theirs = await open_view(home.house, anne, "INBOX", read_only=False)
    assert (mine.recent, theirs.recent) == (5, 0)
    changer = Changer(home.house, theirs)
    await changer.store([1, 3], FlagWish(Flag.DELETED.value, frozenset({"$Label1"}), "add"))
    await changer.expunge()
    await changer.store([0], FlagWish(Flag.SEEN.value, frozenset(), "replace"))
    await send(home, SMALL, anne)
    await mine.refresh()
    assert mine.take_updates() == [0]
    assert [mine.is_gone(uid) for uid in (1, 2, 3, 4, 5, 6)] == [False, True, False, True, False, False]
    assert mine.take_expunges() == [4, 2]
    assert mine.take_exists() == 4
    assert list(mine.uids) == [1, 3, 5, 6]
    assert mine.take_exists() is None
    row = await Boxes(home.house).status(anne, "INBOX")
    assert (row.messages, row.unseen, row.uid_next) == (4, 3, 7)


async def test_copy_and_move_keep_order_flags_and_counts(home: Home) -> None:
    """UIDs rise in the source's order, flags and keywords go along, and quota counts each copy once."""
    anne = home.add_account("anne")
    boxes = Boxes(home.house)
    await boxes.create(anne, "Archives/2026")
    for _ in range(4):
        await send(home, SMALL, anne)
    view = await open_view(home.house, anne, "INBOX", read_only=False)
    changer = Changer(home.house, view)
    await changer.store([1], FlagWish(Flag.FLAGGED.value, frozenset({"Suivi"}), "add"))
    copied = await changer.copy([0, 1, 3], "Archives/2026")
    assert (copied.source, copied.first) == ([1, 2, 4], 1)
    moved = await changer.move([1, 2], "Archives/2026")
    assert (moved.source, moved.first) == ([2, 3], 4)
    assert view.take_expunges() == [3, 2]
    there = await open_view(home.house, anne, "Archives/2026", read_only=False)
    assert list(there.uids) == [1, 2, 3, 4, 5]
    assert [bool(f & Flag.FLAGGED.value) for f in there.flags] == [False, True, False, True, False]
    assert [bool(k) for k in there.keywords] == [False, True, False, True, False]
    assert await body_of(home, there, 4) == SMALL
    account = accounts.by_id(home.tx(), anne.account)
    assert account.used_octets == 7 * len(SMALL)
    row = await boxes.status(anne, "Archives/2026")
    assert (row.messages, row.octets) == (5, 5 * len(SMALL))


async def _appended(home: Home, who: Principal, *bodies: bytes) -> Appended:
    """Append them to the INBOX by one command."""
    spool = Append(Targets(home.house, who), "INBOX")
    await spool.look()
    for octets in bodies:
        spool.begin()
        await spool.write(octets)
        await spool.end(Flag.SEEN.value, frozenset({"$Forwarded"}), (1_700_000_000, 60))
    return await spool.finish()


async def test_append_counts_against_the_quota(home: Home) -> None:
    """An APPEND beyond the quota is refused whole, and leaves nothing behind."""
    anne = home.add_account("anne", quota_octets=2 * len(SMALL) + 10)
    done = await _appended(home, anne, SMALL)
    assert (done.first, done.count) == (1, 1)
    with pytest.raises(Refusal) as refused:
        await _appended(home, anne, SMALL, SMALL)
    assert refused.value.reason is Reason.OVER_QUOTA
    row = await Boxes(home.house).status(anne, "INBOX")
    assert (row.messages, row.unseen, row.uid_next) == (1, 0, 2)
    assert home.tx().driver.execute("SELECT count(*) FROM bodies").fetchone() == (1,)


async def _append_small(targets: Targets, folder: str) -> Appended:
    spool = Append(targets, folder)
    await spool.look()
    spool.begin()
    await spool.write(SMALL)
    await spool.end(0, frozenset(), None)
    return await spool.finish()


async def test_a_folder_put_into_before_may_be_gone(home: Home) -> None:
    """What a session remembers of a folder lets no message into one that was deleted; made anew, it is found."""
    anne = home.add_account("anne")
    boxes, targets = Boxes(home.house), Targets(home.house, anne)
    await boxes.create(anne, "Plans")
    assert (await _append_small(targets, "Plans")).first == 1
    await boxes.delete(anne, "Plans")
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            await _append_small(targets, "Plans")
        assert refused.value.reason is Reason.FOLDER_MISSING
    await boxes.create(anne, "Plans")
    assert (await _append_small(targets, "Plans")).first == 1
    assert accounts.by_id(home.tx(), anne.account).used_octets == len(SMALL)


async def test_append_goes_by_the_term_of_now(home: Home) -> None:
    """A term that is changed while a session lives counts for its next APPEND."""
    anne = home.add_account("anne")
    targets = Targets(home.house, anne)
    await _append_small(targets, "INBOX")
    await set_term(home.house, anne.account, 3600, "test")
    await _append_small(targets, "INBOX")
    periods = [row[0] for row in home.tx().driver.execute("SELECT period FROM messages ORDER BY uid")]
    now = home.clock.now()
    assert periods[0] - now > 86_400
    assert 3600 <= periods[1] - now <= 2 * 3600
    assert home.tx().driver.execute("SELECT count(*) FROM wraps").fetchone() == (2,)


async def test_append_keeps_little_in_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a bound the small messages of one APPEND go to the body store too, and read the same."""
    anne = home.add_account("anne")
    monkeypatch.setattr("mssmail.flow.append.HELD_OCTETS", 1)
    done = await _appended(home, anne, SMALL, SMALL, SMALL)
    assert (done.first, done.count) == (1, 3)
    assert home.tx().driver.execute("SELECT place, count(*) FROM bodies GROUP BY 1").fetchall() == [(0, 1), (1, 2)]
    view = await open_view(home.house, anne, "INBOX", read_only=False)
    assert [await body_of(home, view, index) for index in range(3)] == [SMALL] * 3


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Header("Subject", "RÉNAL"), [0, 1, 2]),
        (Header("X-None", ""), []),
        (Body("créatinine"), [0, 1, 2]),
        (Text("bilan"), [0, 1, 2]),
        (And((HasFlag(Flag.SEEN), Text("bilan"))), [1]),
        (Or(HasFlag(Flag.SEEN), Larger(10_000)), [1, 2]),
        (Not(Or(HasFlag(Flag.SEEN), Larger(10_000))), [0]),
        (And((Arrived(When.SINCE, date(2020, 1, 1)), Not(Body("zzz")))), [0, 1, 2]),
    ],
)
async def test_search_finds_exactly(home: Home, key: Key, expected: list[int]) -> None:
    """A search finds what matches, by flags, by what stands in clear, and by what has to be opened."""
    anne = home.add_account("anne")
    for message in (SMALL, SMALL, big(20_000)):
        await send(home, message, anne)
    view = await open_view(home.house, anne, "INBOX", read_only=False)
    await Changer(home.house, view).store([1], FlagWish(Flag.SEEN.value, frozenset(), "add"))
    assert await search(home.house, view, key) == expected


async def test_a_repeat_is_stored_once_only_when_the_first_sender_is_gone(home: Home) -> None:
    """The same octets from a live connection are another message; after a lost one they are the same."""
    anne = home.add_account("anne")
    assert await send(home, SMALL, anne, replay=Replay(b"d", "q1")) is None
    assert await send(home, SMALL, anne, replay=Replay(b"d", "q2")) is None
    home.write.run_blocking(lambda tx: messages_armed(tx, b"d"))
    assert await send(home, SMALL, anne, replay=Replay(b"d", "q3")) == "q1"
    assert (await Boxes(home.house).status(anne, "INBOX")).messages == 2


def messages_armed(tx: object, digest: bytes) -> None:
    from mssmail.store import replays
    from mssmail.store.interface import Transaction

    assert isinstance(tx, Transaction)
    replays.arm(tx, [digest])


async def test_purge_erases_at_term_and_for_good(tmp_path: Path) -> None:
    """At its period's end a message is gone from every box, quota is freed, and an old copy no longer opens."""
    home = Home(tmp_path)
    clock = home.clock
    assert isinstance(clock, FakeClock)
    retention = replace(home.settings.retention, default=Seconds(5))
    house = home.with_settings(replace(home.settings, retention=retention))
    home.house = house
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, big(800_000), anne, bert)
    view = await open_view(house, anne, "INBOX", read_only=False)
    sealed = messages.sealed(home.tx(), view.folder, anne.account, [(1, 1)])[0]
    assert list((tmp_path / "bodies").glob("??/*"))
    purge = Purge(house, announce=False)
    done = await purge.run()
    assert done is not None
    assert done.messages == 0
    clock.advance(7)
    done = await purge.run()
    assert done is not None
    assert (done.messages, done.periods) == (2, 1)
    for person in (anne, bert):
        row = await Boxes(house).status(person, "INBOX")
        assert (row.messages, row.octets) == (0, 0)
        assert accounts.by_id(home.tx(), person.account).used_octets == 0
    await view.refresh()
    assert view.take_expunges() == [1]
    assert not list((tmp_path / "bodies").glob("??/*"))
    for table in ("messages", "wraps", "bodies", "records", "body_outbox"):
        assert home.tx().driver.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    with pytest.raises((KeyDestroyed, Unsealable)):
        house.keys.unwrap(anne.account, sealed.facts.body_id, sealed.facts.period, sealed.wrapped)
    report = verify(home.tx(), house.trail)
    assert report.sound, report.faults
    home.close()


async def test_purge_stops_where_the_clock_jumped(tmp_path: Path) -> None:
    """A clock that jumped by more than 25 h stops the purge until it is told to go on."""
    home = Home(tmp_path)
    assert isinstance(home.clock, FakeClock)
    anne = home.add_account("anne")
    purge = Purge(home.house, announce=False)
    await purge.run()
    await send(home, SMALL, anne)
    home.clock.advance(200 * 86_400)
    with pytest.raises(PurgeStopped):
        await purge.run()
    assert (await Boxes(home.house).status(anne, "INBOX")).messages == 1
    done = await purge.run(allow_shrink=True)
    assert done is not None
    assert done.messages == 1
    home.close()


async def test_expunged_mail_is_gone_from_the_store(home: Home) -> None:
    """After EXPUNGE no wrap is left, and after the grace no body; a copy elsewhere keeps them."""
    anne = home.add_account("anne")
    assert isinstance(home.clock, FakeClock)
    for _ in range(2):
        await send(home, SMALL, anne)
    view = await open_view(home.house, anne, "INBOX", read_only=False)
    changer = Changer(home.house, view)
    await changer.copy([1], "Trash")
    await changer.store([0, 1], FlagWish(Flag.DELETED.value, frozenset(), "add"))
    assert await changer.expunge() == 2
    count = home.tx().driver.execute
    assert count("SELECT count(*) FROM wraps").fetchone() == (1,)
    home.clock.advance(120)
    await Purge(home.house, announce=False).run()
    assert count("SELECT count(*) FROM bodies").fetchone() == (1,)
    trash = await open_view(home.house, anne, "Trash", read_only=True)
    assert await body_of(home, trash, 0) == SMALL


async def test_folders_are_made_renamed_and_deleted(home: Home) -> None:
    """Levels above are made, inferiors follow a rename and outlive a deletion, names are sealed."""
    anne = home.add_account("anne")
    boxes = Boxes(home.house)
    await boxes.create(anne, "Été/Congés/2026/")
    await boxes.rename(anne, "Été", "Hiver")
    names = [f.name for f in await boxes.all(anne)]
    assert names == ["INBOX", "Hiver", "Hiver/Congés", "Hiver/Congés/2026", "Trash"]
    await boxes.delete(anne, "Hiver/Congés")
    shown = {f.name: f.exists for f in await boxes.all(anne)}
    assert shown["Hiver/Congés"] is False
    for act, reason in (
        (boxes.create(anne, "inbox"), Reason.FOLDER_EXISTS),
        (boxes.delete(anne, "INBOX"), Reason.FOLDER_FIXED),
        (boxes.delete(anne, "Hiver/Congés"), Reason.FOLDER_MISSING),
        (boxes.create(anne, "a//b"), Reason.FOLDER_NAME),
        (boxes.rename(anne, "Hiver", "Hiver/x"), Reason.FOLDER_NAME),
        (boxes.rename(anne, "Trash", "Hiver"), Reason.FOLDER_EXISTS),
    ):
        with pytest.raises(Refusal) as refused:
            await act
        assert refused.value.reason is reason
    raw = (home.folder / "mail.db").read_bytes() + (home.folder / "mail.db-wal").read_bytes()
    assert b"Hiver" not in raw
    assert "Congés".encode() not in raw


async def test_renaming_inbox_moves_its_messages(home: Home) -> None:
    """INBOX stays, empty; the new folder has its messages (RFC 3501 §6.3.5)."""
    anne = home.add_account("anne")
    await send(home, SMALL, anne)
    boxes = Boxes(home.house)
    await boxes.rename(anne, "INBOX", "Ancien")
    assert (await boxes.status(anne, "INBOX")).messages == 0
    assert (await boxes.status(anne, "Ancien")).messages == 1


async def test_reader_counts_what_is_gone(home: Home) -> None:
    """A message expunged by another session is counted as lost, and the others are read."""
    anne = home.add_account("anne")
    for _ in range(3):
        await send(home, SMALL, anne)
    stale = await open_view(home.house, anne, "INBOX", read_only=False)
    other = await open_view(home.house, anne, "INBOX", read_only=False)
    changer = Changer(home.house, other)
    await changer.store([1], FlagWish(Flag.DELETED.value, frozenset(), "add"))
    await changer.expunge()
    reader = Reader(home.house, stale)
    seen = [f.index async for f in reader.messages([0, 1, 2], [(Section(part=Part.HEADER), None)])]
    assert (seen, reader.lost) == ([0, 2], 1)
