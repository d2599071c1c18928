"""LIST patterns: `*` matches anything, `%` anything but the hierarchy delimiter (RFC 3501 §6.3.8).

Bit-parallel: all places in the pattern that the name read so far can have reached are one integer, so that a name of
n characters costs n steps whatever the pattern, where a regular expression of many stars can take for ever.
"""

_STAR = "*"
_PERCENT = "%"


class Pattern:
    """A reference and a pattern, joined, ready to be matched against many names."""

    __slots__ = ("_any", "_chars", "_delimiter", "_end", "_segment", "_start", "_wild", "fixed")

    def __init__(self, text: str, delimiter: str) -> None:
        """`text` is reference and pattern joined; INBOX is matched in any case where it leads."""
        self._delimiter = delimiter
        self._chars: dict[str, int] = {}
        """By character: the places that it steps over."""
        self._any = 0
        """Places of `*`."""
        self._segment = 0
        """Places of `%`."""
        places = 0
        last = ""
        for char in _inbox_first(text, delimiter):
            if char in (_STAR, _PERCENT) and last in (_STAR, _PERCENT):
                if char == last or last == _STAR:
                    continue
                places -= 1  # `%*` is `*`
                self._segment &= ~(1 << places)
            if char == _STAR:
                self._any |= 1 << places
            elif char == _PERCENT:
                self._segment |= 1 << places
            else:
                self._chars[char] = self._chars.get(char, 0) | 1 << places
            places += 1
            last = char
        self._wild = self._any | self._segment
        self._end = 1 << places
        self._start = self._past_wild(1)
        self.fixed = not self._wild
        """Whether it names one mailbox: no wildcard."""

    def _past_wild(self, places: int) -> int:
        """Add the places reached by letting a wildcard match nothing; no two wildcards stand side by side."""
        return places | (places & self._wild) << 1

    def match(self, name: str) -> bool:
        """Whether the whole of `name` matches."""
        places = self._start
        for char in name:
            stay = places & (self._any if char == self._delimiter else self._wild)
            places = self._past_wild((places & self._chars.get(char, 0)) << 1 | stay)
            if not places:
                return False
        return bool(places & self._end)


def _inbox_first(text: str, delimiter: str) -> str:
    """Spell a leading INBOX as names are kept: in capitals."""
    head, _, _ = text.partition(delimiter)
    return "INBOX" + text[5:] if head.upper() == "INBOX" else text
