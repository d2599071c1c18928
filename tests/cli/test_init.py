"""`mssmail init`: what it makes, with which modes, and that it replaces nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mssmail.base.clock import SystemClock
from mssmail.demo.pki import DemoPki
from mssmail.settings.load import load
from mssmail.settings.model import all_settings
from tests.cli.conftest import Said

Call = Callable[..., Said]


def init(call: Call, config: Path, *more: str) -> Said:
    return call(["init", "--config", str(config), "--yes", "--domain", "Cabinet.MSSante.fr", *more])


def modes(folder: Path) -> set[int]:
    return {p.stat().st_mode & 0o777 for p in folder.rglob("*") if p.is_file()}


def test_all_is_made(call: Call, tmp_path: Path) -> None:
    """The configuration is sound and tells every setting; nobody else may read what was made; next steps are told."""
    config = tmp_path / "etc" / "mssmail.toml"
    said = init(call, config)
    assert said.status == 0, said
    settings = load(config, environment={})
    assert settings.server.domains == ("cabinet.mssante.fr",)
    assert settings.server.data == tmp_path / "etc" / "data"
    assert modes(tmp_path) == {0o600}
    assert settings.server.data.stat().st_mode & 0o777 == 0o700
    text = config.read_text()
    assert [s.name for s in all_settings() if s.sentence.split(".")[0][:40] not in text] == []
    assert call(["config", "check", "--config", str(config)]).status == 0
    for step in ("directory import", "account create", "serve", "doctor"):
        assert step in said.out


def test_replaces_nothing(call: Call, tmp_path: Path) -> None:
    """A configuration ends it; a root key and a certificate that are there are used."""
    config = tmp_path / "mssmail.toml"
    assert init(call, config).status == 0
    kept = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    said = init(call, config)
    assert (said.status, said.out) == (1, "")
    assert str(config) in said.err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == kept
    text = kept.pop(config)
    config.unlink()
    assert init(call, config).status == 0
    assert {p: p.read_bytes() for p in kept} == kept
    assert config.read_bytes() == text


def test_demo_anchors(call: Call, tmp_path: Path) -> None:
    """With the demo's hierarchy, persons and organisations can sign in, and the server's certificate is of it."""
    config = tmp_path / "mssmail.toml"
    assert init(call, config, "--anchors", "demo", "--name", "localhost").status == 0
    settings = load(config, environment={})
    assert settings.trust.persons_ca is not None
    assert settings.trust.organisations_ca is not None
    assert len(settings.trust.crls) == 3
    assert call(["doctor", "--config", str(config)]).status == 0


def test_real_anchors(call: Call, tmp_path: Path) -> None:
    """CA files in any order are sorted by purpose, each with the root above it; lists stay where they are fetched."""
    pki = DemoPki.create_or_load(tmp_path / "ca", SystemClock())
    files = [tmp_path / "ca" / name for name in ("organisations.pem", "root.pem", "persons.pem")]
    options = [part for file in (*files, *pki.crls) for part in ("--anchors", str(file))]
    config = tmp_path / "etc" / "mssmail.toml"
    assert init(call, config, *options).status == 0
    trust = load(config, environment={}).trust
    assert trust.persons_ca is not None
    assert trust.organisations_ca is not None
    assert trust.persons_ca.read_bytes() == pki.persons.pem + pki.root.pem
    assert trust.organisations_ca.read_bytes() == pki.organisations.pem + pki.root.pem
    assert trust.crls == pki.crls
    assert call(["doctor", "--config", str(config)]).status == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--anchors", "missing.pem"), "missing.pem"),
        (("--anchors", __file__), "PERSONNES"),
        (("--anchors", "demo", "--anchors", __file__), "stands alone"),
        (("--certificate", __file__), "go together"),
        (("--domain", "not a domain"), "server.domains"),
    ],
)
def test_refused(call: Call, tmp_path: Path, more: tuple[str, ...], told: str) -> None:
    """What can't be used is told, and no configuration is left behind."""
    config = tmp_path / "etc" / "mssmail.toml"
    said = init(call, config, *more)
    assert said.status == 2
    assert told in said.err
    assert not config.exists()


def test_asks_only_people(call: Call, tmp_path: Path) -> None:
    """Without a terminal and without --yes nothing is asked and nothing made."""
    said = call(["init", "--config", str(tmp_path / "mssmail.toml"), "--domain", "x.fr"])
    assert said.status == 2
    assert "--yes" in said.err
    assert list(tmp_path.iterdir()) == []
