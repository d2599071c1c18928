"""Look-ups in the snapshot in service."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mssmail.base.address import Address
from mssmail.base.clock import FakeClock
from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.lookup import Directory
from mssmail.directory.model import Box, Found, Person, Profession, Structure
from mssmail.directory.snapshot import import_extracts

Line = Callable[..., str]
Write = Callable[..., Path]
Load = Callable[..., Directory]

CLAIRE, PAUL, ZOE = "810000000017", "810000000025", "810000000033"


@pytest.fixture
def directory(write: Write, load: Load, activity_header: str, box_header: str, person: Line, box: Line) -> Directory:
    """Three people and an hospital, two of the people on one address."""
    people = [
        person(CLAIRE, "MARTIN", "Claire", "10"),
        person(CLAIRE, "MARTIN", "Claire", "21", "M"),
        person(PAUL, "MARTIN DURAND", "Jean-Paul", "60"),
        person(ZOE, "LEFÈVRE", "Zoé", ""),
    ]
    boxes = [
        box("Claire.Martin@h.fr", CLAIRE, structure="1750000001", structure_type="1"),
        box("cabinet@h.fr", CLAIRE, service="Cabinet"),
        box("cabinet@h.fr", PAUL),
        box("urgences@h.fr", "", "ORG", "1750000001", "1", "Hôpital de l'Étoile", "Urgences"),
        box("urgences@h.fr", "", "ORG", "1750000001", "1", "Hôpital de l'Étoile", "Urgences"),
    ]
    return load(write("a.txt", [activity_header, *people]), write("b.zip", [box_header, *boxes]))


def test_person(directory: Directory) -> None:
    """A person comes with all professions; an unknown id gives none."""
    assert directory.person(CLAIRE) == Person(
        CLAIRE, "8", "MARTIN", "Claire", (Profession("10", "C"), Profession("21", "M"))
    )
    assert directory.person("810000000099") is None
    assert directory.person("") is None


@pytest.mark.parametrize(
    ("national_id", "allowed", "active"),
    [
        (CLAIRE, {"10"}, True),
        (CLAIRE, {"21", "99"}, True),
        (CLAIRE, {"60"}, False),
        (CLAIRE, {"1"}, False),
        (CLAIRE, set(), False),
        (ZOE, {"10", ""}, False),
        ("810000000099", {"10"}, False),
    ],
)
def test_holder_active(directory: Directory, national_id: str, allowed: set[str], active: bool) -> None:
    """Active is: in the newest extract, with one of the allowed professions."""
    assert [directory.holder_active(national_id, tuple(allowed)) for _ in range(2)] == [active, active]


def test_boxes(directory: Directory) -> None:
    """A box is found by its address's key, with every holder, and duplicates once."""
    assert directory.box("claire.martin@h.fr") == (
        Box(Address("Claire.Martin", "h.fr"), BoxKind.PER, CLAIRE, "1750000001", "", None),
    )
    assert [b.national_id for b in directory.box("cabinet@h.fr")] == [CLAIRE, PAUL]
    assert directory.box("urgences@h.fr") == (
        Box(Address("urgences", "h.fr"), BoxKind.ORG, None, "1750000001", "Urgences", None),
    )
    assert directory.box("nobody@h.fr") == ()
    assert [str(b.address) for b in directory.boxes_of_person(CLAIRE)] == ["cabinet@h.fr", "Claire.Martin@h.fr"]
    assert [str(b.address) for b in directory.boxes_of_structure("1750000001")] == [
        "Claire.Martin@h.fr",
        "urgences@h.fr",
    ]
    assert directory.boxes_of_person("") == directory.boxes_of_structure("") == ()


def test_structure(directory: Directory) -> None:
    """A structure has the name that any of its rows gives."""
    assert directory.structure("1750000001") == Structure("1750000001", "Hôpital de l'Étoile")
    assert directory.structure("1750000009") is None


@pytest.mark.parametrize(
    ("text", "limit", "found"),
    [
        ("martin", 9, [CLAIRE, PAUL]),
        ("Martin Cl", 9, [CLAIRE]),
        ("claire MARTIN", 9, [CLAIRE]),
        ("durand", 9, []),
        ("martin paul", 9, [PAUL]),
        ("jean-paul martin", 9, [PAUL]),
        ("lefevre", 9, [ZOE]),
        ("LEFÈVRE zoe", 9, [ZOE]),
        ("etoile", 9, ["1750000001"]),
        ("hopital ETOI", 9, ["1750000001"]),
        ("claire.m", 9, [CLAIRE]),
        ("URGENCES@", 9, ["1750000001"]),
        ("martin", 1, [CLAIRE]),
        ("martin", 0, []),
        ("", 9, []),
        ("   ", 9, []),
        ("%", 9, []),
        ("x" * 10_000, 9, []),
        ("martin' OR 1=1 --", 9, []),
    ],
)
def test_search(directory: Directory, text: str, limit: int, found: list[str]) -> None:
    """Beginnings of names in any order, or of an address, find their holders, within the limit."""
    results = directory.search(text, limit)
    assert [_id(r) for r in results] == found


def _id(result: Found) -> str | None:
    match result.holder:
        case Person() as p:
            return p.national_id
        case Structure() as s:
            return s.structure_id
    return None


def test_search_shows_boxes(directory: Directory) -> None:
    """A person comes with their boxes, a structure with its own and without its members'."""
    (claire,) = directory.search("martin claire", 9)
    assert [str(b.address) for b in claire.boxes] == ["cabinet@h.fr", "Claire.Martin@h.fr"]
    (hospital,) = directory.search("etoile", 9)
    assert [str(b.address) for b in hospital.boxes] == ["urgences@h.fr"]


def test_red_listed_box_is_never_found(directory: Directory, target: Path, clock: FakeClock) -> None:
    """A box on the red list is known to the gate and shown by no search."""
    with sqlite3.connect(target) as db:
        db.execute("UPDATE boxes SET red = (key = 'claire.martin@h.fr')")
    db.close()
    listed = Directory(target, clock)
    assert listed.box("claire.martin@h.fr")[0].red_listed is True
    assert listed.search("claire.martin@", 9) == ()
    assert [[str(b.address) for b in r.boxes] for r in listed.search("martin claire", 9)] == [["cabinet@h.fr"]]
    assert listed.search("cabinet@", 9)[0].boxes[0].red_listed is False


def test_new_snapshot_is_taken_when_told(
    directory: Directory, target: Path, clock: FakeClock, write: Write, activity_header: str, person: Line
) -> None:
    """The old snapshot serves until `reload_if_changed`, which says whether there was a new one."""
    assert directory.reload_if_changed() is False
    file = write("c.txt", [activity_header, person(PAUL)])
    clock.advance(100)
    import_extracts(target, [file], clock=clock, allow_shrink=True)
    assert directory.person(CLAIRE) is not None
    assert directory.reload_if_changed() is True
    assert directory.reload_if_changed() is False
    assert directory.person(CLAIRE) is None
    assert directory.info().people == 1


def test_age_is_the_oldest_kinds(
    directory: Directory, target: Path, clock: FakeClock, write: Write, activity_header: str, person: Line
) -> None:
    """A fresh extract of one kind doesn't hide that the other is old."""
    clock.advance(86_400)
    import_extracts(target, [write("c.txt", [activity_header, person(PAUL)])], clock=clock, allow_shrink=True)
    directory.reload_if_changed()
    assert directory.age_s() == 86_400


def test_damaged_new_file_leaves_the_old_one_in_service(directory: Directory, target: Path) -> None:
    """A file that isn't a snapshot is not taken."""
    target.rename(target.with_suffix(".kept"))
    assert directory.reload_if_changed() is False
    target.write_bytes(b"rubbish")
    assert directory.reload_if_changed() is False
    assert directory.person(CLAIRE) is not None


@pytest.mark.parametrize("content", [None, b"", b"rubbish" * 1000])
def test_without_a_snapshot_nothing_is_answered(tmp_path: Path, clock: FakeClock, content: bytes | None) -> None:
    """With no snapshot every question is refused as unavailable, never answered with "unknown"."""
    path = tmp_path / "directory.sqlite"
    if content is not None:
        path.write_bytes(content)
    directory = Directory(path, clock)
    for ask in (
        lambda: directory.person(CLAIRE),
        lambda: directory.box("a@h.fr"),
        lambda: directory.holder_active(CLAIRE, ("10",)),
        lambda: directory.search("martin", 9),
        lambda: directory.info(),
    ):
        with pytest.raises(Refusal) as refused:
            ask()
        assert refused.value.reason is Reason.UNAVAILABLE


def test_unpaired_surrogate_is_unknown_to_the_directory(directory: Directory) -> None:
    """Text that no file can hold is refused and doesn't break anything."""
    with pytest.raises(Refusal):
        directory.box("\ud800@h.fr")
    assert directory.box("cabinet@h.fr") != ()


def test_threads_share_a_directory(directory: Directory) -> None:
    """Look-ups from several threads, with reloads among them, each get their own answer."""

    def ask(n: int) -> bool:
        if n % 10 == 0:
            directory.reload_if_changed()
        person = directory.person((CLAIRE, PAUL, ZOE)[n % 3])
        return person is not None and person.national_id == (CLAIRE, PAUL, ZOE)[n % 3]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(500)))


def test_closed_directory_answers_nothing(directory: Directory) -> None:
    """After `close` a look-up is refused."""
    directory.close()
    with pytest.raises(Refusal):
        directory.person(CLAIRE)
