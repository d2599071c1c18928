"""Files that the settings name are looked at, each with its own fault."""

from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.settings.check import check_files
from mssmail.settings.model import Settings, Tls, Trust
from mssmail.settings.place import file_of, place, run_folder


def test_check_files(tmp_path: Path) -> None:
    """A missing and an empty file are told by name; good ones aren't."""
    good, empty, missing = tmp_path / "good.pem", tmp_path / "empty.pem", tmp_path / "missing.pem"
    good.write_text("x")
    empty.write_text("")
    settings = Settings(tls=Tls(certificate=good, key=missing), trust=Trust(persons_ca=good, crls=(empty,)))
    assert [str(fault) for fault in check_files(settings)] == [
        f"{missing}: tls.key: can't be read: No such file or directory",
        f"{empty}: trust.crls: is empty",
    ]


def test_place_idempotent(tmp_path: Path) -> None:
    """Placing twice is placing once, and everything lies under the data folder."""
    start = Settings()
    placed = place(replace(start, server=replace(start.server, data=tmp_path / "a b")))
    assert place(placed) == placed
    assert file_of(placed.store.bodies) == tmp_path / "a b" / "bodies"
    assert run_folder(placed) == tmp_path / "a b" / "run"


@pytest.mark.parametrize(
    ("address", "file"),
    [("file:///a%20b/c", Path("/a b/c")), ("file:x", None), ("file://host/x", None), ("pkcs11:token=t", None)],
)
def test_file_of(address: str, file: Path | None) -> None:
    """Only a file address with an empty host names a file."""
    assert file_of(address) == file


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        ("", "sqlite:////d/mail.db"),
        ("sqlite:///other.db", "sqlite:////d/other.db"),
        ("sqlite:////x/other.db", "sqlite:////x/other.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
    ],
)
def test_place_database(given: str, placed: str) -> None:
    """A relative SQLite file lies under the data folder; any other address stays."""
    start = Settings()
    settings = replace(start, server=replace(start.server, data=Path("/d")), store=replace(start.store, database=given))
    assert place(settings).store.database == placed
