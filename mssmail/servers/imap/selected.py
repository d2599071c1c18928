"""The selected folder: which messages a command means, and what its session is told of changes, when.

EXPUNGE moves message numbers, so it is told only where the client can't be holding one: never while answering FETCH,
STORE or SEARCH by number (RFC 3501 §7.4.1). New messages and flags may be told after any command.
"""

from collections.abc import Callable, Iterator, Sequence

from mssmail.base import ranges
from mssmail.base.principal import Principal
from mssmail.base.search import SequenceSet, UidSet
from mssmail.flow.change import Changer
from mssmail.flow.house import House
from mssmail.flow.read import Reader
from mssmail.flow.view import View
from mssmail.wire.imap import encode, fetch, responses
from mssmail.wire.imap.fetch import FlagWriter, Rendered
from mssmail.wire.imap.values import FlagList

_ALL_SYSTEM = 31
"""Every bit of base.search.Flag."""


class Selected:
    """A selected folder. `close` it."""

    __slots__ = ("_flag_writer", "_house", "_told_keywords", "_unwatch", "read_only", "tells_modseqs", "view")

    def __init__(
        self, house: House, view: View, nudge: Callable[[], None], *, read_only: bool, tells_modseqs: bool
    ) -> None:
        """`nudge` is called when the folder may have changed."""
        self.view = view
        self.read_only = read_only
        self.tells_modseqs = tells_modseqs
        """Whether flags are told with UIDs and mod-sequences (RFC 7162 §3.1, §3.2.4)."""
        self._house = house
        self._told_keywords = view.keyword_names
        self._flag_writer = _writer(view.keyword_names)

        def tell(modseq: int) -> None:
            view.tell(modseq)
            if view.stale:
                nudge()

        self._unwatch = house.changes.watch(view.principal.account, tell)

    def close(self) -> None:
        self._unwatch()

    @property
    def principal(self) -> Principal:
        return self.view.principal

    @property
    def reader(self) -> Reader:
        return Reader(self._house, self.view)

    @property
    def changer(self) -> Changer:
        return Changer(self._house, self.view)

    # --- which messages ---

    def indexes(self, messages: SequenceSet | UidSet) -> Sequence[int] | None:
        """Indexes in the view, ascending; None where a number is above that of the last message.

        UIDs of no message are passed over (RFC 3501 §6.4.8), numbers of none are an error (RFC 3501 §9 seq-number).
        """
        view = self.view
        count = view.told_exists
        if isinstance(messages, UidSet):
            highest = view.uids[count - 1] if count else 0
            return view.indexes_of_uids(ranges.resolve(messages.ranges, highest))
        numbers = ranges.resolve(messages.ranges, count)
        if numbers and numbers[-1][1] > count:
            return None
        if len(numbers) == 1:
            return range(numbers[0][0] - 1, numbers[0][1])
        return [index for low, high in numbers for index in range(low - 1, high)]

    # --- flags ---

    def flags_item(self, index: int) -> Rendered:
        """`FLAGS (…)` of one message."""
        view = self.view
        recent = view.uids[index] >= view.recent_uid
        return self._flag_writer.item(view.flags[index], view.keywords[index], recent=recent)

    def flag_lines(self, indexes: Sequence[int], *, with_uid: bool) -> bytes:
        """A FETCH response with the flags of each of these messages: unasked for, or after STORE."""
        if not self.tells_modseqs:
            return self.known_flag_lines(indexes, with_uid=with_uid)
        view, item, line = self.view, self.flags_item, fetch.modseq_flags_line
        return b"".join([line(i + 1, view.uids[i], item(i), view.modseqs[i]) for i in indexes])

    def known_flag_lines(self, indexes: Sequence[int], *, with_uid: bool) -> bytes:
        """A FETCH response with the flags of each of these messages, and nothing else but the UID."""
        view = self.view
        uids, flags, keywords, recent_uid = view.uids, view.flags, view.keywords, view.recent_uid
        item = self._flag_writer.item
        if with_uid:
            line = fetch.uid_flags_line
            return b"".join(
                [line(i + 1, uids[i], item(flags[i], keywords[i], recent=uids[i] >= recent_uid)) for i in indexes]
            )
        short = fetch.flags_line
        return b"".join([short(i + 1, item(flags[i], keywords[i], recent=uids[i] >= recent_uid)) for i in indexes])

    def modseq_lines(self, indexes: Sequence[int]) -> bytes:
        """A FETCH response with the UID and mod-sequence of each of these messages."""
        uids, modseqs = self.view.uids, self.view.modseqs
        return b"".join([fetch.line(i + 1, (fetch.uid(uids[i]), fetch.modseq(modseqs[i]))) for i in indexes])

    def modseq_item(self, index: int) -> Rendered:
        """`MODSEQ (…)` of one message."""
        return fetch.modseq(self.view.modseqs[index])

    def uid_lines(self, indexes: Sequence[int]) -> bytes:
        """A FETCH response with the UID of each of these messages."""
        uids = self.view.uids
        return b"".join([b"* %d FETCH (UID %d)\r\n" % (i + 1, uids[i]) for i in indexes])

    @property
    def flag_list(self) -> FlagList:
        """The flags that messages here have or may have."""
        names = sorted(self.view.keyword_names, key=self.view.keyword_names.__getitem__)
        return FlagList(_ALL_SYSTEM, tuple(names))

    # --- telling ---

    def keyword_news(self) -> bytes:
        """`FLAGS`, where keywords were added: before they are seen on a message."""
        if self._told_keywords is self.view.keyword_names:
            return b""
        self._told_keywords = self.view.keyword_names
        self._flag_writer = _writer(self._told_keywords)
        return encode.encode(responses.Flags(self.flag_list))

    def news(self, *, expunges: bool) -> Iterator[bytes]:
        """The untagged responses that are due; with `expunges`, message numbers may move."""
        view = self.view
        if keywords := self.keyword_news():
            yield keywords
        if expunges:
            numbers = view.take_expunges()
            if numbers:
                yield b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers])
        count = view.take_exists()
        if count is not None:
            yield b"* %d EXISTS\r\n* %d RECENT\r\n" % (count, view.recent)
        updates = view.take_updates()
        if updates:
            yield self.flag_lines(updates, with_uid=False)


def _writer(keyword_names: dict[str, int]) -> FlagWriter:
    return FlagWriter({number: name for name, number in keyword_names.items()})
