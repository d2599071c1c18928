"""The reference is current and whole; a dumped configuration is read back as itself."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.settings.describe import dump, mask, reference, show, values
from mssmail.settings.load import load
from mssmail.settings.model import Keys, Listen, Retention, Server, Settings, Store, Tls, all_settings
from mssmail.settings.place import place
from mssmail.settings.units import Seconds

REFERENCE = Path(__file__).parents[2] / "config" / "reference.toml"


def full(name: str = "localhost", folder: Path = Path("/srv/mssmail")) -> Settings:
    return Settings(
        server=Server(name=name, domains=("demo.mssante.fr", "é.fr"), data=folder),
        tls=Tls(certificate=folder / "c.pem", key=folder / "k.pem"),
        listen=Listen(imap=None),
        retention=Retention(default=Seconds(5), period=Seconds(1)),
        keys=Keys(provider="file:root.key"),
        store=Store(database="postgresql+psycopg://mail:hunter2@db/mail"),
    )


def test_reference_current() -> None:
    """config/reference.toml is what the model says now; `make reference` writes it."""
    assert REFERENCE.read_text(encoding="utf-8") == reference()


def test_reference_whole() -> None:
    """Every setting stands in the reference under its section, with a sentence."""
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[\w+\]\n|\Z)", reference(), re.M | re.S))
    for setting in all_settings():
        assert re.search(rf"^# .*\n(#   .*\n)*#{setting.key} = ", sections[setting.section], re.M), setting.name
        assert setting.sentence.endswith("."), setting.name


def test_reference_loads(tmp_path: Path) -> None:
    """With its defaults taken the reference is a configuration that equals the defaults."""
    lines = reference().splitlines()
    required = {f"#{setting.key} = " for setting in all_settings() if setting.required}
    taken = [re.sub(r"^#(?=\w+ = )", "", line) for line in lines if not any(line.startswith(key) for key in required)]
    file = tmp_path / "reference.toml"
    file.write_text("\n".join(taken), encoding="utf-8")
    start = full()
    bare = Settings(server=Server(domains=start.server.domains), tls=start.tls, keys=start.keys)
    assert load(file, environment={}, start=full_defaults(bare)) == place(full_defaults(bare))


def full_defaults(settings: Settings) -> Settings:
    """The settings with all that the reference can't give left as it is."""
    return replace(settings, server=replace(settings.server, data=Path("/var/lib/mssmail")))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_dump_round_trip(name: str) -> None:
    """Whatever text a setting holds, the dumped file is read back as the same settings."""
    settings = place(full(name))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mssmail.toml"
        file.write_text(dump(settings), encoding="utf-8", newline="")
        assert load(file, environment={}) == settings


def test_show_masks() -> None:
    """What is shown holds no password."""
    assert "hunter2" in dump(full())
    assert "hunter2" not in show(full())
    assert "hunter2" not in str(values(full()))


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:***@h/d"),
        ("postgresql+psycopg://u@h/d?password=p&x=1", "postgresql+psycopg://u@h/d?password=***&x=1"),
        ("pkcs11:token=t?pin-value=1234", "pkcs11:token=t?pin-value=***"),
        ("sqlite:////srv/mail.db", "sqlite:////srv/mail.db"),
        ("s3://b?endpoint=https://h:9000&secret_key=k", "s3://b?endpoint=https://h:9000&secret_key=***"),
    ],
)
def test_mask(address: str, masked: str) -> None:
    """Passwords, PINs and secrets in an address are masked, the rest stays."""
    assert mask(address) == masked
