"""Settings are read from files and environment; every fault is told at once, with its place."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.settings.fault import ConfigError, Fault
from mssmail.settings.load import config_variable, load
from mssmail.settings.model import BY_NAME, Server, Settings

GOOD = """\
[server]
domains = ["demo.mssante.fr"]
data = "data"

[tls]
certificate = "pki/server.pem"
key = "pki/server.key"

[keys]
provider = "file:root.key"
"""


def written(folder: Path, text: str, name: str = "mssmail.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def faults(*files: Path, environment: Mapping[str, str] | None = None) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        load(*files, environment=environment or {})
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return caught.value.faults


def test_good(tmp_path: Path) -> None:
    """What is given is taken, paths from the file's folder, and all else has its default and its place."""
    settings = load(written(tmp_path, GOOD), environment={})
    assert settings.server.domains == ("demo.mssante.fr",)
    assert settings.tls.certificate == tmp_path / "pki/server.pem"
    assert settings.server.data == tmp_path / "data"
    assert settings.store.database == f"sqlite:///{tmp_path}/data/mail.db"
    assert settings.store.bodies == f"file://{tmp_path}/data/bodies"
    assert settings.keys.store == f"sqlite:///{tmp_path}/data/keys/keys.db"
    assert settings.keys.provider == f"file://{tmp_path}/data/root.key"
    assert settings.directory.folder == tmp_path / "data/directory"
    assert settings.retention.default == 90 * 86_400
    assert settings.retention.period is None
    assert settings.auth.grant_lifetime == 8 * 3600
    assert settings.store.inline_max == 256 * 1024
    assert settings.smtp.max_message_size == 50 * 1024 * 1024


def test_layers(tmp_path: Path) -> None:
    """A later file goes before an earlier one, the environment before all; what a layer leaves out stays."""
    first = written(tmp_path, GOOD + '[retention]\ndefault = "10d"\ninterval = "2h"\n[smtp]\ntimeout = "10m"\n')
    second = written(tmp_path, '[retention]\ndefault = "20d"\ninterval = "3h"\n', "over.toml")
    settings = load(first, second, environment={"MSSMAIL_RETENTION_DEFAULT": "5s", "HOME": "elsewhere"})
    assert (settings.retention.default, settings.retention.interval, settings.smtp.timeout) == (5, 10_800, 600)


def test_start(tmp_path: Path) -> None:
    """Files are laid over the settings a caller starts from."""
    start = Settings(server=Server(name="start", workers=3))
    settings = load(written(tmp_path, GOOD), environment={}, start=start)
    assert (settings.server.name, settings.server.workers) == ("start", 3)


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("MSSMAIL_RETENTION_DEFAULT", "5s", "retention.default", 5),
        ("MSSMAIL_RETENTION__DEFAULT", "5s", "retention.default", 5),
        ("MSSMAIL_RETENTION_PERIOD", "auto", "retention.period", None),
        ("MSSMAIL_AUTH_GRANT_BARE_PASSWORD", "true", "auth.grant_bare_password", True),
        ("MSSMAIL_AUTH_MAX_FAILURES", "3", "auth.max_failures", 3),
        ("MSSMAIL_DIRECTORY_SHRINK_LIMIT", "0.5", "directory.shrink_limit", 0.5),
        ("MSSMAIL_SERVER_DOMAINS", "a.fr, b.fr", "server.domains", ("a.fr", "b.fr")),
        ("MSSMAIL_LISTEN_IMAP", "off", "listen.imap", None),
        ("MSSMAIL_LISTEN_IMAP", "0", "listen.imap", 0),
        ("MSSMAIL_TLS_KEY", "/k.pem", "tls.key", Path("/k.pem")),
    ],
)
def test_environment(tmp_path: Path, variable: str, text: str, name: str, value: object) -> None:
    """MSSMAIL_SECTION_KEY sets one setting, whatever its kind."""
    settings = load(written(tmp_path, GOOD), environment={variable: text})
    setting = BY_NAME[name]
    assert getattr(getattr(settings, setting.section), setting.key) == value


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MSSMAIL_RETENTION_DEFAULT": "5"}, "environment: MSSMAIL_RETENTION_DEFAULT: a duration is"),
        (
            {"MSSMAIL_RETENTION_DEFALT": "5s"},
            "environment: MSSMAIL_RETENTION_DEFALT: no setting bears this name; is MSSMAIL_RETENTION_DEFAULT meant?",
        ),
        ({"MSSMAIL_AUTH_MAX_FAILURES": "ten"}, "environment: MSSMAIL_AUTH_MAX_FAILURES: a whole number is wanted"),
        ({"MSSMAIL_AUTH_GRANT_BARE_PASSWORD": "1"}, "environment: MSSMAIL_AUTH_GRANT_BARE_PASSWORD: true or false"),
        (
            {"MSSMAIL_SERVER_NAME": "a", "MSSMAIL_SERVER__NAME": "b"},
            "environment: MSSMAIL_SERVER__NAME: server.name is set twice",
        ),
    ],
)
def test_environment_faults(tmp_path: Path, environment: dict[str, str], expected: str) -> None:
    """A variable that names nothing, names something twice or has no sense is a fault that names the variable."""
    (fault,) = faults(written(tmp_path, GOOD), environment=environment)
    assert str(fault).startswith(expected)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("[retention]\n\ndefault = 5\n", 3, "retention.default: a duration in quotation marks"),
        ('[retention]\ndefault = "5 days"\n', 2, "retention.default: a duration is"),
        ('[retention]\ndefault = "0s"\n', 2, "retention.default: must lie between 1s and 36500d"),
        ('[retention]\ndefalt = "5s"\n', 2, "retention.defalt: unknown key; is default meant?"),
        ("[retension]\nx = 1\n", 1, "retension: unknown section; is retention meant?"),
        ("[nothing-like-it]\n", 1, "nothing-like-it: unknown section"),
        ("[auth]\nmax_failures = 11\n", 2, "auth.max_failures: must lie between 1 and 10"),
        ("[auth]\nmax_failures = true\n", 2, "auth.max_failures: a whole number is wanted"),
        ('[auth]\ngrant_bare_password = "true"\n', 2, "auth.grant_bare_password: true or false"),
        ('[auth]\nargon2_memory = "19MB"\n', 2, "auth.argon2_memory: a size is"),
        ("[listen]\nimap = 65536\n", 2, "listen.imap: must lie between 0 and 65535"),
        ('[listen]\nimap = "on"\n', 2, "listen.imap: a port number is wanted"),
        ('[directory]\nallowed_professions = "10"\n', 2, "directory.allowed_professions: a list is wanted"),
        ("[directory]\nallowed_professions = [10]\n", 2, "directory.allowed_professions: a text"),
        ("[directory]\nshrink_limit = nan\n", 2, "directory.shrink_limit: must lie between 0 and 1"),
        ('[log]\nlevel = "loud"\n', 2, "log.level: must be one of debug"),
        ("[log]\nlevel = []\n", 2, "log.level: must be one of debug"),
        ('[retention]\ndefault = "5s"\nperiod = "6s"\n', 3, "retention.period: must not be longer"),
        ('[retention]\nmaximum = "1d"\n', None, "retention.default: must not be longer"),
        ("[listen]\nimap = 993\n", None, "listen.imaps: has the port of listen.imap"),
        ('[store]\ndatabase = "mysql://x"\n', 2, "store.database: must start with"),
        ('[store]\nbodies = "file://host/x"\n', 2, "store.bodies: a file: address has three slashes"),
        ('[store]\nquota = "1MiB"\n', 2, "store.quota: must hold at least one message"),
        ('[store]\ndatabase = "sqlite:////a"\n\n[keys_]\n[smtp]\n', 4, "keys_: unknown section; is keys meant?"),
    ],
)
def test_faults(tmp_path: Path, text: str, line: int | None, expected: str) -> None:
    """Each kind of slip is one fault that names file, line and key."""
    file = written(tmp_path, text + GOOD)
    (fault,) = faults(file)
    assert str(fault).startswith(f"{file}:{line}: {expected}" if line else f"{file}: {expected}")


def test_all_at_once(tmp_path: Path) -> None:
    """Faults of all layers and all missing settings are told together."""
    first = written(tmp_path, "[server]\nworkers = 0\n[auth]\nmax = 1\n")
    second = written(tmp_path, "[imap\n", "over.toml")
    told = faults(first, second, tmp_path / "none.toml", environment={"MSSMAIL_LOG_LEVEL": "loud"})
    assert {(Path(fault.source).name, fault.key, fault.line) for fault in told} == {
        ("mssmail.toml", "server.workers", 2),
        ("mssmail.toml", "auth.max", 4),
        ("over.toml", "", 1),
        ("none.toml", "", None),
        ("environment", "MSSMAIL_LOG_LEVEL", None),
        ("none.toml", "server.domains", None),
        ("none.toml", "tls.certificate", None),
        ("none.toml", "tls.key", None),
        ("none.toml", "keys.provider", None),
    }


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"a = \n", ":1: TOML syntax: Invalid value"),
        (b"[server]\nname = 'x'\nname = 'y'\n", ":3: TOML syntax: Cannot overwrite a value"),
        (b"[server]\nname = '\xff'\n", ":2: is not UTF-8"),
        (b"server = 1\n", ":1: server: is a section: write [server]"),
        (b"a = " + b"[" * 100_000, ": TOML syntax: nested too deeply"),
        (b"#" * (1 << 20) + b"\n", ": is too large for a configuration file"),
    ],
)
def test_broken_file(tmp_path: Path, octets: bytes, expected: str) -> None:
    """A file that isn't TOML, isn't text or is no configuration is refused with its place, in bounded time."""
    file = tmp_path / "mssmail.toml"
    file.write_bytes(octets)
    assert str(faults(file)[0]).startswith(f"{file}{expected}")


def test_no_value_in_fault(tmp_path: Path) -> None:
    """A fault never repeats the value, which may hold a password."""
    file = written(tmp_path, GOOD + '[store]\ndatabase = "mysql://u:hunter2@h"\n[log]\nlevel = "hunter2"\n')
    assert "hunter2" not in "\n".join(map(str, faults(file)))


def test_unreadable(tmp_path: Path) -> None:
    """A folder in place of a file is told as what the system says of it."""
    assert str(faults(tmp_path)[0]) == f"{tmp_path}: can't be read: Is a directory"


def test_lines_found(tmp_path: Path) -> None:
    """Dotted keys, quoted keys, inline tables, multi-line texts and CRLF don't mislead the line."""
    text = (
        "# [auth]\r\nauth.max_failures = 99\r\nsmtp = { max_recipients = 1 }\r\n[server]\r\n"
        'name = """\r\n[imap]\r\nlogin_timeout = 1\r\n"""\r\n"workers" = 0\r\n[ "imap" ]\r\nlogin_timeout=1\r\n'
    )
    file = tmp_path / "mssmail.toml"
    file.write_bytes(text.encode() + GOOD.partition("\n\n")[2].encode())
    lines = {fault.key: fault.line for fault in faults(file)}
    assert lines == {
        "auth.max_failures": 2,
        "smtp.max_recipients": 3,
        "server.workers": 9,
        "imap.login_timeout": 11,
        "server.domains": None,
    }


def test_config_variable() -> None:
    """MSSMAIL_CONFIG names the configuration and is no setting."""
    assert config_variable({"MSSMAIL_CONFIG": "/etc/m.toml"}) == Path("/etc/m.toml")
    assert config_variable({"MSSMAIL_CONFIG": ""}) is None


def test_secret_hidden_in_repr() -> None:
    """A database address may hold a password, so that repr leaves it out."""
    start = Settings()
    settings = replace(start, store=replace(start.store, database="postgresql+psycopg://u:hunter2@h/d"))
    assert "hunter2" not in repr(settings)
