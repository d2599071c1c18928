"""How a call begins and ends: where --config stands, the exit status, one clear line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason
from mssmail.cli.main import config_first
from mssmail.cli.words import WORDS
from tests.cli.conftest import CONFIG, House, Said


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["config", "check"], ["config", "check"]),
        (["account", "--socket=s", "list"], ["--socket=s", "account", "list"]),
        (["--config", "f", "config", "check"], ["--config", "f", "config", "check"]),
        (["config", "check", "--config", "f"], ["--config", "f", "config", "check"]),
        (["config", "--config=f", "check"], ["--config=f", "config", "check"]),
        (["account", "list", "--", "--config", "f"], ["account", "list", "--", "--config", "f"]),
        (["serve", "--config"], ["--config", "serve"]),
    ],
)
def test_config_first(given: list[str], ordered: list[str]) -> None:
    """--config may stand before or after the verb."""
    front, rest = config_first(given)
    assert [*front, *rest] == ordered


def test_config_after_the_verb(house: House) -> None:
    """A verb acts on the file named behind it, and on the one that the environment names."""
    assert house.call(["account", "list", "--config", str(house.config)]).status == 0


def test_config_from_environment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """MSSMAIL_CONFIG names the file where no --config does."""
    monkeypatch.setenv("MSSMAIL_CONFIG", str(house.config))
    assert "claire.martin@demo.mssante.fr" in house.call(["account", "list"]).out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["account", "nonsense"],
        ["account", "list", "--nonsense"],
        ["account", "show"],
        ["--config"],
        ["--config", "a", "config", "check", "--config", "b"],
    ],
)
def test_usage(call: Callable[..., Said], arguments: list[str]) -> None:
    """A call that can't be understood ends with status 2 and one line."""
    said = call(arguments)
    assert (said.status, said.out) == (2, "")
    assert len(said.err.strip().splitlines()) == 1, said.err


def test_a_noun_alone_shows_its_help(call: Callable[..., Said]) -> None:
    """A noun without a verb shows its verbs, with the status of a call that did nothing."""
    said = call(["account"])
    assert said.status == 2
    assert "suspend" in said.err


def test_every_fault_of_a_configuration(call: Callable[..., Said], tmp_path: Path) -> None:
    """All faults are listed with their lines, and nothing is made."""
    file = tmp_path / "broken.toml"
    file.write_text('[server]\ndata = "d"\nworkers = 0\n[retention]\ndefault = "ages"\nnonsense = 1\n')
    for verb in (["config", "check"], ["serve"], ["account", "list"], ["demo", "--data", str(tmp_path / "demo")]):
        said = call([*verb, "--config", str(file)])
        assert said.status == 2
        for place in (":3: server.workers", ":5: retention.default", ":6: retention.nonsense"):
            assert place in said.err, verb
    assert [entry.name for entry in tmp_path.iterdir()] == ["broken.toml"]


def test_missing_files_are_faults(call: Callable[..., Said], tmp_path: Path) -> None:
    """`config check` and `serve` tell of each certificate file that isn't there."""
    file = tmp_path / "mssmail.toml"
    file.write_text(CONFIG)
    for verb in (["config", "check"], ["serve"]):
        said = call([*verb, "--config", str(file)])
        assert (said.status, len(said.err.splitlines())) == (2, 2)
        assert "server.pem" in said.err
        assert "server.key" in said.err


@pytest.mark.parametrize("damage", ["missing", "another", "rubbish"])
def test_root_key(house: House, damage: str) -> None:
    """A missing, a wrong and a damaged root key are refused before anything listens, by the file's name."""
    key = house.folder / "data" / "root.key"
    key.unlink()
    if damage == "another":
        assert house("keys", "init").status == 0
    elif damage == "rubbish":
        key.write_text("rubbish")
    for verb in (["serve"], ["account", "list"]):
        said = house(*verb)
        assert said.status == 2
        assert str(key) in said.err
        assert len(said.err.splitlines()) == 1


def test_keys_init_replaces_nothing(house: House) -> None:
    """A root key that is there stays."""
    key = house.folder / "data" / "root.key"
    before = key.read_bytes()
    said = house("keys", "init")
    assert (said.status, key.read_bytes()) == (1, before)
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_failure_of_our_own(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug shows as an incident, without a traceback and without the exception's text."""

    def broken(*_: object) -> None:
        raise RuntimeError("gargouille")

    monkeypatch.setattr("mssmail.flow.people.People.all", broken)
    said = house("account", "list")
    assert said.status == 1
    assert "incident" in said.err
    assert "Traceback" not in said.err
    assert "gargouille" not in said.err


def test_words_are_total() -> None:
    """There are words for each reason."""
    assert set(WORDS) == set(Reason)


def test_config_show_masks(house: House) -> None:
    """A password in an address is masked, in text and in JSON."""
    with house.config.open("a") as file:
        file.write('[store]\ndatabase = "postgresql+psycopg://u:hunter2@db/mail"\n')
    for more in ([], ["--json"]):
        said = house("config", "show", *more)
        assert said.status == 0
        assert "hunter2" not in said.out
        assert "u:***@db" in said.out
    assert json.loads(house("config", "show", "--json").out)["server"]["workers"] == "1"


def test_reference_of_one_setting(call: Callable[..., Said]) -> None:
    """One setting or one section can be asked for; another word is told to be none."""
    assert 'retention.default = "90d"' in call(["config", "reference", "retention"]).out
    assert call(["config", "reference", "nonsense"]).status == 2


def test_help_is_light() -> None:
    """`--help` loads none of the heavy rooms: it must stand there at once."""
    code = "import sys; from mssmail.cli.main import run; run(['--help']); print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"sqlalchemy", "cryptography", "asyncio", "rich", "uvloop", "structlog", "mssmail.app", "mssmail.settings"}
    assert heavy & set(loaded) == set()
