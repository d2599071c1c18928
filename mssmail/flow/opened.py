"""A message that a search looks into: by its record, or opened as far as a key asks for it."""

from collections.abc import Callable
from datetime import date

from mssmail.base.search import Body, Header, Sent, Text, When
from mssmail.flow.answers import Columned
from mssmail.flow.read import OpenedBody
from mssmail.mime import columns as columns_of_fields
from mssmail.mime import text as texts
from mssmail.mime.columns import Entry
from mssmail.mime.record import Record, RecordFormatError
from mssmail.mime.words import header_values
from mssmail.store.messages import Facts


def by_date(when: When, day: date, given: date) -> bool:
    match when:
        case When.BEFORE:
            return given < day
        case When.ON:
            return given == day
        case When.SINCE:
            return given >= day


def by_record(record: Record) -> Callable[[Columned], bool]:
    """Judge a message whose record has its header."""
    return lambda key: _matches(record, record.header or b"", key)


def _matches(record: Record, header: bytes, key: Columned) -> bool:
    match key:
        case Sent(when, day):
            sent = record.sent
            return sent is not None and by_date(when, day, sent.day)
        case Header(name, text):
            values = header_values(header, name.encode("utf-8", "replace"))
            if not text:
                return bool(values)
            needle = texts.normalise(text)
            return any(needle in texts.normalise(value) for value in values)


class Opened:
    """A message opened for a search; its body only where a key asks for it."""

    def __init__(self, record: Record, octets: OpenedBody, facts: Facts, key: bytes) -> None:
        self.body = facts.body_id
        self.period = facts.period
        self.key = key
        self._record = record
        self._octets = octets
        self._header: bytes | None = None
        self._texts: tuple[str, str] | None = None

    @property
    def header(self) -> bytes:
        if self._header is None:
            header = self._record.header
            if header is None:
                root = self._record.parts[0]
                header = self._octets.read(root.header_start, root.body_start)
            self._header = header
        return self._header

    @property
    def texts(self) -> tuple[str, str]:
        """Header and body, normalised."""
        if self._texts is None:
            self._texts = texts.searchable(self._record, self._octets.read)
        return self._texts

    @property
    def packed(self) -> bytes | None:
        """Its search text, where it came about and isn't too long."""
        return None if self._texts is None else texts.pack(*map(texts.octets, self._texts))

    def entry(self) -> Entry | None:
        """Its part of columns, where it can have one."""
        try:
            return columns_of_fields.entry(self.body, self._record)
        except RecordFormatError:
            return None

    def matches(self, key: Sent | Header | Body | Text) -> bool:
        match key:
            case Sent():
                return _matches(self._record, b"", key)
            case Header():
                return _matches(self._record, self.header, key)
            case Body(text):
                return texts.normalise(text) in self.texts[1]
            case Text(text):
                needle = texts.normalise(text)
                header, body = self.texts
                return needle in header or needle in body
