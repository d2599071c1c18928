"""What lies on disk under fuzz: records, columns, sealed pieces and rows of the trail, damaged in any way."""

import struct
from typing import cast

from mssmail.audit.export import opened
from mssmail.audit.trail import TrailKeys, event_hash
from mssmail.base.ids import BodyId, ChainId
from mssmail.base.section import Part as What
from mssmail.base.section import Section
from mssmail.crypto.body import BodyOpener, open_columns, open_record, open_search_text
from mssmail.crypto.envelope import Unsealable, unseal
from mssmail.flow.read import offsets_of
from mssmail.mime.columns import Columns, ColumnsFormatError
from mssmail.mime.record import Record, RecordFormatError, Tag
from mssmail.mime.resolve import resolve
from mssmail.mime.text import in_body, in_text
from mssmail.store.trail import EventRow
from tests.fuzz.target import Target

KEY = bytes(range(32))
_ROW = struct.Struct(">qqqqqB")


def record(data: bytes) -> None:
    """A damaged record is told by RecordFormatError, and by nothing else."""
    try:
        found = Record(data)
        for tag in (*Tag, 0, 255):
            found.section(tag)
        repr((found.envelope, found.body, found.bodystructure, found.preview, found.header))
        _ = found.sent
        for part in found.parts:
            assert part.parent < len(found.parts)
            assert all(child < len(found.parts) for child in part.children)
    except RecordFormatError:
        return
    for path in ((), (1,), (1, 1), (2,)):
        for what in What:
            resolve(found, Section(path, what, (b"a",)))


def header_columns(data: bytes) -> None:
    """Damaged columns are told by ColumnsFormatError, when they are opened or when they are asked."""
    try:
        found = Columns(data)
        assert len(found.days) == len(found)
        for name in ("from", "Subject", "é"):
            for text in ("", "a", "b@"):
                if found.knows(name, text):
                    assert all(0 <= at < len(found) for at in found.matching(name, text))
        found.entries()
    except ColumnsFormatError:
        return


def sealed(data: bytes) -> None:
    """What wasn't sealed by us is Unsealable, however short; a search text that is damaged finds or finds nothing."""
    body = BodyId(7)
    for work in (
        lambda: open_record(KEY, body, data),
        lambda: open_search_text(KEY, body, data),
        lambda: open_columns(KEY, body, data),
        lambda: unseal(KEY, data, b""),
        lambda: BodyOpener(KEY, body, 1).open(0, data),
        lambda: offsets_of(data),
    ):
        try:
            work()
        except Unsealable:
            continue
    in_text(data, b"x")
    in_body(data, b"x")


class _Keys(TrailKeys):
    """One key for every day."""

    def __init__(self) -> None:
        pass

    def of(self, at_ms: int) -> bytes:
        return KEY


def event(data: bytes) -> None:
    """A row of the trail that was tampered with is shown as unreadable, and its hash isn't the one it had."""
    if len(data) < _ROW.size:
        return
    chain, sequence, at_ms, kind, account, size = _ROW.unpack_from(data)
    rest = data[_ROW.size :]
    row = EventRow(ChainId(chain), sequence, at_ms, kind, account, rest[:size] or None, rest[size:], b"")
    try:
        assert len(event_hash(b"", row)) == 32
    except Unsealable:
        assert not 0 <= kind < 1 << 16 or min(chain, sequence, at_ms, account) < 0
    assert opened(cast(TrailKeys, _Keys()), row).outcome == "unreadable"


TARGETS = (
    Target("record", record, (b"\1", b"\4", b"\0\0\0", b"\xff" * 4, b"\0" * 8), 1024),
    Target("columns", header_columns, (b"\1", b"\4from", b"\7subject", b"\0\0\0", b"\xff" * 4, b"\0a"), 1024),
    Target("sealed", sealed, (b"\0", b"\1", b"\xff" * 4), 512),
    Target("trail", event, (b"\0" * 8, b"\xff" * 8, b"\x7f", b"\x80"), 512),
)
