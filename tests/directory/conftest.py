"""Small extracts in the true columns, written for each test."""

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.directory.lookup import Directory
from mssmail.directory.snapshot import import_extracts

ACTIVITY_HEADER = (
    "Type d'identifiant PP|Identifiant PP|Identification nationale PP|Code civilité d'exercice|"
    "Libellé civilité d'exercice|Code civilité|Libellé civilité|Nom d'exercice|Prénom d'exercice|Code profession|"
    "Libellé profession|Code catégorie professionnelle|Libellé catégorie professionnelle|Code type savoir-faire|"
    "Libellé type savoir-faire|Code savoir-faire|Libellé savoir-faire|Code mode exercice|Libellé mode exercice|"
    "Numéro SIRET site"
)
BOX_HEADER = (
    "Type de BAL|Adresse BAL|Type Identifiant PP|Identifiant PP|Identification nationale PP|"
    "Type identifiant structure|Identification Structure|Service de rattachement|Civilité d'exercice|"
    "Nom d'exercice|Prénom d'exercice|Catégorie profession|Libellé de catégorie profession|Code Profession|"
    "Libellé Profession|Code savoir-faire|Libellé savoir-faire|Dématérialisation|Raison Sociale structure BAL|"
    "Enseigne commerciale structure BAL"
)

Person = Callable[..., str]
Box = Callable[..., str]
Write = Callable[..., Path]


@pytest.fixture
def shared() -> Path:
    """Where the shared data lies; tests that need it are skipped without."""
    place = Path(os.environ.get("MSSMAIL_SHARED", Path(__file__).parents[3] / "shared"))
    if not (place / "data").is_dir():
        pytest.skip("no shared data")
    return place


@pytest.fixture(scope="session")
def activity_header() -> str:
    return ACTIVITY_HEADER


@pytest.fixture(scope="session")
def box_header() -> str:
    return BOX_HEADER


@pytest.fixture
def person() -> Person:
    """Make a line of the activity extract."""

    def make(
        national_id: str, name: str = "MARTIN", given: str = "CLAIRE", code: str = "10", category: str = "C"
    ) -> str:
        bare = national_id[1:]
        return (
            f"{national_id[:1]}|{bare}|{national_id}|||||{name}|{given}|{code}|Libellé|{category}|Civil|||||L|Libéral|"
        )

    return make


@pytest.fixture
def box() -> Box:
    """Make a line of the extract of boxes."""

    def make(
        address: str,
        national_id: str = "",
        kind: str = "PER",
        structure: str = "",
        structure_type: str = "",
        structure_name: str = "",
        service: str = "",
    ) -> str:
        ids = f"{national_id[:1]}|{national_id[1:]}|{national_id}"
        return f"{kind}|{address}|{ids}|{structure_type}|{structure}|{service}||||||||||O|{structure_name}|"

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lines as a file, or as the member of a zip where the name ends so."""

    def make(
        name: str, lines: Sequence[str], encoding: str = "utf-8", end: str = "\n", member: str = "extract.txt"
    ) -> Path:
        path = tmp_path / name
        content = "".join(line + end for line in lines).encode(encoding)
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(member, content)
        else:
            path.write_bytes(content)
        return path

    return make


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the snapshot goes."""
    return tmp_path / "data" / "directory.sqlite"


Load = Callable[..., Directory]


@pytest.fixture
def load(target: Path, clock: FakeClock) -> Load:
    """Import files and open the directory."""

    def make(*files: Path) -> Directory:
        import_extracts(target, files, clock=clock)
        return Directory(target, clock)

    return make
