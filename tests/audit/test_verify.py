"""Verifying the trail finds every kind of tampering that somebody with the database, but without the keys, can do."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.audit.events import Event, Kind
from mssmail.audit.export import lines, opened
from mssmail.audit.trail import event_hash, first_head
from mssmail.audit.verify import Report, verify
from mssmail.base.clock import FakeClock
from mssmail.flow.watch import Watch
from mssmail.store import trail
from mssmail.store.trail import EventRow
from tests.support.houses import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


async def fill(home: Home, count: int = 20) -> None:
    """Events, a checkpoint half-way and one at the end."""
    watch = Watch(home.house)
    for k in range(count):
        event = Event(Kind.READ, k % 3, f"box{k % 3}@demo.mssante.fr", details={"k": k})
        await home.write.run(lambda tx, e=event: tx.trail(e))  # type: ignore[misc]
        if k == count // 2:
            await watch.tie()
    await watch.tie()


def verified(home: Home) -> Report:
    return verify(home.tx(), home.house.trail)


def change(home: Home, *statements: tuple[str, tuple[object, ...]]) -> None:
    driver = home.plain()
    for sql, values in statements:
        driver.execute(sql, values)
    driver.close()


async def test_an_untouched_trail_is_sound(home: Home) -> None:
    """Nothing is found where nothing was done, and all of it is counted."""
    await fill(home)
    report = verified(home)
    assert report.sound, report.faults
    assert (report.events, report.chains, report.checkpoints) == (20, 1, 2)


@pytest.mark.parametrize(
    ("name", "statements"),
    [
        ("edited", [("UPDATE events SET sealed = zeroblob(length(sealed)) WHERE sequence = 5", ())]),
        ("account edited", [("UPDATE events SET account_id = 99 WHERE sequence = 5", ())]),
        ("moved in time", [("UPDATE events SET at_ms = at_ms - 60000 WHERE sequence = 5", ())]),
        ("removed", [("DELETE FROM events WHERE sequence = 7", ())]),
        (
            "swapped",
            [
                ("UPDATE events SET sequence = 1000 WHERE sequence = 3", ()),
                ("UPDATE events SET sequence = 3 WHERE sequence = 4", ()),
                ("UPDATE events SET sequence = 4 WHERE sequence = 1000", ()),
            ],
        ),
        ("tail cut", [("DELETE FROM events WHERE sequence > 15", ())]),
        ("checkpoint removed", [("DELETE FROM checkpoints WHERE number = 2", ())]),
        ("checkpoint edited", [("UPDATE checkpoints SET at_ms = 1, statement = x'7b7d' WHERE number = 1", ())]),
        ("all removed", [("DELETE FROM events", ()), ("DELETE FROM chains", ()), ("DELETE FROM checkpoints", ())]),
        ("front cut", [("DELETE FROM events WHERE sequence < 5", ())]),
    ],
)
async def test_tampering_is_found(home: Home, name: str, statements: list[tuple[str, tuple[object, ...]]]) -> None:
    """Each single act of tampering makes the trail unsound."""
    await fill(home)
    change(home, *statements)
    assert not verified(home).sound, name


async def test_a_cut_tail_with_a_mended_head_is_found(home: Home) -> None:
    """Who cuts the tail and sets the chain's row right is betrayed by the checkpoint."""
    await fill(home)
    head = home.tx().driver.execute("SELECT hash FROM events WHERE sequence = 15").fetchone()[0]
    change(
        home,
        ("DELETE FROM events WHERE sequence > 15", ()),
        ("UPDATE chains SET count = 15, head = ?", (head,)),
    )
    report = verified(home)
    assert any("event 20" in fault for fault in report.faults)


async def test_a_cut_tail_with_its_checkpoint_is_found(home: Home) -> None:
    """Who removes the checkpoint too is betrayed by the key store's note."""
    await fill(home)
    head = home.tx().driver.execute("SELECT hash FROM events WHERE sequence = 11").fetchone()[0]
    change(
        home,
        ("DELETE FROM events WHERE sequence > 11", ()),
        ("UPDATE chains SET count = 11, head = ?", (head,)),
        ("DELETE FROM checkpoints WHERE number = 2", ()),
    )
    assert any("key store" in fault for fault in verified(home).faults)


async def test_a_chain_recomputed_without_the_keys_is_found(home: Home) -> None:
    """Who drops an event and renumbers and hashes the rest anew can neither seal nor sign them."""
    await fill(home)
    rows = [row for row in trail.events_of(home.tx(), home.chain, 0, 100) if row.sequence != 9]
    head, remade = first_head(), []
    for sequence, row in enumerate(rows, start=1):
        new = EventRow(row.chain_id, sequence, row.at_ms, row.kind, row.account_id, row.subject, row.sealed, b"")
        head = event_hash(head, new)
        remade.append((sequence, head, row.sequence))
    change(home, ("DELETE FROM events WHERE sequence = 9", ()))
    change(home, *[("UPDATE events SET sequence = ?, hash = ? WHERE sequence = ?", values) for values in remade])
    change(home, ("UPDATE chains SET count = 19, head = ?", (head,)))
    faults = verified(home).faults
    assert any("doesn't open" in fault for fault in faults)
    assert any("signed by checkpoint" in fault for fault in faults)


async def test_a_cut_at_the_end_of_term_stays_sound(tmp_path: Path) -> None:
    """Old days are cut whole, their heads stay signed, the rest verifies, and their keys are destroyed."""
    home = Home(tmp_path)
    assert isinstance(home.clock, FakeClock)
    await fill(home)
    old = trail.events_of(home.tx(), home.chain, 0, 1)[0]
    home.clock.advance(200 * 86_400)
    await fill(home, 5)
    home.clock.advance(60)
    await Watch(home.house).cut()
    report = verified(home)
    assert report.sound, report.faults
    assert report.events == 6
    assert opened(home.house.trail, old).outcome == "unreadable"
    home.close()


async def test_a_forged_cut_is_found(home: Home) -> None:
    """Who removes the first events and claims a cut hasn't the signature for it."""
    await fill(home)
    head = home.tx().driver.execute("SELECT hash FROM events WHERE sequence = 4").fetchone()[0]
    change(home, ("DELETE FROM events WHERE sequence <= 4", ()), ("UPDATE chains SET cut = 4, cut_head = ?", (head,)))
    assert any("was signed" in fault for fault in verified(home).faults)


async def test_export_carries_all_that_verifying_needs(home: Home) -> None:
    """The exported lines hold the key, the chain, its events in order, and the checkpoints."""
    await fill(home)
    read = [json.loads(line) for line in lines(home.tx(), home.house.trail, sealed_only=False)]
    assert len(read[0]["public_key"]) == 64
    assert [line["event"] for line in read if "event" in line] == list(range(1, 21))
    assert [line["checkpoint"] for line in read if "checkpoint" in line] == [1, 2]
    told = read[2]["opened"]
    assert (told["kind"], told["subject"], told["details"]) == ("read", "box0@demo.mssante.fr", {"k": 0})


async def test_nothing_of_a_subject_lies_in_clear(home: Home) -> None:
    """The address an event is about is on disk as a digest and sealed, never as text."""
    await fill(home)
    raw = b"".join(path.read_bytes() for path in home.folder.glob("mail.db*"))
    assert b"box1" not in raw
    assert b"demo.mssante" not in raw
