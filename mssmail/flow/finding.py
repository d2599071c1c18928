"""What an examination of the server finds: how grave, about what, and what to do."""

from dataclasses import dataclass
from enum import Enum, unique


@unique
class Severity(Enum):
    """How grave a finding is."""

    OK = "ok"
    NOTE = "note"
    """Nothing is wrong; worth knowing, or couldn't be looked at."""
    WARNING = "warning"
    """Works, and will not for long, or not as safely as it should."""
    ERROR = "error"
    """Doesn't work, or isn't safe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. Texts are for an administrator: they hold no person's data and no secret."""

    severity: Severity
    subject: str
    """What was looked at, in a word or two: the same for one check whatever it finds."""
    text: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "severity": self.severity.value,
            "subject": self.subject,
            "finding": self.text,
            "remedy": self.remedy,
        }


def ok(subject: str, text: str) -> Finding:
    return Finding(Severity.OK, subject, text)


def note(subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(Severity.NOTE, subject, text, remedy)


def warning(subject: str, text: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, subject, text, remedy)


def error(subject: str, text: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, subject, text, remedy)
