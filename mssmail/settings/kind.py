"""Kinds of setting: how a value is read from TOML or from the environment, checked, and written back as TOML.

A kind's `read` takes what tomllib gave and returns the model's value, or raises ValueError with a sentence for the
operator that never repeats the value (it may be a database password). `write` is its inverse: for every value v that
`read` can give, `read(tomllib(write(v))) == v`.
"""

from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Generic, NewType, TypeVar

from mssmail.base.network import Network
from mssmail.settings.units import (
    MAX_OCTETS,
    MAX_SECONDS,
    Octets,
    Seconds,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

T = TypeVar("T")

Port = NewType("Port", int)
"""A TCP port; 0 lets the system choose a free one."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value. `form` says in a few words what may be written."""

    form: str
    read: Callable[[object], T]
    write: Callable[[T], str]
    from_text: Callable[[str], object] = str
    """What an environment variable's text stands for, as tomllib would have given it."""
    parts: "tuple[Field[Any], ...]" = ()
    """Of a table: its keys, described as settings are."""


def toml_string(text: str) -> str:
    """A TOML basic string (TOML 1.0: quotation mark, backslash and control characters are escaped)."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char < " " or char == "\x7f":
            out.append(f"\\u{ord(char):04X}")
        else:
            out.append(char)
    out.append('"')
    return "".join(out)


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("a text in quotation marks is wanted here")
    if "\0" in raw:
        raise ValueError("a text may not hold a NUL")
    return raw


def _bounds(value: int | float, low: int | float, high: int | float) -> None:
    if not low <= value <= high:
        raise ValueError(f"must lie between {low} and {high}")


def text() -> Kind[str]:
    return Kind("text", _text, toml_string)


def one_of(*words: str) -> Kind[str]:
    """One of a closed set of words."""

    def read(raw: object) -> str:
        if raw not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return _text(raw)

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), read, toml_string)


def integer(low: int, high: int) -> Kind[int]:
    def read(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise ValueError("a whole number is wanted here")
        _bounds(raw, low, high)
        return raw

    return Kind(f"whole number, {low} to {high}", read, str, _int_text)


def _int_text(value: str) -> object:
    return int(value) if value.removeprefix("-").isascii() and value.removeprefix("-").isdigit() else value


def fraction() -> Kind[float]:
    """A share between 0 and 1."""

    def read(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise ValueError("a number between 0 and 1 is wanted here")
        _bounds(raw, 0, 1)
        return float(raw)

    def from_text(value: str) -> object:
        try:
            return float(value)
        except ValueError:
            return value

    return Kind("number, 0 to 1", read, repr, from_text)


def switch() -> Kind[bool]:
    def read(raw: object) -> bool:
        if not isinstance(raw, bool):
            raise ValueError("true or false is wanted here, without quotation marks")
        return raw

    words = {"true": True, "false": False}
    return Kind("true or false", read, lambda on: "true" if on else "false", lambda value: words.get(value, value))


def duration(low: int = 0, high: int = MAX_SECONDS) -> Kind[Seconds]:
    lowest, highest = format_duration(Seconds(low)), format_duration(Seconds(high))

    def read(raw: object) -> Seconds:
        if not isinstance(raw, str):
            raise ValueError('a duration in quotation marks is wanted here, as in "90d" or "30m"')
        seconds = parse_duration(raw)
        if not low <= seconds <= high:
            raise ValueError(f"must lie between {lowest} and {highest}")
        return seconds

    return Kind(f"duration, {lowest} to {highest}", read, lambda value: toml_string(format_duration(value)))


def size(low: int = 0, high: int = MAX_OCTETS) -> Kind[Octets]:
    lowest, highest = format_size(Octets(low)), format_size(Octets(high))

    def read(raw: object) -> Octets:
        if not isinstance(raw, str):
            raise ValueError('a size in quotation marks is wanted here, as in "50MiB"')
        octets = parse_size(raw)
        if not low <= octets <= high:
            raise ValueError(f"must lie between {lowest} and {highest}")
        return octets

    return Kind(f"size, {lowest} to {highest}", read, lambda value: toml_string(format_size(value)))


def or_word(word: str, kind: Kind[T]) -> Kind[T | None]:
    """`kind`, or a word that stands for None."""

    def read(raw: object) -> T | None:
        return None if raw == word else kind.read(raw)

    def write(value: T | None) -> str:
        return toml_string(word) if value is None else kind.write(value)

    return Kind(f'{kind.form}, or "{word}"', read, write, kind.from_text)


def port() -> Kind[Port | None]:
    """A port, or `"off"`."""

    def read(raw: object) -> Port:
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise ValueError('a port number is wanted here, or "off"')
        _bounds(raw, 0, 65_535)
        return Port(raw)

    return or_word("off", Kind("port, 0 to 65535 (0: the system chooses)", read, str, _int_text))


def path() -> Kind[Path]:
    """A file or folder; never empty."""

    def read(raw: object) -> Path:
        if not (value := _text(raw)):
            raise ValueError("a path is wanted here")
        return Path(value)

    return Kind("path", read, lambda value: toml_string(str(value)))


def optional_path() -> Kind[Path | None]:
    """A file or folder; an empty text stands for None."""
    return or_word("", path())


def path_or_default() -> Kind[Path]:
    """A file or folder; an empty text stands for `Path()`, which `place` replaces."""

    def write(value: Path) -> str:
        return toml_string("" if value == Path() else str(value))

    return Kind("path", lambda raw: Path(_text(raw)), write)


def network() -> Kind[Network]:
    """An IP address, or a network of them."""

    def read(raw: object) -> Network:
        try:
            return ip_network(_text(raw))
        except ValueError:
            raise ValueError('an address or a network is wanted here, as in "192.0.2.1" or "2001:db8::/32"') from None

    return Kind("network", read, lambda value: toml_string(str(value)))


def many(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """A list; in the environment, separated by commas."""

    def read(raw: object) -> tuple[T, ...]:
        if not isinstance(raw, list):
            raise ValueError('a list is wanted here, as in ["one", "two"]')
        return tuple(kind.read(item) for item in raw)

    def write(values: tuple[T, ...]) -> str:
        return "[" + ", ".join(map(kind.write, values)) + "]"

    def from_text(value: str) -> object:
        return [kind.from_text(item.strip()) for item in value.split(",") if item.strip()]

    return Kind(f"list of {kind.form}", read, write, from_text, kind.parts)


def table(of: type[T]) -> Kind[T]:
    """A table whose keys are the fields of a dataclass, each made by `settings.field`."""
    parts = {part.name: part for part in fields(of)}  # type: ignore[arg-type]

    def read(raw: object) -> T:
        if not isinstance(raw, dict):
            raise ValueError('a table is wanted here, as in {name = "…"}')
        values: dict[str, object] = {}
        for key, value in raw.items():
            if key not in parts:
                raise ValueError(f"{key[:40]}: unknown key")
            try:
                values[key] = parts[key].metadata["kind"].read(value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        for key, part in parts.items():
            if part.metadata.get("required", False) and values.get(key, part.default) == part.default:
                raise ValueError(f"{key}: must be given")
        return of(**values)

    def write(table: T) -> str:
        given = ((part, getattr(table, key)) for key, part in parts.items())
        told = (f"{part.name} = {part.metadata['kind'].write(value)}" for part, value in given if value != part.default)
        return "{" + ", ".join(told) + "}"

    return Kind("table", read, write, parts=tuple(parts.values()))


AnyKind = Kind[Any]
"""A kind whose value's type is known only to the field that holds it."""
