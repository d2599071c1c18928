"""The repository speaks of the project alone."""

import re

from tests.rules.source import place, texts

# Split so that the rule doesn't find itself.
FORBIDDEN = (
    "/wo" + "rk/",
    "/tmp/pl" + "an",
    "/ro" + "ot/",
    "/ho" + "me/",
    "pypi" + r"\.org",
    "pythonhost" + "ed",
    "npm" + "js",
    r"\bclau" + r"de[ -]?(code|ai)\b",
    "anthro" + "pic",
    "open" + r"ai\b",
    "chat" + "gpt",
    r"\bcopi" + r"lot\b",
    r"\bL" + r"LMs?\b",
    r"language mod" + "el",
    r"\bA" + "I (session|assistant|agent|tool)",
    r"co-authored" + "-by",
)
_WORDS = re.compile("|".join(FORBIDDEN), re.IGNORECASE)


def test_words() -> None:
    """No machine's paths, no package registry's host, no word about how the code was written."""
    found = [
        place(file, text.count("\n", 0, m.start()) + 1) + f": {m[0]}"
        for file, text in texts()
        for m in _WORDS.finditer(text)
    ]
    assert found == []
