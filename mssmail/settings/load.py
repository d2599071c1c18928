"""Reads settings from TOML files and the environment. The only place of the product that reads the environment.

Layers, later over earlier: the given start (the defaults), each file in order, the environment. A layer replaces whole
values, lists too. Every fault of every layer is gathered before anything is refused.

An environment variable `MSSMAIL_<SECTION>_<KEY>` sets `section.key`, as MSSMAIL_RETENTION_DEFAULT=5s sets
`retention.default`. No section's name holds an underscore, so the first one after it ends the section; two may stand
there as well (MSSMAIL_AUTH__GRANT_LIFETIME). Texts stand bare, lists are separated by commas, the rest is as in TOML.
Any other MSSMAIL_ name is a fault, but for the few in `OTHER_VARIABLES`.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from mssmail.settings.check import check
from mssmail.settings.fault import ConfigError, Fault
from mssmail.settings.line import key_lines, syntax_line
from mssmail.settings.model import BY_NAME, SECTIONS, Setting, Settings
from mssmail.settings.place import place
from mssmail.settings.provider import OpenIdProvider

PREFIX: Final = "MSSMAIL_"
CONFIG_VARIABLE: Final = "MSSMAIL_CONFIG"
"""Names the configuration file where no --config does."""
OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "MSSMAIL_SHARED"})
"""Variables with our prefix that are no settings: the second tells the tests where shared data lies."""
MAX_FILE_OCTETS: Final = 1 << 20
"""A configuration is a few kilobytes; what is larger is another file, named by mistake."""
ENVIRONMENT: Final = "environment"


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as one layer gives it, before its kind has read it."""

    setting: Setting
    raw: object
    source: str
    key: str
    line: int | None
    folder: Path


def load(*files: Path, environment: Mapping[str, str] | None = None, start: Settings | None = None) -> Settings:
    """Return the settings that `files`, then the environment (os.environ where None), lay over `start`.

    All places are absolute afterwards (`place`). Raises ConfigError with every fault found.
    """
    given: list[_Given] = []
    faults: list[Fault] = []
    for file in files:
        _read_file(file, given, faults)
    _read_environment(os.environ if environment is None else environment, given, faults)
    settings = _laid_over(start or Settings(), given, faults)
    broken = {fault.key for fault in faults}
    origin = {one.setting.name: one for one in given}
    for name, text in check(settings):
        if name not in broken:
            faults.append(_fault(origin.get(name), name, files, text))
    if faults:
        raise ConfigError(tuple(faults))
    return place(settings)


def config_variable(environment: Mapping[str, str] | None = None) -> Path | None:
    """The configuration file that MSSMAIL_CONFIG names, if it does."""
    value = (os.environ if environment is None else environment).get(CONFIG_VARIABLE)
    return Path(value) if value else None


def socket_variable(environment: Mapping[str, str] | None = None) -> Path | None:
    """The admin socket that MSSMAIL_ADMIN_SOCKET names, for who can't read the configuration itself."""
    value = (os.environ if environment is None else environment).get("MSSMAIL_ADMIN_SOCKET")
    return Path(value) if value else None


def _fault(origin: _Given | None, name: str, files: tuple[Path, ...], text: str) -> Fault:
    """A fault of the whole: where its setting was given, else in the last file read."""
    if origin is None:
        return Fault(str(files[-1]) if files else "defaults", name, None, text)
    return Fault(origin.source, origin.key, origin.line, text)


def _read_file(file: Path, given: list[_Given], faults: list[Fault]) -> None:
    def fault(text: str, key: str = "", line: int | None = None) -> None:
        faults.append(Fault(str(file), key, line, text))

    try:
        with file.open("rb") as stream:
            octets = stream.read(MAX_FILE_OCTETS + 1)
        if len(octets) > MAX_FILE_OCTETS:
            return fault("is too large for a configuration file")
        text = octets.decode().replace("\r\n", "\n")
        tables = tomllib.loads(text)
    except OSError as error:
        return fault(f"can't be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return fault("is not UTF-8", line=octets.count(b"\n", 0, error.start) + 1)
    except tomllib.TOMLDecodeError as error:
        line, message = syntax_line(str(error))
        return fault(f"TOML syntax: {message}", line=line)
    except RecursionError:
        return fault("TOML syntax: nested too deeply")
    lines = key_lines(text)
    for section, table in tables.items():
        if section not in SECTIONS:
            fault("unknown section" + _suggestion(section, SECTIONS), section, lines.get(section))
        elif not isinstance(table, dict):
            fault(f"is a section: write [{section}]", section, lines.get(section))
        else:
            _read_section(file, section, table, lines, given, faults)
    return None


def _read_section(
    file: Path,
    section: str,
    table: dict[str, Any],
    lines: dict[str, int],
    given: list[_Given],
    faults: list[Fault],
) -> None:
    for key, raw in table.items():
        name = f"{section}.{key}"
        line = lines.get(name, lines.get(section))
        setting = BY_NAME.get(name)
        if setting is None:
            known = [one.key for one in BY_NAME.values() if one.section == section]
            faults.append(Fault(str(file), name, line, "unknown key" + _suggestion(key, known)))
        else:
            given.append(_Given(setting, raw, str(file), name, line, Path.cwd() / file.parent))


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word[:100], known, n=1)
    return f"; is {close[0]} meant?" if close else ""


def _read_environment(environment: Mapping[str, str], given: list[_Given], faults: list[Fault]) -> None:
    seen: set[str] = set()
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        section, _, key = variable.removeprefix(PREFIX).lower().partition("_")
        name = f"{section}.{key.removeprefix('_')}"
        setting = BY_NAME.get(name)
        if setting is None:
            known = (f"{PREFIX}{one.section}_{one.key}".upper() for one in BY_NAME.values())
            text = "no setting bears this name" + _suggestion(variable.replace("__", "_"), known)
            faults.append(Fault(ENVIRONMENT, variable, None, text))
        elif name in seen:
            faults.append(Fault(ENVIRONMENT, variable, None, f"{name} is set twice"))
        else:
            seen.add(name)
            raw = setting.kind.from_text(environment[variable])
            given.append(_Given(setting, raw, ENVIRONMENT, variable, None, Path.cwd()))


def _laid_over(start: Settings, given: list[_Given], faults: list[Fault]) -> Settings:
    values: dict[str, dict[str, object]] = {}
    for one in given:
        try:
            value = one.setting.kind.read(one.raw)
        except ValueError as error:
            faults.append(Fault(one.source, one.key, one.line, str(error)))
        else:
            values.setdefault(one.setting.section, {})[one.setting.key] = _rooted(value, one.folder)
    parts: dict[str, Any] = {
        section: replace(getattr(start, section), **changed) for section, changed in values.items()
    }
    return replace(start, **parts)


def _rooted(value: Any, folder: Path) -> Any:
    """Paths made absolute from the folder of the file that names them; `Path()` stays, it means none."""
    match value:
        case Path() if value != Path():
            return folder / value
        case tuple():
            return tuple(_rooted(item, folder) for item in value)
        case OpenIdProvider():
            return replace(value, client_secret=_rooted(value.client_secret, folder), ca=_rooted(value.ca, folder))
        case _:
            return value
