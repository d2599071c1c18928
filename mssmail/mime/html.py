"""The text of an HTML part, for searching and previews: tags out, character references in. Linear; renders nothing."""

import re
from html import unescape

_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|template)\b.*?(?:</\1\b[^>]*(?:>|\Z)|\Z)|<(/?[A-Za-z][A-Za-z0-9]*)[^>]*(?:>|\Z)|<[!?/][^>]*(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_INLINE = frozenset(
    "a abbr acronym b bdo big cite code dfn em font i kbd mark q s samp small span strike strong sub sup tt u var "
    "wbr".split()
)
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")


_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{9,}+;?")
"""No character has so long a number, and `unescape` fails on some (Python's limit on digits)."""


def text(markup: str) -> str:
    """What a reader would see, on one line: blanks run together, and block elements part words."""
    return _SPACE.sub(" ", unescape(_LONG_REFERENCE.sub("\ufffd", _MARKUP.sub(_replacement, markup)))).strip()


def _replacement(m: re.Match[str]) -> str:
    name = m[2]
    return "" if name is not None and name.strip("/").lower() in _INLINE else " "
