"""Columns by name, and one bad line never costing the others."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.extract import fold_header, luhn_holds, open_rows, recognise
from mssmail.directory.model import Fault, Kind, search_key
from mssmail.directory.source import open_source

Line = Callable[..., str]
Write = Callable[..., Path]


def read(path: Path) -> tuple[list[tuple[str, ...]], dict[Fault, tuple[int, int]]]:
    """Rows in file order of batches, and the faults with count and first line."""
    rows: list[tuple[str, ...]] = []
    with open_source(path) as source:
        extract = open_rows(source, lambda lines, octets: None)
        if extract.layout.kind is Kind.ACTIVITY:
            for people in extract.people():
                rows += people
        else:
            for boxes, _ in extract.boxes():
                rows += boxes
        return rows, {f.fault: (f.count, f.first_line) for f in source.tally.counts()}


@pytest.mark.parametrize(
    ("spelt", "folded"),
    [
        ("Code catégorie professionnelle", "code categorie professionnelle"),
        ("Prénom d’exercice", "prenom d'exercice"),
        (unicodedata.normalize("NFD", "Prénom d'exercice"), "prenom d'exercice"),
        ("  NOM   D`EXERCICE ", "nom d'exercice"),
        ('"Adresse BAL"', "adresse bal"),
        ("\ufeffType de BAL", "type de bal"),
    ],
)
def test_column_names_are_compared_loosely(spelt: str, folded: str) -> None:
    """Apostrophes, accents, their composition, case, spaces and a byte order mark don't tell columns apart."""
    assert fold_header(spelt) == folded


def test_columns_are_found_by_name(activity_header: str, person: Line, write: Write) -> None:
    """A file with its columns in reverse order reads the same as the true one."""
    line = person("810000000017", "DURAND", "PAUL", "21", "M")
    straight = write("a.txt", [activity_header, line])
    turned = write("b.txt", ["|".join(reversed(text.split("|"))) for text in (activity_header, line)])
    assert read(straight) == read(turned)
    assert read(straight)[0] == [("810000000017", "8", "DURAND", "PAUL", "21:M", "DURAND PAUL")]


@pytest.mark.parametrize("tail", ["", "|", "|Nouvelle colonne", "|Nouvelle colonne|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_published_variants(
    activity_header: str, person: Line, write: Write, tail: str, end: str, encoding: str
) -> None:
    """Trailing separators, appended columns, line ends and encodings leave the people the same."""
    lines = [activity_header + tail, person("810000000017", "LEFÈVRE", "ZOÉ") + tail]
    rows, faults = read(write("a.txt", lines, encoding=encoding, end=end))
    assert rows == [("810000000017", "8", "LEFÈVRE", "ZOÉ", "10:C", "LEFEVRE ZOE")]
    assert set(faults) <= {Fault.OTHER_ENCODING}
    assert (Fault.OTHER_ENCODING in faults) == (encoding == "cp1252")


def test_decomposed_header_and_names(activity_header: str, person: Line, write: Write) -> None:
    """A file in decomposed Unicode gives composed names."""
    lines = [unicodedata.normalize("NFD", text) for text in (activity_header, person("810000000017", "LEFÈVRE"))]
    assert read(write("a.txt", lines))[0][0][2] == "LEFÈVRE"


def test_activities_become_one_person(activity_header: str, person: Line, write: Write) -> None:
    """Several activities and duplicate lines give one person with each profession once, in whatever order."""
    one, two = person("810000000017", code="10"), person("810000000017", code="21", category="E")
    other = person("810000000025", "ZOLA")
    rows, faults = read(write("a.txt", [activity_header, one, other, two, one, two, other]))
    assert [(row[0], row[4]) for row in rows] == [("810000000017", "10:C 21:E"), ("810000000025", "10:C")]
    assert faults == {}


def test_person_without_profession(activity_header: str, person: Line, write: Write) -> None:
    """Somebody whose lines name no profession is known, and practises nothing."""
    rows, faults = read(write("a.txt", [activity_header, person("810000000017", code="")]))
    assert (rows[0][0], rows[0][4], faults) == ("810000000017", "", {})


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("8|1|810000000025", Fault.TOO_FEW_COLUMNS),
        ("no separator at all", Fault.TOO_FEW_COLUMNS),
        ("8|1|81|||||A|B|10|L|C|Civil|||||L|Libéral|x|y", Fault.TOO_MANY_COLUMNS),
        ("8||||||||A|10|L|C|Civil|||||L|Libéral|", Fault.MISSING_ID),
        ("8|1|81 0;DROP|||||A|B|10|L|C|Civil|||||L|Libéral|", Fault.BAD_ID),
        ("8|1|" + "8" * 65 + "|||||A|B|10|L|C|Civil|||||L|Libéral|", Fault.BAD_ID),
        ("8|1|810000000025|||||A|B|10 à 12|L|C|Civil|||||L|Libéral|", Fault.BAD_PROFESSION),
        ("8|1|810000000025|||||" + "A" * 70_000 + "|B|10|L|C|Civil|||||L|Libéral|", Fault.TOO_LONG),
        ("8|1|810000000025|||||" + "A" * 3_000_000 + "|B|10|L|C|Civil|||||L|Libéral|", Fault.TOO_LONG),
    ],
)
def test_bad_activity_line_is_left_out_and_counted(
    activity_header: str, person: Line, write: Write, bad: str, fault: Fault
) -> None:
    """A bad line is counted under its reason with its number, and the lines around it are kept."""
    before, after = person("810000000017"), person("810000000033")
    rows, faults = read(write("a.txt", [activity_header, before, bad, after, "", bad]))
    assert [row[0] for row in rows] == ["810000000017", "810000000033"]
    assert faults == {fault: (2, 3)}


def test_undecodable_line_is_left_out(activity_header: str, person: Line, tmp_path: Path) -> None:
    """Octets that are neither UTF-8 nor cp1252 cost one line; other lines of the same block keep their accents."""
    lines = [activity_header.encode(), person("810000000017", "ÉMILE").encode(), b"\x81\x8d|\xff"]
    lines.append(person("810000000033", "ZOÉ").encode("cp1252"))
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n".join(lines))
    rows, faults = read(path)
    assert [row[2] for row in rows] == ["ÉMILE", "ZOÉ"]
    assert faults == {Fault.UNDECODABLE: (1, 3), Fault.OTHER_ENCODING: (1, 4)}


@pytest.mark.parametrize(
    ("national_id", "faults"),
    [
        ("810000000017", {}),
        ("810000000001", {Fault.LUHN: (1, 2)}),
        ("0012800736", {}),
        ("3760021832/000000018", {}),
        ("ANS20231122132732", {Fault.NOT_NUMERIC: (1, 2)}),
    ],
)
def test_odd_ids_are_kept(
    activity_header: str, person: Line, write: Write, national_id: str, faults: dict[Fault, tuple[int, int]]
) -> None:
    """A wrong check digit or a test identity is a doubt to be told, not a reason to strike somebody off."""
    rows, found = read(write("a.txt", [activity_header, person(national_id)]))
    assert ([row[0] for row in rows], found) == ([national_id], faults)


def test_id_is_put_together_from_its_parts(activity_header: str, person: Line, write: Write) -> None:
    """Without the national id, type and id make it."""
    line = person("810000000017").replace("|810000000017|", "||")
    assert read(write("a.txt", [activity_header, line]))[0][0][0] == "810000000017"


def test_names_are_fit_for_a_screen(activity_header: str, person: Line, write: Write) -> None:
    """Control characters, line separators and endless names don't come through."""
    line = person("810000000017", "DU\x1b[31mPONT\x85\u2028X", "A" * 1000)
    rows, faults = read(write("a.txt", [activity_header, line]))
    assert (rows[0][2], rows[0][3], faults) == ("DU [31mPONT X", "A" * 200, {})


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            {"address": "Claire.Martin@Demo.Mssante.FR", "national_id": "810000000017"},
            ("claire.martin@demo.mssante.fr", "PER", "810000000017", "", "Claire.Martin@demo.mssante.fr", ""),
        ),
        (
            {"address": "urgences@h.fr", "kind": "ORG", "structure": "1750000001", "structure_type": "1"},
            ("urgences@h.fr", "ORG", "", "1750000001", "urgences@h.fr", ""),
        ),
        (
            {"address": "urgences@h.fr", "kind": "org", "structure": "750000001", "structure_type": "FINESS"},
            ("urgences@h.fr", "ORG", "", "1750000001", "urgences@h.fr", ""),
        ),
        (
            {"address": "l@h.fr", "kind": "APP", "structure": "39806996300013", "structure_type": "SIRET"},
            ("l@h.fr", "APP", "", "339806996300013", "l@h.fr", ""),
        ),
        (
            {"address": "c@h.fr", "kind": "CAB", "structure": "41000000001700", "structure_type": "4"},
            ("c@h.fr", "CAB", "", "41000000001700", "c@h.fr", ""),
        ),
        ({"address": "o@h.fr", "kind": "ORG"}, ("o@h.fr", "ORG", "", "", "o@h.fr", "")),
    ],
)
def test_box_lines(box_header: str, box: Line, write: Write, line: dict[str, str], row: tuple[str, ...]) -> None:
    """Each kind of box gives its address's key, its holder, and its structure's id with the type before it."""
    assert read(write("b.txt", [box_header, box(**line)])) == ([row], {})


@pytest.mark.parametrize("missing", ["Raison Sociale structure BAL", "Service de rattachement"])
def test_columns_that_only_adorn_may_be_missing(box_header: str, box: Line, write: Write, missing: str) -> None:
    """An extract without the structures' or services' names still says whose the boxes are."""
    place = box_header.split("|").index(missing)
    line = box("u@h.fr", "", "ORG", "1750000001", "1", "Hôpital", "Urgences") + "Enseigne"
    lines = ["|".join(v for n, v in enumerate(text.split("|")) if n != place) for text in (box_header, line)]
    service = "" if missing.startswith("Service") else "Urgences"
    assert read(write("b.txt", lines)) == ([("u@h.fr", "ORG", "", "1750000001", "u@h.fr", service)], {})


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ({"address": "no-at-sign", "national_id": "810000000017"}, Fault.BAD_ADDRESS),
        ({"address": "", "national_id": "810000000017"}, Fault.BAD_ADDRESS),
        ({"address": "a b@h.fr", "national_id": "810000000017"}, Fault.BAD_ADDRESS),
        ({"address": "a@" + "b" * 300 + ".fr", "national_id": "810000000017"}, Fault.BAD_ADDRESS),
        ({"address": "a" * 65 + "@h.fr", "national_id": "810000000017"}, Fault.BAD_ADDRESS),
        ({"address": "a@h.fr"}, Fault.MISSING_ID),
        ({"address": "a@h.fr", "national_id": "81 00"}, Fault.BAD_ID),
        ({"address": "a@h.fr", "kind": "ORG", "structure": "1;2"}, Fault.BAD_ID),
        ({"address": "a@h.fr", "kind": "XYZ", "national_id": "810000000017"}, Fault.BAD_KIND),
    ],
)
def test_bad_box_line_is_left_out_and_counted(
    box_header: str, box: Line, write: Write, line: dict[str, str], fault: Fault
) -> None:
    """A bad line of the boxes is counted under its reason, and the others are kept."""
    good = box("z@h.fr", "810000000017")
    rows, faults = read(write("b.txt", [box_header, box(**line), good]))
    assert ([row[0] for row in rows], faults) == (["z@h.fr"], {fault: (1, 2)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: "", "empty"),
        (lambda header: "<html><body>", "not the header"),
        (lambda header: header.replace("|", ";"), "not the header"),
        (lambda header: header.replace("Code profession", "Profession"), "column missing: code profession"),
        (lambda header: header.replace("Code mode exercice", "Mode"), "column missing: code mode exercice"),
        (lambda header: header + "|Code Profession", "column stands twice: code profession"),
    ],
)
def test_wrong_header_is_refused(
    activity_header: str, person: Line, write: Write, change: Callable[[str], str], words: str
) -> None:
    """A file of another kind, or without a wanted column, is refused with the column's name."""
    path = write("a.txt", [change(activity_header), *([person("810000000017")] if change(activity_header) else [])])
    with pytest.raises(Refusal) as refused:
        read(path)
    assert refused.value.reason is Reason.IMPORT
    assert words in refused.value.detail
    assert refused.value.detail.startswith("a.txt: ")


def test_kind_is_told_by_the_header(activity_header: str, box_header: str) -> None:
    """The columns tell the kind of extract."""
    assert recognise(activity_header, "x").kind is Kind.ACTIVITY
    assert recognise(box_header, "x").kind is Kind.BOXES


@pytest.mark.parametrize(("digits", "holds"), [("10000000017", True), ("10000000016", False), ("79927398713", True)])
def test_luhn(digits: str, holds: bool) -> None:
    """The check digit of ISO/IEC 7812-1, its annex's example included."""
    assert luhn_holds(digits) is holds


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Lefèvre", "LEFEVRE"),
        ("Anne-Sophie  D'ARTAGNAN", "ANNE SOPHIE D ARTAGNAN"),
        ("Œuvrard", "OEUVRARD"),
        (unicodedata.normalize("NFD", "Noël"), "NOEL"),
        ("  ", ""),
    ],
)
def test_search_key(text: str, key: str) -> None:
    """Case, accents, hyphens and apostrophes don't tell names apart."""
    assert search_key(text) == key
