"""`mssmail directory diff` and `refresh`, on a house without servers."""

import json
import os
from pathlib import Path

import pytest

from mssmail.demo.extract import write_extracts
from mssmail.demo.people import CLAIRE, populate
from tests.cli.conftest import House


def publish(folder: Path, *, published_at: float, without: str) -> None:
    """Lay a newer pair of extracts into a folder, as if for a while."""
    files = write_extracts(folder, populate(0, people=60, boxes=20).without(without), published_at)
    for file in (files.activity, files.boxes):
        os.utime(file, (1_700_000_000, 1_700_000_000))


def test_refresh_and_diff(house: House, tmp_path: Path) -> None:
    """What the configured folder holds is loaded when asked, once; the difference names who is gone."""
    assert house("directory", "diff").status == 1
    said = house("directory", "refresh")
    assert (said.status, "nowhere to ask" in said.err) == (2, True)
    folder = tmp_path / "incoming"
    before = json.loads(house("directory", "status", "--json").out)
    publish(folder, published_at=before["built_at"] + 120, without=CLAIRE.national_id)
    with house.config.open("a") as config:
        config.write(f'[directory]\nsource = ["{folder.as_uri()}"]\n')
    said = house("directory", "refresh", "--json")
    assert (said.status, json.loads(said.out)["people"]) == (0, before["people"] - 1)
    assert house("directory", "refresh").out == "nothing new\n"
    found = json.loads(house("directory", "diff", "--json").out)
    assert found["before"] == before["built_at"]
    assert found["changes"]["struck-off"] == {"count": 1, "first": [CLAIRE.national_id]}
    assert {kind: c["count"] for kind, c in found["changes"].items() if kind.startswith("reg")} == {"registered": 0}
    lines = house("directory", "diff", "--limit", "1").out
    assert "struck-off" in lines
    assert CLAIRE.national_id in lines
    assert house("directory", "rollback").status == 0
    back = json.loads(house("directory", "diff", "--json").out)
    assert back["changes"]["registered"] == {"count": 1, "first": [CLAIRE.national_id]}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('source = ["http://plain.example/x"]', "directory.source"),
        ('source = ["https://user:word@host.example/x"]', "directory.source"),
        ('fhir = "https://gateway.example/fhir/v2"', "directory.fhir_key"),
        ('fhir = "https://gateway.example/fhir?x=1"\nfhir_key = "key"', "directory.fhir"),
        ('max_age = "1d"', "directory.max_age"),
    ],
)
def test_settings_that_cannot_be(house: House, lines: str, fault: str) -> None:
    """A place that isn't https or a folder, an API without its key, and an alarm after the refusal are told at once."""
    with house.config.open("a") as config:
        config.write(f"[directory]\n{lines}\n")
    said = house("directory", "status")
    assert said.status == 2
    assert fault in said.err
    assert "word" not in said.err
