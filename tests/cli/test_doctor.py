"""`mssmail doctor`: what it finds where something is wrong, and that it finds nothing where nothing is."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.clock import SystemClock
from mssmail.demo.pki import DemoPki
from tests.cli.conftest import House, Said
from tests.cli.test_serve import LISTEN, serving

TRUST = '[trust]\npersons_ca = "anchors.pem"\ncrls = ["pki/root.crl", "pki/persons.crl"]\n'


@pytest.fixture
def sound(house: House) -> House:
    """A house in which nothing is an error: anchors, lists, a folder that nobody else reads."""
    pki = DemoPki.create_or_load(house.folder / "pki", SystemClock())
    (house.folder / "anchors.pem").write_bytes(pki.persons.pem + pki.root.pem)
    with house.config.open("a") as file:
        file.write(LISTEN.format(imaps=0) + TRUST)
    house.config.chmod(0o600)
    return house


def found(said: Said, severity: str = "error") -> dict[str, str]:
    """Subject to finding, of one severity."""
    return {f["subject"]: f["finding"] for f in json.loads(said.out) if f["severity"] == severity}


def test_sound(sound: House) -> None:
    """A sound house has no errors, running or not, and each thing is looked at."""
    said = sound("doctor", "--json")
    assert (said.status, found(said)) == (0, {})
    looked = set(found(said, "ok"))
    assert {"configuration", "key store", "directory", "database", "clock", "purge", "anchors"} <= looked
    assert "not running" in found(said, "note")["server"]
    with serving(sound):
        said = sound("doctor", "--json")
        assert (said.status, found(said)) == (0, {})
        assert "running, process" in found(said, "ok")["server"]


def test_text(sound: House) -> None:
    """People read the findings with their remedies and a count; what is in order is shown on demand."""
    brief, whole = sound("doctor"), sound("doctor", "--all")
    assert "leave " in brief.out and "0 errors" in brief.out
    assert "ok " not in brief.out
    assert "database: sound" in whole.out


def _append(text: str) -> Callable[[House], None]:
    def change(house: House) -> None:
        with house.config.open("a") as file:
            file.write(text)

    return change


def _mode(name: str, mode: int) -> Callable[[House], None]:
    return lambda house: (house.folder / name).chmod(mode)


def _unlink(name: str) -> Callable[[House], None]:
    return lambda house: (house.folder / name).unlink()


def _other_root_key(house: House) -> None:
    (house.folder / "data").rename(house.folder / "kept")
    (house.folder / "data").mkdir()
    assert house("keys", "init").status == 0
    for entry in (house.folder / "kept").iterdir():
        if entry.name != "root.key":
            entry.rename(house.folder / "data" / entry.name)


def _damage(house: House) -> None:
    """Overwrite pages in the middle of the database, as a failing disk does."""
    file = house.folder / "data" / "mail.db"
    sqlite3.connect(file).execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 3 : len(octets) * 2 // 3] = bytes(len(octets) * 2 // 3 - len(octets) // 3)
    file.write_bytes(octets)


def _cut_checkpoints(house: House) -> None:
    database = sqlite3.connect(house.folder / "data" / "mail.db", isolation_level=None)
    database.execute("DELETE FROM checkpoints")
    database.close()


def _future_event(house: House) -> None:
    database = sqlite3.connect(house.folder / "data" / "mail.db", isolation_level=None)
    database.execute("UPDATE events SET at_ms = at_ms + 86400000")
    database.close()


@pytest.mark.parametrize(
    ("change", "subject", "told"),
    [
        (_append("[retention]\ndefault = 'ages'\n"), "configuration", "retention.default"),
        (_mode("data/root.key", 0o644), "root key", "mode 0644"),
        (_mode("pki/leaf/server.key", 0o644), "server's private key", "mode 0644"),
        (_mode("data", 0o755), "data folder", "mode 0755"),
        (_mode("mssmail.toml", 0o666), "configuration file", "others can change it"),
        (_unlink("data/root.key"), "root key", "missing"),
        (_unlink("pki/persons.crl"), "configuration", "trust.crls"),
        (_unlink("data/directory/directory.db"), "directory", "none is in service"),
        (_other_root_key, "key store", "wasn't made with the root key"),
        (_damage, "database", ""),
        (_cut_checkpoints, "trail's checkpoint", "missing"),
        (_future_event, "clock", "before the trail's last event"),
        (_append('[keys]\nstore = "sqlite:///bodies/keys.db"\n'), "configuration", ""),
    ],
)
def test_errors(sound: House, change: Callable[[House], None], subject: str, told: str) -> None:
    """Each of these is found as an error about its subject, with status 1 and no traceback."""
    change(sound)
    said = sound("doctor", "--json")
    assert said.status == 1, said
    assert told in found(said)[subject]
    assert said.err == ""


def test_before_the_first_start(call: Callable[..., Said], tmp_path: Path) -> None:
    """A server that was only founded is examined without making anything."""
    config = tmp_path / "etc" / "mssmail.toml"
    assert call(["init", "--config", str(config), "--yes", "--domain", "demo.mssante.fr"]).status == 0
    before = sorted(map(str, tmp_path.rglob("*")))
    said = call(["doctor", "--config", str(config), "--json"])
    assert "holds no mail yet" in found(said, "note")["database"]
    assert sorted(map(str, tmp_path.rglob("*"))) == before


@pytest.mark.parametrize(("purpose", "severity"), [("both", "ok"), ("person", "error"), ("none", "error")])
def test_certificate_for_operators(sound: House, purpose: str, severity: str) -> None:
    """What other operators are shown is judged as they will judge it, before any of them does."""
    pki = DemoPki.create_or_load(sound.folder / "pki", SystemClock())
    (sound.folder / "operators.pem").write_bytes(pki.organisations.pem + pki.root.pem)
    leaf = pki.server()
    if purpose == "person":
        leaf = pki.person("810000000001", "MARTIN", "Claire", "Médecin")
    if purpose == "none":
        (sound.folder / "nothing.pem").write_text("nothing")
        leaf = replace(leaf, cert=sound.folder / "nothing.pem")
    text = sound.config.read_text().replace("[trust]\n", '[trust]\noperators_ca = "operators.pem"\n')
    sound.config.write_text(f'{text}\n[relay]\ncertificate = "{leaf.cert}"\nkey = "{leaf.key}"\n')
    assert "certificate for operators" in found(sound("doctor", "--json"), severity)
