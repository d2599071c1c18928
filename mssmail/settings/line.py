"""On which line of a TOML text a key stands: tomllib doesn't tell, and an error without its line isn't found.

A light reading of tables, dotted keys and multi-line strings, for texts that tomllib accepted. Where a key stands in
an inline table the line of that table is given; a key that isn't found has the line of its section, or none.
"""

import re

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]*?)\s*\]\]?")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_\-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_\-]+|"[^"]*"|'[^']*'))*)\s*=""")
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_FENCE = re.compile(r"\"\"\"|'''")


def _name(text: str) -> str:
    """`a . "b"` as `a.b`."""
    return ".".join(part.strip().strip("\"'") for part in text.split("."))


def key_lines(text: str) -> dict[str, int]:
    """Map each `section`, `section.key` and deeper name to its first line, from 1. Linear in the text."""
    lines: dict[str, int] = {}
    table, fence = "", ""
    for number, line in enumerate(text.split("\n"), 1):
        rest = line
        if fence:
            _, closed, rest = line.partition(fence)
            if not closed:
                continue
            fence = ""
        elif m := _HEADER.match(line):
            table = _name(m[1])
            lines.setdefault(table, number)
        elif m := _KEY.match(line):
            name = _name(m[1])
            lines.setdefault(f"{table}.{name}" if table else name, number)
            if not table:
                lines.setdefault(name.split(".")[0], number)
        for m in _FENCE.finditer(rest):
            fence = "" if fence == m[0] else fence or m[0]
    return lines


def syntax_line(message: str) -> tuple[int | None, str]:
    """The line that tomllib's message names, and the message without the place."""
    m = _SYNTAX_LINE.search(message)
    if m is None:
        return None, message
    return int(m[1]), message[: m.start()].strip()
