"""RFC citations name RFCs of the index, and sections that exist there."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.rules.source import PRODUCT, ROOT, SHARED, modules, place

INDEX = ROOT / "tests" / "rules" / "rfc-index"
"""Each line: number, title. Add a line to cite another RFC."""
_CITATION = re.compile(r"\bRFC[  ](\d{3,5})((?:(?:,| and|;)? ?§§? ?[0-9A-Z][0-9A-Za-z.]*(?:-[0-9.]+)?)*)")
_SECTION = re.compile(r"§ ?([0-9A-Z][0-9A-Za-z.]*)")


def index() -> set[int]:
    return {int(line.split()[0]) for line in INDEX.read_text(encoding="utf-8").splitlines() if line[:1].isdigit()}


def citations() -> list[tuple[str, int, tuple[str, ...]]]:
    """Place, number and sections of each citation in product, tests and documents."""
    files = [
        *modules(PRODUCT, ROOT / "tests"),
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "config/reference.toml",
    ]
    return [
        (
            place(file, text.count("\n", 0, m.start()) + 1),
            int(m[1]),
            tuple(s.rstrip(".") for s in _SECTION.findall(m[2])),
        )
        for file in files
        if file.name != Path(__file__).name
        for text in [file.read_text(encoding="utf-8")]
        for m in _CITATION.finditer(text)
    ]


def test_indexed() -> None:
    """What is cited stands in the index."""
    known = index()
    assert [(where, number) for where, number, _ in citations() if number not in known] == []


@cache
def sections(number: int) -> frozenset[str] | None:
    """The numbered headings of an RFC's text, None where the text isn't at hand."""
    file = SHARED / "rfc" / f"rfc{number}.txt"
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8", errors="replace")
    return frozenset(re.findall(r"^ *(?:Appendix )?((?:[A-Z]|\d+)(?:\.\d+)*)\.?[ :]+\S", text, re.MULTILINE))


def test_section_exists() -> None:
    """A cited section is a heading of that RFC, wherever its text is at hand."""
    missing = [
        (where, number, section)
        for where, number, cited in citations()
        for section in cited
        if (known := sections(number)) is not None and section not in known
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "number", "cited"),
    [
        ("RFC 9051 §6.4.6.", 9051, ["6.4.6."]),
        ("(RFC 5321 §4.5.3.1.1-3)", 5321, ["4.5.3.1.1"]),
        ("RFC 3501 §6.4.4, §7.2", 3501, ["6.4.4", "7.2"]),
        ("RFC 7162 says", 7162, []),
    ],
)
def test_citation_read(text: str, number: int, cited: list[str]) -> None:
    """The rule reads a citation as people write it."""
    m = _CITATION.search(text)
    assert m is not None
    assert (int(m[1]), _SECTION.findall(m[2])) == (number, cited)
