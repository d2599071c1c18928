"""A house without servers, prepared once and copied for each test that changes it; and calls in this process."""

import io
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mssmail.base.clock import SystemClock
from mssmail.cli.main import run
from mssmail.demo.extract import write_extracts
from mssmail.demo.people import CLAIRE, populate
from mssmail.demo.pki import DemoPki

CONFIG = """
[server]
domains = ["demo.mssante.fr"]
data = "data"
[tls]
certificate = "pki/leaf/server.pem"
key = "pki/leaf/server.key"
[keys]
provider = "file:root.key"
"""
PASSWORD = "gorge ballon tuile 73 verger"
CLAIRE_ADDRESS = "claire.martin@demo.mssante.fr"


@dataclass(frozen=True, slots=True)
class Said:
    """What a call said, and its exit status."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class House:
    """A folder with a configuration, and the calls that act on it."""

    folder: Path
    call: Callable[..., Said]

    @property
    def config(self) -> Path:
        return self.folder / "mssmail.toml"

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        return self.call(["--config", str(self.config), *arguments], stdin)


class _Stdin:
    """Standard input as a pipe."""

    def __init__(self, text: str) -> None:
        self.buffer = io.BytesIO(text.encode())

    def isatty(self) -> bool:
        return False


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run a command line in this process."""
    monkeypatch.delenv("MSSMAIL_CONFIG", raising=False)

    def called(arguments: Sequence[str], stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", _Stdin(stdin))
        capsys.readouterr()
        status = run(list(arguments))
        out, err = capsys.readouterr()
        return Said(status, out, err)

    return called


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small directory's two files."""
    written = write_extracts(tmp_path_factory.mktemp("extracts"), populate(people=60, boxes=20), SystemClock().now())
    return written.activity, written.boxes


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory, extracts: tuple[Path, Path]) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "mssmail.toml").write_text(CONFIG)
    DemoPki.create_or_load(folder / "pki", SystemClock()).server()
    here = ["--config", str(folder / "mssmail.toml")]
    assert run([*here, "keys", "init"]) == 0
    assert run([*here, "directory", "import", *map(str, extracts)]) == 0
    create = ["account", "create", CLAIRE_ADDRESS, "--holder", CLAIRE.national_id, "--no-password"]
    assert run([*here, *create]) == 0
    return folder


@pytest.fixture
def house(_prepared: Path, tmp_path: Path, call: Callable[..., Said]) -> House:
    """A house with a directory and one account, Claire's."""
    folder = tmp_path / "house"
    shutil.copytree(_prepared, folder)
    return House(folder, call)
