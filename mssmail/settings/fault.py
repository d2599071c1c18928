"""What is wrong with a configuration: each fault with its place. Never repeats a value, which may be a password."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `source`: a file's path, or `environment`; `key`: `section.key`, a variable's name, or empty."""

    source: str
    key: str
    line: int | None
    text: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class ConfigError(Exception):
    """A configuration that can't be used; its text lists every fault, one a line."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults
