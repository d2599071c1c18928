"""A folder as one session sees it: UIDs, flags and mod-sequences in compact arrays, and what it hasn't been told yet.

A view advances only by one snapshot of "mod-sequence above seen", vanished rows included. Message numbers change only
when the session takes the expunges, so that they hold within a command (RFC 3501 §7.4.1). Some 21 octets a message.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress

from mssmail.base.ids import FolderId, Uid
from mssmail.base.principal import Principal
from mssmail.base.rights import Right
from mssmail.base.search import Flag
from mssmail.flow.house import House
from mssmail.flow.names import Names, canonical
from mssmail.flow.permit import require
from mssmail.store import folders, messages, vanished
from mssmail.store.folders import FolderRow
from mssmail.store.interface import Row, Transaction

RE_READ_S = 30.0
"""A view that was told nothing looks by itself after that long: a wake-up may have been lost."""
_FEW = 64
"""Runs of expunges up to which the arrays are closed up one by one, and not made anew."""


Columns = tuple["array[int]", "array[int]", "array[int]", "array[int]"]
"""UIDs, flags, keywords and mod-sequences, as the arrays of a view."""


def _columns(batches: Iterable[list[Row]]) -> Columns:
    """In a lane's thread: for 100,000 messages it takes as long as the query. Rows are held a batch at a time."""
    columns = array("I"), array("B"), array("Q"), array("Q")
    for rows in batches:
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    return columns


@dataclass(frozen=True, slots=True)
class _News:
    """What a refresh read in one snapshot."""

    row: FolderRow
    changed: Columns
    vanished: Sequence[tuple[int, int]] = ()
    present: Sequence[int] | None = None
    """All UIDs, where the log of expunged ones doesn't reach back far enough."""
    keywords: dict[str, int] | None = None


class View:
    """One session's view of a folder. Opened by `open_view`; all methods on the loop."""

    def __init__(
        self, house: House, principal: Principal, row: FolderRow, columns: "Columns", keywords: dict[str, int]
    ) -> None:
        self._house = house
        self.principal = principal
        self.folder: FolderId = row.folder_id
        self.uid_validity = row.uid_validity
        self.uid_next: Uid = row.uid_next
        self.modseq = row.modseq
        """Everything up to here is in the arrays."""
        self.recent_uid: Uid = row.recent_uid
        """UIDs from here on are \\Recent to this session."""
        self.uids, self.flags, self.keywords, self.modseqs = columns
        self.keyword_names = keywords
        self.told_exists = len(self.uids)
        self._touched: set[int] = set()
        self._gone: set[int] = set()
        self.stale = False
        """Told that something changed, and not looked yet."""
        self.looked_at = house.clock.monotonic()

    # --- reading ---

    def __len__(self) -> int:
        """Messages in the arrays, those gone but not yet told included."""
        return len(self.uids)

    def index_of(self, uid: int) -> int | None:
        """Where a UID stands, None where it doesn't."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def is_gone(self, uid: int) -> bool:
        """Expunged by somebody, and this session not yet told."""
        return uid in self._gone

    def indexes_of_uids(self, ranges: Iterable[tuple[int, int]]) -> Sequence[int]:
        """Indexes of the messages in these UID ranges (0 is the highest UID); UIDs of no message are passed over."""
        uids, end = self.uids, self.told_exists
        highest = uids[end - 1] if end else 0
        spans: list[tuple[int, int]] = []
        for low, high in ranges:
            first, last = sorted((low or highest, high or highest))
            start, stop = bisect_left(uids, first, 0, end), bisect_left(uids, last + 1, 0, end)
            if start < stop:
                spans.append((start, stop))
        if len(spans) == 1:
            return range(*spans[0])
        return sorted({index for span in spans for index in range(*span)})

    def uid_ranges(self, indexes: Sequence[int]) -> list[tuple[int, int]]:
        """UID ranges that hold exactly these messages of the view, ascending.

        A range may span UIDs that aren't in the view, never a message that is and wasn't asked for.
        """
        uids = self.uids
        if isinstance(indexes, range) and indexes.step == 1:
            return [(uids[indexes[0]], uids[indexes[-1]])] if indexes else []
        out: list[tuple[int, int]] = []
        start = previous = -1
        for index in indexes:
            if index != previous + 1 or start < 0:
                if start >= 0:
                    out.append((uids[start], uids[previous]))
                start = index
            previous = index
        if start >= 0:
            out.append((uids[start], uids[previous]))
        return out

    @property
    def unseen(self) -> int | None:
        """Index of the first message without \\Seen."""
        seen = Flag.SEEN.value
        return next((i for i, flags in enumerate(self.flags) if not flags & seen), None)

    @property
    def recent(self) -> int:
        """How many messages are \\Recent to this session."""
        return len(self.uids) - bisect_left(self.uids, self.recent_uid)

    @property
    def takes_keywords(self) -> bool:
        """Whether the account can have another keyword."""
        return len(self.keyword_names) < folders.MAX_KEYWORDS

    # --- advancing ---

    def tell(self, modseq: int) -> None:
        """A wake-up: something changed, up to this mod-sequence (0: unknown)."""
        if modseq == 0 or modseq > self.modseq:
            self.stale = True

    @property
    def is_due(self) -> bool:
        return self.stale or self._house.clock.monotonic() - self.looked_at >= RE_READ_S

    async def refresh(self) -> None:
        """Take in what changed since, in one snapshot. What is new shows in `take_updates` and `take_expunges`.

        Raises Refusal(NO_RIGHT).
        """
        self.stale = False
        self.looked_at = self._house.clock.monotonic()
        since, folder = self.modseq, self.folder
        names = Names(self._house.keys, self.principal.account)

        def work(tx: Transaction) -> _News | None:
            require(tx, self.principal, Right.READ)
            row = folders.by_id(tx, folder)
            if row is None:
                return None
            if row.modseq == since:
                return _News(row, _columns(()))
            changed = _columns(messages.changed(tx, folder, since))
            known = sum(1 << bit for bit in self.keyword_names.values())
            unknown = any(bits & ~known for bits in changed[2])
            keywords = names.keywords(tx) if unknown else None
            if since < row.vanished_floor:
                return _News(row, changed, present=messages.uids(tx, folder), keywords=keywords)
            return _News(row, changed, vanished.since(tx, folder, since), keywords=keywords)

        news = await self._house.read.run(work)
        if news is None:
            self._gone.update(self.uids)
            return
        if news.keywords is not None:
            self.keyword_names = news.keywords
        self.modseq, self.uid_next = news.row.modseq, news.row.uid_next
        self._take(news.changed)
        for low, high in news.vanished:
            start, stop = bisect_left(self.uids, low), bisect_left(self.uids, high + 1)
            self._gone.update(self.uids[start:stop])
        if news.present is not None:
            self._gone.update(set(self.uids).difference(news.present))

    def _take(self, changed: Columns) -> None:
        last, at = self.uids[-1] if self.uids else 0, 0
        for uid, flags, keywords, modseq in zip(*changed, strict=True):
            if uid > last:
                self.uids.append(uid)
                self.flags.append(flags)
                self.keywords.append(keywords)
                self.modseqs.append(modseq)
                continue
            if at >= len(self.uids) or self.uids[at] != uid:  # most follow each other
                at = bisect_left(self.uids, uid)
                if self.uids[at] != uid:
                    continue
            if self.flags[at] != flags or self.keywords[at] != keywords:
                self._touched.add(uid)
            self.flags[at], self.keywords[at], self.modseqs[at] = flags, keywords, modseq
            at += 1

    # --- telling ---

    def take_expunges(self) -> list[int]:
        """Message numbers to announce as expunged, in an order in which each is right when its turn comes.

        From here on message numbers are the new ones.
        """
        if not self._gone:
            return []
        gone = self._places(self._gone)
        told = self.told_exists
        self._touched -= self._gone
        self._gone.clear()
        runs = messages.ranges_of(gone)
        if len(runs) <= _FEW:
            for first, last in reversed(runs):
                for column in (self.uids, self.flags, self.keywords, self.modseqs):
                    del column[first : last + 1]
        else:
            keep = bytearray(b"\1" * len(self.uids))
            for at in gone:
                keep[at] = 0
            self.uids, self.flags = array("I", compress(self.uids, keep)), array("B", compress(self.flags, keep))
            self.keywords = array("Q", compress(self.keywords, keep))
            self.modseqs = array("Q", compress(self.modseqs, keep))
        announced = [at + 1 for at in reversed(gone) if at < told]
        self.told_exists = told - len(announced)
        return announced

    def _places(self, chosen: Iterable[int]) -> list[int]:
        """Where these UIDs stand, ascending; most follow each other."""
        uids, end, at, out = self.uids, len(self.uids), 0, list[int]()
        for uid in sorted(chosen):
            if at >= end or uids[at] != uid:
                at = bisect_left(uids, uid, at)
                if at >= end or uids[at] != uid:
                    continue
            out.append(at)
            at += 1
        return out

    def take_updates(self) -> list[int]:
        """Indexes of messages whose flags changed and that the session should be shown, ascending."""
        if not self._touched:
            return []
        found = self._places(self._touched)
        self._touched.clear()
        return found[: bisect_left(found, self.told_exists)]

    def forget_updates(self, indexes: Iterable[int]) -> None:
        """Don't show these flags: STORE .SILENT, or they were just shown."""
        if self._touched:
            for index in indexes:
                self._touched.discard(self.uids[index])

    def take_exists(self) -> int | None:
        """The number of messages to announce, None where the session knows it."""
        if self.told_exists == len(self.uids):
            return None
        self.told_exists = len(self.uids)
        return self.told_exists


async def open_view(house: House, principal: Principal, name: str, *, read_only: bool) -> View:
    """SELECT or EXAMINE a folder. Raises Refusal(FOLDER_MISSING, NO_RIGHT)."""
    names, wanted = Names(house.keys, principal.account), canonical(name)

    def work(tx: Transaction) -> tuple[FolderRow, Columns, dict[str, int]]:
        require(tx, principal, Right.READ)
        row = names.find(tx, wanted)
        return row, _columns(messages.view(tx, row.folder_id)), names.keywords(tx)

    row, columns, keywords = await house.read.run(work)
    view = View(house, principal, row, columns, keywords)
    if not read_only and row.recent_uid < row.uid_next:
        await house.write.run(lambda tx: folders.take_recent(tx, row.folder_id))
    return view
