"""The configuration under fuzz: any file and any environment give settings, or every fault with its place."""

import os
import tempfile
from pathlib import Path

from mssmail.settings.fault import ConfigError
from mssmail.settings.load import load
from mssmail.settings.model import BY_NAME, Settings
from tests.fuzz.target import Target

_FILE = Path(tempfile.mkdtemp(prefix="mssmail-fuzz-")) / f"settings-{os.getpid()}.toml"
_BASE = b'[server]\ndomains = ["demo.mssante.fr"]\n'


def file(data: bytes) -> None:
    """A file by itself, and behind what every configuration has."""
    for content in (data, _BASE + data):
        _FILE.write_bytes(content)
        try:
            assert isinstance(load(_FILE, environment={}), Settings)
        except ConfigError as error:
            assert error.faults
            str(error).encode()


def environment(data: bytes) -> None:
    """Lines `NAME=value`, as an operating system hands them over."""
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")
    given = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
    names = [f"MSSMAIL_{setting.section}_{setting.key}".upper() for setting in BY_NAME.values()]
    by_number = {names[ord(name[0]) % len(names)]: value for name, value in given.items() if name}
    for variables in (given, by_number):
        try:
            assert isinstance(load(environment=variables), Settings)
        except ConfigError as error:
            assert error.faults


_VALUES = b"""[ ] = " ' { } , . # true 1 -1 1e400 nan inf 10MB 30d 5s 99999999999999999999999 "" 1979-05-27 0.0.0.0:0
[::1]:25 localhost:65536 file:///x sqlite:///x postgresql:// \\ud800 \\u0000 \xff \0 * \xc3\xa9 https://a:b@c/""".split()
_NAMES = tuple(name.encode() for name in sorted(BY_NAME))
TARGETS = (
    Target("settings-file", file, (*_NAMES, *_VALUES, b"\n", b" = ", b'"""'), 1024),
    Target("settings-environment", environment, (*_VALUES, b"\n", b"MSSMAIL_", b"_"), 512),
)
