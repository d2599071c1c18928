"""Regular expressions keep to what every Python that we support matches rightly."""

import re

from tests.rules.source import place, texts

_POSSESSIVE_GROUP = re.compile(r"\)[*?+]\+|\(\?>")


def test_no_possessive_groups() -> None:
    """CPython before 3.11.5 mismatches groups that are possessive or atomic (gh-106052); single items are right."""
    found = [
        place(file, text.count("\n", 0, m.start()) + 1)
        for file, text in texts()
        if file.suffix == ".py" and "tests/rules" not in file.as_posix()
        for m in _POSSESSIVE_GROUP.finditer(text)
    ]
    assert found == []
