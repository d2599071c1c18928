"""What the API tells is laid over the extracts, and the checks of an import hold."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.directory.fhir import Api
from mssmail.directory.lookup import Directory
from mssmail.directory.merge import merge
from mssmail.directory.model import Kind, SnapshotInfo
from mssmail.directory.snapshot import import_extracts, read_info
from mssmail.fetch import Caller
from tests.support.annuaire import KEY, Annuaire, box, organisation, practitioner, role
from tests.support.origin import Answer

Line = Callable[..., str]
Write = Callable[..., Path]
Merge = Callable[..., SnapshotInfo]

A, B, C, D = "810000000017", "810000000025", "810000000033", "810000000041"
S = "1750712184"
DAY = 86_400


@pytest.fixture
def annuaire(tmp_path: Path) -> Iterator[Annuaire]:
    built = Annuaire(tmp_path / "annuaire")
    yield built
    built.close()


@pytest.fixture
def ask(annuaire: Annuaire, target: Path, clock: FakeClock) -> Merge:
    """Merge what the API says now; the pace isn't kept, since nothing waits."""

    class Never(Event):
        def wait(self, timeout: float | None = None) -> bool:
            return False

    def make(**more: bool) -> SnapshotInfo:
        stop = Never()
        with Caller(clock, stop, 100_000.0, annuaire.origin.authority) as caller:
            return merge(target, Api(caller, annuaire.base, Secret(KEY), clock, stop), clock=clock, **more)

    return make


@pytest.fixture
def extracts(
    target: Path, write: Write, activity_header: str, box_header: str, person: Line, box: Line, clock: FakeClock
) -> None:
    """Three people with a box each, and a structure's box."""
    activity = [activity_header, person(A), person(B), person(C)]
    boxes = [
        box_header,
        *(box(f"{n}@h.fr", i) for n, i in (("a", A), ("b", B), ("c", C))),
        box("s@h.fr", kind="ORG", structure=S, structure_name="CENTRE"),
    ]
    import_extracts(target, [write("a.txt", activity), write("b.txt", boxes)], clock=clock)


def told(directory: Directory, national_id: str) -> tuple[list[str], list[str]] | None:
    """A person's profession codes and addresses."""
    person = directory.person(national_id)
    if person is None:
        return None
    return [p.code for p in person.professions], [str(b.address) for b in directory.boxes_of_person(national_id)]


def test_alone(annuaire: Annuaire, ask: Merge, target: Path, clock: FakeClock) -> None:
    """Without extracts the API makes a directory of its own."""
    annuaire.resources = [
        practitioner("p1", A, telecom=[box("a@h.fr", red=True)]),
        practitioner("p2", B, professions=[("60", "C")]),
        organisation("o1", S, name="CENTRE DES LILAS", telecom=[box("s@h.fr", kind="ORG")]),
        organisation("o2", "1750712192", name="AUTRE"),
        role("r1", "p2", "o2", telecom=[box("b@h.fr")]),
    ]
    info = ask()
    assert (info.people, info.structures, info.boxes) == (2, 2, 3)
    directory = Directory(target, clock)
    assert told(directory, A) == (["10"], ["a@h.fr"])
    assert told(directory, B) == (["60"], ["b@h.fr"])
    assert directory.boxes_of_person(B)[0].structure_id == "1750712192"
    structure = directory.structure(S)
    assert structure is not None
    assert structure.name == "CENTRE DES LILAS"
    assert [str(b.address) for b in directory.boxes_of_structure(S)] == ["s@h.fr"]
    assert [f.holder for f in directory.search("lilas", 5)] == [structure]
    assert [len(f.boxes) for f in directory.search("martin", 5)] == [0, 1], "the red-listed box isn't found"
    assert directory.age_s() == 0.0
    assert target.stat().st_mode & 0o777 == 0o600


def test_change_over_extracts(annuaire: Annuaire, ask: Merge, extracts: None, target: Path, clock: FakeClock) -> None:
    """What changed is as the API says; the rest stays as the extracts have it; each pass asks for what is newer."""
    annuaire.resources = [
        practitioner(f"p{n}", i, telecom=[box(f"{n}@h.fr")]) for n, i in (("a", A), ("b", B), ("c", C))
    ]
    ask()
    clock.advance(DAY)
    annuaire.changed = [
        practitioner("pa", A, active=False),
        practitioner("pb", B, professions=[("21", "C")], telecom=[box("new@h.fr", red=True)]),
        practitioner("pd", D, telecom=[box("d@h.fr")]),
    ]
    info = ask(allow_shrink=True)
    directory = Directory(target, clock)
    assert told(directory, A) is None
    assert directory.box("a@h.fr") == ()
    assert told(directory, B) == (["21"], ["new@h.fr"])
    assert directory.box("new@h.fr")[0].red_listed is True
    assert told(directory, C) == (["10"], ["c@h.fr"])
    assert told(directory, D) == (["10"], ["d@h.fr"])
    assert [str(b.address) for b in directory.boxes_of_structure(S)] == ["s@h.fr"]
    assert [s.kind for s in info.sources] == [Kind.ACTIVITY, Kind.BOXES, Kind.FHIR]
    assert directory.age_s() == 0.0


def test_two_professions(annuaire: Annuaire, ask: Merge, target: Path, clock: FakeClock) -> None:
    """Who has two professions and gives one up, or whose one changes, keeps the other with its boxes."""
    annuaire.resources = [
        practitioner("p1", A, telecom=[box("a@h.fr")]),
        practitioner("p2", A, professions=[("21", "C")], telecom=[box("a2@h.fr")]),
    ]
    ask()
    assert told(Directory(target, clock), A) == (["10", "21"], ["a2@h.fr", "a@h.fr"])
    annuaire.changed = [practitioner("p1", A, professions=[("26", "C")])]
    ask(allow_shrink=True)
    assert told(Directory(target, clock), A) == (["21", "26"], ["a2@h.fr"])
    annuaire.changed = [practitioner("p1", A, active=False)]
    ask()
    assert told(Directory(target, clock), A) == (["21"], ["a2@h.fr"])
    annuaire.resources = [practitioner("p9", B)]
    annuaire.changed = [practitioner("p2", A, active=False), practitioner("p9", B)]
    ask(allow_shrink=True)
    assert told(Directory(target, clock), A) is None


def test_resource_changes_hands(annuaire: Annuaire, ask: Merge, target: Path, clock: FakeClock) -> None:
    """A resource that comes to name another person is taken from the one it named."""
    annuaire.resources = [practitioner("p1", A, telecom=[box("x@h.fr")]), practitioner("p2", C)]
    ask()
    annuaire.changed = [practitioner("p1", B, telecom=[box("x@h.fr")])]
    ask()
    directory = Directory(target, clock)
    assert (told(directory, A), told(directory, B)) == (None, (["10"], ["x@h.fr"]))


def test_roles_of_one_person_at_one_place(annuaire: Annuaire, ask: Merge, target: Path, clock: FakeClock) -> None:
    """A change of one role leaves the boxes of the other; a structure goes with its last box."""
    annuaire.resources = [
        practitioner("p1", A),
        organisation("o1", S),
        role("r1", "p1", "o1", telecom=[box("one@h.fr")]),
        role("r2", "p1", "o1", telecom=[box("two@h.fr")]),
    ]
    ask()
    annuaire.changed = [role("r1", "p1", "o1", telecom=[box("uno@h.fr")])]
    ask()
    directory = Directory(target, clock)
    assert told(directory, A) == (["10"], ["two@h.fr", "uno@h.fr"])
    assert directory.structure(S) is not None
    annuaire.changed = [role("r1", "p1", "o1"), role("r2", "p1", "o1", active=False)]
    ask(allow_shrink=True)
    directory = Directory(target, clock)
    assert (told(directory, A), directory.structure(S)) == ((["10"], []), None)


def test_pass_over_all_forgets(annuaire: Annuaire, ask: Merge, target: Path, clock: FakeClock) -> None:
    """Asked for everything, whom the API doesn't tell of any more is gone."""
    annuaire.resources = [practitioner("p1", A), practitioner("p2", B)]
    ask()
    annuaire.resources = [practitioner("p1", A)]
    ask()
    assert told(Directory(target, clock), B) is not None
    ask(full=True, allow_shrink=True)
    directory = Directory(target, clock)
    assert (told(directory, A), told(directory, B)) == ((["10"], []), None)


def test_extract_over_api(
    annuaire: Annuaire,
    ask: Merge,
    extracts: None,
    target: Path,
    write: Write,
    box_header: str,
    box: Line,
    clock: FakeClock,
) -> None:
    """A newer extract keeps what only the API knows, the red list, and has the API asked again from its own date."""
    from tests.support.annuaire import box as telecom

    annuaire.resources = [practitioner("pa", A, telecom=[telecom("a@h.fr", red=True)])]
    asked_at = clock.now()
    ask()
    clock.advance(2 * DAY)
    ask()
    lines = [box_header, *(box(f"{n}@h.fr", i) for n, i in (("a", A), ("b", B), ("c", C)))]
    lines.append(box("s@h.fr", kind="ORG", structure=S))
    import_extracts(target, [write("n.txt", lines)], clock=clock)
    directory = Directory(target, clock)
    assert directory.box("a@h.fr")[0].red_listed is True
    api = read_info(target).source(Kind.FHIR)
    assert api is not None
    assert api.dated_at == asked_at, "the activity extract is still the first one"
    assert directory.age_s() == 2 * DAY
    annuaire.changed = [practitioner("pa", A, telecom=[telecom("a@h.fr", red=False)])]
    ask()
    assert Directory(target, clock).box("a@h.fr")[0].red_listed is False


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ([practitioner(f"p{n}", f"8{n:011d}", active=False) for n in range(10)], "90 people where"),
        ([practitioner(f"p{n}", f"8{n:011d}") for n in range(100)], "0 boxes where"),
        ([{"resourceType": "Practitioner", "id": f"x{n}"} for n in range(60)], "60 of its resources can't be used"),
    ],
)
def test_guards(annuaire: Annuaire, ask: Merge, target: Path, changed: list[dict[str, object]], words: str) -> None:
    """A pass that takes too much away, or is mostly unusable, changes nothing unless that is allowed expressly."""
    annuaire.resources = [
        practitioner(f"p{n}", f"8{n:011d}", telecom=[box(f"p{n}@h.fr")] if n < 50 else []) for n in range(100)
    ]
    before = ask()
    annuaire.changed = changed
    with pytest.raises(Refusal) as refused:
        ask()
    assert refused.value.reason is Reason.IMPORT
    assert words in refused.value.detail
    assert read_info(target) == before
    ask(allow_shrink=True)


def test_failure_half_way(annuaire: Annuaire, ask: Merge, target: Path) -> None:
    """A pass that fails leaves the old snapshot and nothing beside it; an empty first one isn't taken."""
    with pytest.raises(Refusal, match="no people"):
        ask()
    assert not target.exists()
    annuaire.resources = [practitioner("p1", A)]
    before = ask()
    annuaire.trouble = [Answer(200, b'{"resourceType": "Bundle"}'), Answer(200, b"broken")]
    with pytest.raises(Refusal, match="isn't JSON"):
        ask()
    assert read_info(target) == before
    assert sorted(p.name for p in target.parent.iterdir()) == ["directory.sqlite", "directory.sqlite.lock"]
