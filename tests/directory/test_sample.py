"""The samples that were published of the Pro Santé Connect variant."""

from pathlib import Path

from mssmail.base.clock import FakeClock
from mssmail.directory.lookup import Directory
from mssmail.directory.model import Kind, Person, Profession
from mssmail.directory.snapshot import import_extracts


def test_published_samples_are_read(shared: Path, target: Path, clock: FakeClock) -> None:
    """Every sample is read without a skipped line, and gives as many people as it has distinct national ids."""
    samples = sorted((shared / "data" / "annuaire").glob("Extraction_ProSanteConnect_*.txt"))
    assert samples
    for sample in samples:
        lines = sample.read_text(encoding="utf-8").splitlines()
        distinct = {line.split("|")[2] for line in lines[1:]}
        info = import_extracts(target, [sample], clock=clock, allow_shrink=True)
        assert (info.people, info.sources[0].kind) == (len(distinct), Kind.ACTIVITY)
        assert (info.sources[0].rows, info.sources[0].skipped) == (len(lines) - 1, 0)


def test_exercise_names_are_taken(shared: Path, target: Path, clock: FakeClock) -> None:
    """Where civil and exercise names differ, the exercise one is shown."""
    sample = next((shared / "data" / "annuaire").glob("*_202112120512.txt"))
    import_extracts(target, [sample], clock=clock)
    directory = Directory(target, clock)
    assert directory.person("0012800736") == Person("0012800736", "0", "EVRARD", "Bernadette", (Profession("28", "C"),))
