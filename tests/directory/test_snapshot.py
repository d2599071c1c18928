"""An import puts a whole, checked snapshot in service, or changes nothing."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory import snapshot
from mssmail.directory.lookup import Directory
from mssmail.directory.model import Kind
from mssmail.directory.snapshot import Progress, import_extracts, previous_path, read_info, roll_back

Line = Callable[..., str]
Write = Callable[..., Path]


def ids(first: int, last: int) -> list[str]:
    return [f"8{n:011d}" for n in range(first, last + 1)]


@pytest.fixture
def people(write: Write, activity_header: str, person: Line) -> Callable[[str, int, int], Path]:
    """Write an activity extract of the people numbered first to last."""
    return lambda name, first, last: write(name, [activity_header, *map(person, ids(first, last))])


@pytest.fixture
def boxes(write: Write, box_header: str, box: Line) -> Callable[[str, int, int], Path]:
    """Write an extract of the boxes numbered first to last, one a person."""
    return lambda name, first, last: write(
        name, [box_header, *(box(f"p{i}@h.fr", i) for i in ids(first, last))], member="x.txt"
    )


Numbered = Callable[[str, int, int], Path]


def test_both_kinds_make_a_snapshot(target: Path, people: Numbered, boxes: Numbered, clock: FakeClock) -> None:
    """Counts, sources with digests, and time of building are told by the snapshot itself."""
    info = import_extracts(target, [people("a.txt", 1, 30), boxes("b.zip", 1, 20)], clock=clock)
    assert (info.people, info.boxes, info.built_at) == (30, 20, clock.now())
    assert [(s.kind, s.name, s.rows, s.kept) for s in info.sources] == [
        (Kind.ACTIVITY, "a.txt", 30, 30),
        (Kind.BOXES, "b.zip/x.txt", 20, 20),
    ]
    assert all(len(s.sha256) == 64 for s in info.sources)
    assert read_info(target) == info
    assert target.stat().st_mode & 0o777 == 0o600


def test_many_batches(
    target: Path,
    write: Write,
    activity_header: str,
    person: Line,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person whose lines are far apart is one person with the professions of all."""
    monkeypatch.setattr("mssmail.directory.extract.BATCH", 3)
    lines = [person(i, code=code) for code in ("21", "10", "10") for i in ids(1, 10)]
    import_extracts(target, [write("a.txt", [activity_header, *lines])], clock=clock)
    found = Directory(target, clock).person(ids(7, 7)[0])
    assert found is not None
    assert [p.code for p in found.professions] == ["10", "21"]


def test_one_kind_carries_the_other_over(target: Path, people: Numbered, boxes: Numbered, clock: FakeClock) -> None:
    """An import of one kind leaves the other as it was, its source and date included."""
    first = import_extracts(target, [boxes("b.txt", 1, 20), people("a.txt", 1, 30)], clock=clock)
    clock.advance(86_400)
    second = import_extracts(target, [people("c.txt", 1, 31)], clock=clock)
    assert (second.people, second.boxes) == (31, 20)
    assert second.sources[1] == first.sources[1]
    directory = Directory(target, clock)
    assert len(directory.box(f"p{ids(1, 1)[0]}@h.fr")) == 1
    assert directory.boxes_of_person(ids(1, 1)[0]) != ()
    third = import_extracts(target, [boxes("d.txt", 1, 21)], clock=clock)
    assert (third.people, third.boxes, third.sources[0]) == (31, 21, second.sources[0])
    assert len(Directory(target, clock).search("martin", 50)) == 31


def test_people_alone_make_a_first_snapshot(target: Path, people: Numbered, clock: FakeClock) -> None:
    """Without boxes the directory still says who is registered."""
    info = import_extracts(target, [people("a.txt", 1, 3)], clock=clock)
    assert (info.people, info.boxes, [s.kind for s in info.sources]) == (3, 0, [Kind.ACTIVITY])


@pytest.mark.parametrize(
    ("last", "refused"), [(100, False), (95, False), (94, True), (50, True), (1, True), (200, False)]
)
def test_shrink_guard(
    target: Path, people: Numbered, boxes: Numbered, clock: FakeClock, last: int, refused: bool
) -> None:
    """Either kind may lose 5 % and no more, unless that is allowed expressly."""
    before = import_extracts(target, [people("a.txt", 1, 100), boxes("b.txt", 1, 100)], clock=clock)
    for number, make in enumerate((people, boxes)):
        file = make(f"new{number}.txt", 1, last)
        if refused:
            with pytest.raises(Refusal) as e:
                import_extracts(target, [file], clock=clock)
            assert e.value.reason is Reason.IMPORT
            assert f"{last} " in e.value.detail
            assert "100" in e.value.detail
            assert read_info(target) == before
        info = import_extracts(target, [file], clock=clock, allow_shrink=refused)
        assert (info.people, info.boxes)[number] == last
        before = info


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"not|a|header\n1|2|3\n", "not the header"),
        (b"PK\x03\x04 not really", "damaged archive"),
        (b"{header}\n", "no people in it (only a header)"),
        (b"{header}\n1|2|3\n", "no people in it (mostly too-few-columns, first in line 2)"),
        (b"\x00\x01\x02" * 1000, "not the header"),
    ],
)
def test_malformed_file_leaves_the_old_one_in_service(
    target: Path,
    tmp_path: Path,
    people: Numbered,
    boxes: Numbered,
    activity_header: str,
    clock: FakeClock,
    content: bytes,
    words: str,
) -> None:
    """A malformed or empty file is refused whole, a good file beside it included, and the good snapshot serves on."""
    before = import_extracts(target, [people("a.txt", 1, 10), boxes("b.txt", 1, 10)], clock=clock)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(content.replace(b"{header}", activity_header.encode()))
    with pytest.raises(Refusal) as refused:
        import_extracts(target, [boxes("c.txt", 1, 11), bad], clock=clock, allow_shrink=True)
    assert refused.value.reason is Reason.IMPORT
    assert words in refused.value.detail
    assert read_info(target) == before
    assert sorted(p.name for p in target.parent.iterdir()) == ["directory.sqlite", "directory.sqlite.lock"]


@pytest.mark.parametrize(("bad", "good", "refused"), [(10, 1, False), (11, 100, True), (11, 300, False)])
def test_many_bad_lines_are_a_malformed_file(
    target: Path,
    write: Write,
    activity_header: str,
    person: Line,
    clock: FakeClock,
    bad: int,
    good: int,
    refused: bool,
) -> None:
    """Ten bad lines are borne, or 5 %; more is refused unless allowed expressly."""
    file = write("a.txt", [activity_header, *map(person, ids(1, good)), *["broken|line"] * bad])
    if refused:
        with pytest.raises(Refusal, match="11 of its lines"):
            import_extracts(target, [file], clock=clock)
    info = import_extracts(target, [file], clock=clock, allow_shrink=refused)
    assert (info.people, info.sources[0].skipped) == (good, bad)


def test_nothing_to_import_and_twice_the_same_kind(target: Path, people: Numbered, clock: FakeClock) -> None:
    """No file, or two of a kind, is refused before anything changes."""
    with pytest.raises(Refusal, match="no file"):
        import_extracts(target, [], clock=clock)
    with pytest.raises(Refusal, match="second file of kind activity"):
        import_extracts(target, [people("a.txt", 1, 3), people("b.txt", 1, 3)], clock=clock)
    assert not target.exists()


def test_two_imports_exclude_each_other(target: Path, people: Numbered, clock: FakeClock) -> None:
    """While one import holds the lock a second is refused, and a lock file alone holds nothing."""
    file = people("a.txt", 1, 3)
    import_extracts(target, [file], clock=clock)
    handle = os.open(target.with_name("directory.sqlite.lock"), os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(Refusal, match="another import is running"):
            import_extracts(target, [file], clock=clock)
    finally:
        os.close(handle)
    import_extracts(target, [file], clock=clock)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["open_rows", "check_shrink", "_info_to_json", "_swap", "sync"])
def test_crash_leaves_the_old_snapshot(
    target: Path, people: Numbered, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Killed at any step before the rename, the old snapshot serves; the next import clears what was left."""
    before = import_extracts(target, [people("a.txt", 1, 10)], clock=clock)
    file = people("b.txt", 1, 11)

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    def leave(target: Path) -> None:
        """A killed process removes nothing."""

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, step, die)
        patch.setattr(snapshot, "_remove_leftovers", leave)
        with pytest.raises(Killed):
            import_extracts(target, [file], clock=clock)
    assert read_info(target) == before
    assert target.with_name("directory.sqlite.new").exists()
    assert import_extracts(target, [file], clock=clock).people == 11
    assert {p.name for p in target.parent.iterdir()} == {
        "directory.sqlite",
        "directory.sqlite.lock",
        "directory.sqlite.previous",
    }


@pytest.mark.parametrize("rename", [1, 2])
def test_crash_between_the_renames(
    target: Path, people: Numbered, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, rename: int
) -> None:
    """Killed right before either rename of the swap, the old snapshot serves whole."""
    before = import_extracts(target, [people("a.txt", 1, 10)], clock=clock)
    file = people("b.txt", 1, 11)
    calls = 0
    replace = Path.replace

    def counting(self: Path, to: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == rename:
            raise Killed
        return replace(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counting)
        patch.setattr(snapshot, "_remove_leftovers", lambda target: None)
        with pytest.raises(Killed):
            import_extracts(target, [file], clock=clock)
    assert read_info(target) == before
    assert import_extracts(target, [file], clock=clock).people == 11
    assert read_info(previous_path(target)) == before


def test_swap_is_durable(target: Path, people: Numbered, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is synced before it takes the name, the folder after."""
    import_extracts(target, [people("a.txt", 1, 10)], clock=clock)
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def watched_replace(self: Path, to: Path) -> Path:
        done.append(f"rename to {to.name}")
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    import_extracts(target, [people("b.txt", 1, 11)], clock=clock)
    assert done == [
        "sync directory.sqlite.new",
        "rename to directory.sqlite.previous",
        "rename to directory.sqlite",
        f"sync {target.parent.name}",
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), Reason.STORAGE_FULL),
        (OSError(5, "Input/output error"), Reason.UNAVAILABLE),
        (sqlite3.OperationalError("disk I/O error"), Reason.UNAVAILABLE),
    ],
)
def test_failing_disk(
    target: Path,
    people: Numbered,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: Reason,
) -> None:
    """A full or failing disk is told as such, and the old snapshot serves."""
    before = import_extracts(target, [people("a.txt", 1, 10)], clock=clock)

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr(snapshot, "sync", fail)
    with pytest.raises(Refusal) as refused:
        import_extracts(target, [people("b.txt", 1, 11)], clock=clock)
    assert refused.value.reason is reason
    assert read_info(target) == before


def test_full_disk_while_building(
    target: Path, people: Numbered, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own "full" is told as a full disk."""
    create = snapshot._create

    def small(new: Path) -> sqlite3.Connection:
        db = create(new)
        db.execute("PRAGMA max_page_count = 8")
        return db

    monkeypatch.setattr(snapshot, "_create", small)
    with pytest.raises(Refusal) as refused:
        import_extracts(target, [people("a.txt", 1, 2000)], clock=clock)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00" + bytes(84)])
def test_damaged_current_snapshot_is_replaced_only_expressly(
    target: Path, people: Numbered, clock: FakeClock, content: bytes
) -> None:
    """What can't be compared isn't silently replaced."""
    target.parent.mkdir()
    target.write_bytes(content)
    file = people("a.txt", 1, 10)
    with pytest.raises(Refusal, match="allowed expressly"):
        import_extracts(target, [file], clock=clock)
    assert import_extracts(target, [file], clock=clock, allow_shrink=True).people == 10


def test_roll_back(target: Path, people: Numbered, clock: FakeClock) -> None:
    """The previous snapshot serves again, and rolling back twice is as before."""
    first = import_extracts(target, [people("a.txt", 1, 10)], clock=clock)
    with pytest.raises(Refusal, match="no previous"):
        roll_back(target)
    second = import_extracts(target, [people("b.txt", 1, 11)], clock=clock)
    directory = Directory(target, clock)
    assert roll_back(target) == first
    assert directory.reload_if_changed()
    assert (directory.info(), read_info(previous_path(target))) == (first, second)
    assert roll_back(target) == second


def test_progress_is_told(target: Path, people: Numbered, clock: FakeClock) -> None:
    """Progress ends at all rows and all octets of the file."""
    told: list[Progress] = []
    file = people("a.txt", 1, 10)
    import_extracts(target, [file], clock=clock, on_progress=told.append)
    assert told[-1] == Progress("a.txt", Kind.ACTIVITY, 10, file.stat().st_size, file.stat().st_size)
