"""Mail just kept, in memory until it was made searchable: what its search text and its columns are made of.

Content, thus in memory only, and bounded: the oldest goes first, and is opened from the store instead. What is here
says nothing of what still exists: who asks has found the message's row. A message goes with the last of its places
(account and period), a place with its period's end and with its account's keys.
"""

import threading
from collections.abc import Callable, Iterable

from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.mime import columns
from mssmail.mime import text as texts
from mssmail.mime.columns import Entry
from mssmail.mime.record import Record, RecordFormatError
from mssmail.mime.text import Piece

MAX_OCTETS = 24 << 20
"""Some eight thousand usual mails, attachments left out: a burst of several seconds."""
_ENTRY_OCTETS = 1_000
"""What a message takes beside its pieces, record and text."""
_PIECE_OCTETS = 200

Place = tuple[AccountId, Period]


class FreshMessage:
    """A message's record, and the pieces of it that are searched, or the search text that was made of them."""

    __slots__ = ("_pieces", "_record", "body", "counted_octets", "entry", "key", "places", "text")

    def __init__(self, body: BodyId, key: bytes, record: Record, pieces: Iterable[tuple[Piece, bytes]]) -> None:
        """`pieces` of the message with their octets; the record has the header."""
        self.body = body
        self.key = key
        self.places: tuple[Place, ...] = ()
        self.text: bytes | None = None
        self.entry: Entry | None = None
        self.counted_octets = 0
        """What it takes in memory, as it was last counted."""
        self._record = record.octets
        self._pieces = tuple(pieces)

    @property
    def record(self) -> Record:
        """Made anew each time: what it finds out about its parts would take more room than its octets."""
        return Record(self._record)

    @property
    def held_octets(self) -> int:
        fields = 0 if self.entry is None else self.entry.octets
        pieces = sum([len(octets) + _PIECE_OCTETS for _, octets in self._pieces])
        return len(self._record) + pieces + len(self.text or b"") + fields + _ENTRY_OCTETS

    def make_text(self) -> bytes | None:
        """The search text, None where it would be too long; from here on it stands for the pieces.

        In several threads at once too: who finds no text has pieces to make it of.
        """
        pieces = self._pieces
        made = self.text
        if made is None:
            made = self.text = texts.text_of(self.record.header or b"", pieces)
            self._pieces = ()
        return made


class Fresh:
    """Messages by body. Safe for threads."""

    def __init__(self, max_octets: int = MAX_OCTETS) -> None:
        self._max_octets = max_octets
        self._messages: dict[BodyId, FreshMessage] = {}
        """In the order they came."""
        self._octets = 0
        self._first_end: float = float("inf")
        """Before this no period of a message here ends."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: FreshMessage | None, places: Iterable[Place]) -> None:
        """Keep a message whose rows are committed; None: one too large for it. One that is in no box is let go."""
        if message is None:
            return
        message.places = tuple(places)
        if not message.places:
            return
        with self._lock:
            self._messages[message.body] = message
            self._first_end = min(self._first_end, *(period for _, period in message.places))
            self._count(message)

    def _count(self, message: FreshMessage) -> None:
        """Count it anew; the oldest go, until all is within bounds."""
        now = message.held_octets
        self._octets += now - message.counted_octets
        message.counted_octets = now
        while self._octets > self._max_octets:
            self._forget(next(iter(self._messages)))

    def _forget(self, body: BodyId) -> None:
        self._octets -= self._messages.pop(body).counted_octets

    def get(self, body: BodyId) -> FreshMessage | None:
        """Whosever it is: for the indexer, which has found it due."""
        return self._messages.get(body)

    def find(
        self, account: AccountId, places: Iterable[tuple[BodyId, Period]], now: float
    ) -> list[FreshMessage | None]:
        """An account's messages of these bodies, None for each that isn't here. A period that ended has none."""
        get = self._messages.get
        return [
            message
            if (message := get(body)) is not None and period > now and (account, period) in message.places
            else None
            for body, period in places
        ]

    def text(self, message: FreshMessage) -> bytes | None:
        """A message's search text, made once; None where it is too long or can't be made, and is opened instead."""
        if message.text is not None:
            return message.text
        made = message.make_text()
        with self._lock:
            if self._messages.get(message.body) is message:
                if made is None:
                    self._forget(message.body)
                else:
                    self._count(message)
        return made

    def entry(self, message: FreshMessage) -> Entry | None:
        """A message's part of columns, made once; None where it can have none."""
        if message.entry is None:
            try:
                message.entry = columns.entry(message.body, message.record)
            except RecordFormatError:
                return None
            with self._lock:
                if self._messages.get(message.body) is message:
                    self._count(message)
        return message.entry

    def done(self, account: AccountId, body: BodyId, period: Period) -> FreshMessage | None:
        """It was made searchable for an account; the message, where it was here. With the last such place it goes."""
        with self._lock:
            message = self._messages.get(body)
            if message is not None:
                self._leave(message, (account, period))
        return message

    def _leave(self, message: FreshMessage, place: Place) -> None:
        message.places = tuple([each for each in message.places if each != place])
        if not message.places:
            self._forget(message.body)

    def drop_ended(self, now: float) -> None:
        """Forget what belongs to ended periods."""
        if now >= self._first_end:
            self._drop(lambda place: place[1] <= now)

    def forget_account(self, account: AccountId) -> None:
        """Its keys were given up: so is what they opened."""
        self._drop(lambda place: place[0] == account)

    def _drop(self, goes: Callable[[Place], bool]) -> None:
        with self._lock:
            for message in list(self._messages.values()):
                for place in [place for place in message.places if goes(place)]:
                    self._leave(message, place)
            ends = (period for message in self._messages.values() for _, period in message.places)
            self._first_end = min(ends, default=float("inf"))
