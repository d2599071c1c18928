"""Settings as text: the reference with every sentence, a configuration written back, and a view that hides secrets.

`python -m mssmail.settings.describe` prints the reference (`config/reference.toml`). Output depends on the model alone.
"""

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

from mssmail.settings.model import SECTIONS, Setting, Settings, all_settings
from mssmail.settings.reload import LIVE

WIDTH: Final = 118
_PASSWORD = re.compile(r"(://[^:@/]*:)[^@]*(?=@)")
_PIN = re.compile(r"(pin-value=|password=|secret[a-z_]*=)[^&;?]*", re.IGNORECASE)

_REFERENCE_HEAD = """\
# Every setting of mssmail, with its default. Generated from mssmail/settings/model.py by `make reference`; not edited.
# A line that starts with `#key =` shows the default; take the sign away to change it. `(required)` has none.
# A running server takes a change on SIGHUP; what says (restart) waits for one.
# Relative paths start at this file's folder; `file:relative` and sqlite:///relative addresses at the data folder.
# An environment variable MSSMAIL_<SECTION>_<KEY> goes before the file: MSSMAIL_RETENTION_DEFAULT=5s
"""


_OWN_HEAD = """\
# The configuration of an mssmail server. A line that starts with `#key =` shows a default; take the sign away to
# change it. Relative paths start at this file's folder. `mssmail config check` tells what is wrong; SIGHUP has a
# running server read it again, and what says (restart) waits for one.
"""


def reference() -> str:
    """The text of config/reference.toml."""
    return _commented(_REFERENCE_HEAD, None)


def commented(settings: Settings) -> str:
    """A configuration file with every sentence, in which what differs from the defaults is set."""
    return _commented(_OWN_HEAD, settings)


def _commented(head: str, settings: Settings | None) -> str:
    lines = [head.rstrip("\n")]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        for setting in all_settings():
            if setting.section == section:
                lines += _entry(setting)
                value = None if settings is None else getattr(getattr(settings, section), setting.key)
                if settings is not None and value != setting.default:
                    lines[-1] = f"{setting.key} = {setting.kind.write(value)}"
    return "\n".join(lines) + "\n"


def _entry(setting: Setting) -> Iterator[str]:
    required = "(required) " if setting.required else ""
    restart = "" if setting.name in LIVE else "(restart) "
    yield from textwrap.wrap(
        f"{required}{restart}{setting.sentence} [{setting.kind.form}]",
        WIDTH,
        initial_indent="# ",
        subsequent_indent="#   ",
    )
    for part in setting.kind.parts:
        required = "(required) " if part.metadata.get("required", False) else ""
        kind = part.metadata["kind"]
        default = "" if required else f"; {kind.write(part.default)} by default"
        yield from textwrap.wrap(
            f"{part.name}: {required}{part.metadata['sentence']} [{kind.form}{default}]",
            WIDTH,
            initial_indent="#   - ",
            subsequent_indent="#     ",
        )
    default = '""' if setting.required and setting.default != () else setting.kind.write(setting.default)
    yield f"#{setting.key} = {default}"


def dump(settings: Settings) -> str:
    """A configuration file that `load` reads back as the same settings. Holds passwords: write it with mode 0600."""
    return _written(settings, lambda _, text: text)


def show(settings: Settings) -> str:
    """The same with passwords and PINs masked, for a screen."""
    return _written(settings, lambda setting, text: mask(text) if setting.confidential else text)


def mask(address: str) -> str:
    """An address without the password, PIN or secret that it may hold."""
    return _PIN.sub(r"\1***", _PASSWORD.sub(r"\1***", address))


def values(settings: Settings) -> dict[str, dict[str, str]]:
    """Section, key and masked TOML text of each value, for a table or JSON."""
    out: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for setting in all_settings():
        text = setting.kind.write(getattr(getattr(settings, setting.section), setting.key))
        out[setting.section][setting.key] = mask(text) if setting.confidential else text
    return out


def _written(settings: Settings, render: Callable[[Setting, str], str]) -> str:
    lines: list[str] = []
    section = ""
    for setting in all_settings():
        if setting.section != section:
            section = setting.section
            lines += [*([""] if lines else []), f"[{section}]"]
        value = getattr(getattr(settings, section), setting.key)
        if setting.required and value == setting.default:
            continue
        lines.append(f"{setting.key} = {render(setting, setting.kind.write(value))}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
