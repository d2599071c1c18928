"""OpenID providers in a configuration: each a table, read with its defaults, checked, written back the same."""

from pathlib import Path

import pytest

from mssmail.settings.check import check_files
from mssmail.settings.describe import dump, reference
from mssmail.settings.fault import ConfigError
from mssmail.settings.load import load
from mssmail.settings.model import Settings
from mssmail.settings.provider import ALGORITHMS, OpenIdProvider

BASE = """
[server]
domains = ["demo.mssante.fr"]
data = "data"
[tls]
certificate = "server.pem"
key = "server.key"
[keys]
provider = "file:root.key"
"""
PSC = """
[[openid.providers]]
name = "psc"
issuer = "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"
discovery = "/.well-known/wallet-openid-configuration"
audience = ["mssmail"]
"""


def read(folder: Path, text: str) -> Settings:
    file = folder / "mssmail.toml"
    file.write_text(BASE + text, encoding="utf-8")
    return load(file, environment={})


def test_pro_sante_connect(tmp_path: Path) -> None:
    """Four lines are enough for Pro Santé Connect; what they leave out is strict."""
    (psc,) = read(tmp_path, PSC).openid.providers
    assert psc == OpenIdProvider(
        name="psc",
        issuer="https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet",
        discovery="/.well-known/wallet-openid-configuration",
        audience=("mssmail",),
    )
    assert psc.description == (
        "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet/.well-known/wallet-openid-configuration"
    )
    assert (psc.acr, psc.algorithms, psc.identity_claim, psc.require_practice) == (
        ("eidas1",),
        ("RS256",),
        "SubjectNameID",
        True,
    )


def test_written_back(tmp_path: Path) -> None:
    """Providers survive being written and read; their files' places start at the configuration's folder."""
    text = PSC + 'mode = "introspection"\nclient_id = "me"\nclient_secret = "psc.secret"\nca = "/etc/ca.pem"\n'
    text += 'leeway = "1m"\nclients = ["a", "b"]\n\n[[openid.providers]]\nname = "other"\n'
    text += 'issuer = "https://id.example"\naudience = ["x"]\nacr = []\n'
    settings = read(tmp_path, text)
    first, second = settings.openid.providers
    assert (first.client_secret, first.ca) == (tmp_path / "psc.secret", Path("/etc/ca.pem"))
    assert (second.name, second.acr) == ("other", ())
    again = tmp_path / "again.toml"
    again.write_text(dump(settings), encoding="utf-8")
    assert load(again, environment={}) == settings


WRONG = [
    ("providers = 5", "a list is wanted here"),
    ("providers = [5]", "a table is wanted here"),
    ("providers = [{}]", "name: must be given"),
    (PSC.replace('audience = ["mssmail"]', ""), "audience: must be given"),
    (PSC.replace('["mssmail"]', "[]"), "audience: must be given"),
    (PSC.replace("https:", "http:"), "must make addresses as https://host/path"),
    (PSC + 'ca2 = "x"', "ca2: unknown key"),
    (PSC + 'algorithms = ["none"]', "algorithms: must be one of RS256"),
    (PSC + 'algorithms = ["HS256"]', "algorithms: must be one of RS256"),
    (PSC + "algorithms = []", "algorithms must name one at least"),
    (PSC + 'leeway = "1h"', "leeway: must lie between 0s and 5m"),
    (PSC + 'mode = "introspection"', "introspection needs client_id and client_secret"),
    (PSC + 'mode = "trust"', "mode: must be one of jwks, introspection"),
    (PSC + PSC.replace("esante-wallet", "x"), "two have the same name"),
    (PSC + PSC.replace('"psc"', '"psc2"'), "two have the same issuer"),
]


@pytest.mark.parametrize(("text", "fault"), WRONG, ids=[f"{n} {c[1]}" for n, c in enumerate(WRONG)])
def test_wrong(tmp_path: Path, text: str, fault: str) -> None:
    """What can't be right is told before anything starts, at its place."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text if text.startswith("\n") else "[openid]\n" + text)
    assert [fault in str(one) and one.key == "openid.providers" for one in caught.value.faults] == [True]
    assert caught.value.faults[0].line is not None


def test_missing_files(tmp_path: Path) -> None:
    """The secret and the authorities that a provider names must be there."""
    settings = read(tmp_path, PSC + 'client_secret = "none"\nca = "none.pem"\n')
    faults = [fault for fault in check_files(settings) if fault.key == "openid.providers"]
    assert len(faults) == 2


def test_no_weak_algorithm() -> None:
    """Neither `none` nor a shared secret can be set."""
    assert not [name for name in ALGORITHMS if name == "none" or name.startswith("HS")]


def test_each_key_is_described() -> None:
    """The reference tells each key of a provider."""
    text = reference()
    missing = [name for name in OpenIdProvider.__dataclass_fields__ if f"#   - {name}: " not in text]
    assert missing == []
