"""How a setting's field is made: its kind, its sentence, its default. Knows no setting."""

from dataclasses import field
from typing import TypeVar

from mssmail.settings.kind import Kind

T = TypeVar("T")


def setting(of: Kind[T], default: T, sentence: str) -> T:
    """A field that has a default."""
    return field(default=default, metadata={"kind": of, "sentence": sentence})


def required(of: Kind[T], absent: T, sentence: str) -> T:
    """A field that must be given; `absent` stands for it until then."""
    return field(default=absent, metadata={"kind": of, "sentence": sentence, "required": True})


def confidential(of: Kind[T], default: T, sentence: str, **more: bool) -> T:
    """A field whose value may hold a password or a PIN: kept out of repr and masked by `config show`."""
    return field(default=default, repr=False, metadata={"kind": of, "sentence": sentence, "confidential": True, **more})
