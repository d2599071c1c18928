"""What is known of a search for a stretch of messages: a key is judged in three values, for all of them at once.

A mask holds an octet for each message of the stretch, 0 or 1, as one large integer: AND, OR and NOT of whole stretches
are one operation each. For every leaf there is a mask of the messages that match and one of those that don't; in
neither: not known without more.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import assert_never

from mssmail.base.ranges import resolve
from mssmail.base.search import (
    All,
    And,
    Arrived,
    Body,
    Changed,
    Flag,
    HasFlag,
    HasKeyword,
    Header,
    Key,
    Larger,
    Not,
    Or,
    Recent,
    Sent,
    SequenceSet,
    Smaller,
    Text,
    UidSet,
)
from mssmail.flow.view import View

Seen = All | HasFlag | HasKeyword | Recent | Changed | SequenceSet | UidSet
"""What the view itself decides."""
Clear = Arrived | Larger | Smaller
"""What stands in clear in the store."""
Columned = Sent | Header
Texted = Body | Text
Leaf = Seen | Clear | Columned | Texted

_TABLES = {flag: bytes(int(bool(octet & flag.value)) for octet in range(256)) for flag in Flag}


def leaves(key: Key) -> Iterator[Leaf]:
    """The keys that stand at the ends of the tree, repeated ones too."""
    match key:
        case And(keys):
            for each in keys:
                yield from leaves(each)
        case Or(left, right):
            yield from leaves(left)
            yield from leaves(right)
        case Not(inner):
            yield from leaves(inner)
        case _:
            yield key


class ViewJudge:
    """Judges what the view decides."""

    __slots__ = ("_sets", "_view")

    def __init__(self, view: View) -> None:
        self._view = view
        self._sets: dict[SequenceSet | UidSet, tuple[list[int], list[int]]] = {}
        """Where a set's ranges begin, and end. A set may have thousands."""

    def mask(self, key: Seen, start: int, stop: int) -> bytes | bytearray:
        """Which of messages [start, stop) match, an octet each."""
        view, count = self._view, stop - start
        match key:
            case All():
                return b"\1" * count
            case HasFlag(flag):
                return view.flags[start:stop].tobytes().translate(_TABLES[flag])
            case HasKeyword(keyword):
                bits = self._bits(keyword)
                return bytes([1 if each & bits else 0 for each in view.keywords[start:stop]]) if bits else bytes(count)
            case Recent():
                first = bisect_left(view.uids, view.recent_uid, start, stop)
                return bytes(first - start) + b"\1" * (stop - first)
            case Changed(modseq):
                return bytes([each >= modseq for each in view.modseqs[start:stop]])
            case SequenceSet():
                return self._within(key, start, stop, start + 1, stop)
            case UidSet():
                return self._within(key, start, stop, view.uids[start], view.uids[stop - 1])
            case _:
                assert_never(key)

    def _bits(self, keyword: str) -> int:
        wanted = keyword.lower()
        return sum(1 << bit for name, bit in self._view.keyword_names.items() if name.lower() == wanted)

    def _within(self, key: SequenceSet | UidSet, start: int, stop: int, first: int, last: int) -> bytearray:
        """Of a stretch whose numbers run from `first` to `last`, those in the set's ranges."""
        uids = self._view.uids
        found = self._sets.get(key)
        if found is None:
            told = self._view.told_exists
            closed = resolve(key.ranges, told if isinstance(key, SequenceSet) else uids[told - 1])
            found = self._sets[key] = [low for low, _ in closed], [high for _, high in closed]
        lows, highs = found
        mask = bytearray(stop - start)
        for at in range(bisect_left(highs, first), bisect_right(lows, last)):
            low, high = max(lows[at], first), min(highs[at], last)
            if isinstance(key, SequenceSet):
                low, high = low - 1, high
            else:
                low, high = bisect_left(uids, low, start, stop), bisect_right(uids, high, start, stop)
            mask[low - start : high - start] = b"\1" * (high - low)
        return mask


class Stretch:
    """What is known of messages [start, stop) of a view."""

    __slots__ = ("_no", "_yes", "alive", "count", "every", "start")

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.count = stop - start
        self.every = int.from_bytes(b"\1" * self.count, "little")
        self.alive = self.every
        """Messages that are still there, as far as it was looked."""
        self._yes: dict[Leaf, int] = {}
        self._no: dict[Leaf, int] = {}

    def learn(self, leaf: Leaf, matching: bytes | bytearray, known: bytes | bytearray | None = None) -> None:
        """For the messages of `known` (None: all), whether they match. What was known before stays."""
        yes = int.from_bytes(matching, "little")
        all_known = self.every if known is None else int.from_bytes(known, "little")
        self._yes[leaf] = self._yes.get(leaf, 0) | yes
        self._no[leaf] = self._no.get(leaf, 0) | (all_known ^ yes)

    def judge(self, key: Key) -> tuple[int, int]:
        """Masks of those that match, and of those that don't."""
        match key:
            case And(keys):
                yes, no = self.every, 0
                for each in keys:
                    its_yes, its_no = self.judge(each)
                    yes, no = yes & its_yes, no | its_no
                return yes, no
            case Or(left, right):
                left_yes, left_no = self.judge(left)
                right_yes, right_no = self.judge(right)
                return left_yes | right_yes, left_no & right_no
            case Not(inner):
                its_yes, its_no = self.judge(inner)
                return its_no, its_yes
            case _:
                return self._yes.get(key, 0), self._no.get(key, 0)

    def undecided(self, key: Key) -> list[int]:
        """Indexes of the messages that must be looked at further."""
        yes, no = self.judge(key)
        return self.indexes(self.alive & (self.every ^ (yes | no)))

    def found(self, key: Key) -> list[int]:
        """Indexes of the messages that match."""
        return self.indexes(self.alive & self.judge(key)[0])

    def keep_alive(self, looked: Iterable[int], there: Iterable[int]) -> None:
        """Of the messages looked for, only those that are there can match."""
        self.alive &= self.every ^ int.from_bytes(self.mask(looked), "little")
        self.alive |= int.from_bytes(self.mask(there), "little")

    def mask(self, indexes: Iterable[int]) -> bytearray:
        """Indexes as a mask."""
        out, start = bytearray(self.count), self.start
        for index in indexes:
            out[index - start] = 1
        return out

    def indexes(self, mask: int) -> list[int]:
        """A mask as indexes, ascending."""
        if not mask:
            return []
        return list(compress(range(self.start, self.start + self.count), mask.to_bytes(self.count, "little")))
