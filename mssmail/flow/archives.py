"""Looking into the archives that a message carries, for whom it is about, before it is accepted.

Ordinary mail pays nothing: the parts' headers, which were read while the message came, say whether there is an archive.
Where there is, the message is read again from what was sealed, a chunk at a time in another thread, twice through each
archive at most; nothing of it is kept but digests. It is done before the 250, since an objection must still refuse it.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mssmail.base.refusal import Reason, Refusal
from mssmail.crypto.body import BodyOpener, chunks_of
from mssmail.crypto.format import CHUNK_OCTETS
from mssmail.flow.concerning import Concern, concerned_digest
from mssmail.flow.house import House
from mssmail.flow.keep import Kept, off_loop
from mssmail.flow.read import offsets_of
from mssmail.metrics.registry import counter
from mssmail.mime import xdm
from mssmail.mime.archive import Flaw, Unread
from mssmail.mime.node import Node
from mssmail.mime.transfer import decode_stream

MAX_ARCHIVES: Final = 16
"""Of one message, which is about one patient; what is beyond is told as not read."""

_looked = counter("mssmail_archives_total", "Archives in messages, by what came of reading them.", labels=("outcome",))


async def concern_of(house: House, kept: Kept, root: Node) -> Concern | None:
    """What the archives of a message that has come whole say; None where it has none. Raises Refusal."""
    found = xdm.candidates(root)
    return await off_loop(house, lambda: _look(house, kept, found)) if found else None


def _look(house: House, kept: Kept, parts: list[Node]) -> Concern:
    patients: dict[bytes, None] = {}
    flaws: dict[str, None] = {}
    read = 0
    for part in parts[:MAX_ARCHIVES]:
        try:
            metadata = xdm.read(partial(_decoded, house, kept, part))
        except Unread as unread:
            flaws[unread.flaw.value] = None
            _looked.labels(outcome=unread.flaw.value).inc()
            continue
        _looked.labels(outcome="other" if metadata is None else "ok").inc()
        if metadata is not None:
            read += 1
            patients.update({concerned_digest(house.keys, each): None for each in metadata.patients})
    if len(parts) > MAX_ARCHIVES:
        flaws[Flaw.TOO_MANY.value] = None
    return Concern(tuple(patients), read, tuple(flaws))


def _decoded(house: House, kept: Kept, part: Node) -> Iterator[bytes]:
    return decode_stream(pieces(house, kept, part.body_start, part.end), part.encoding)


def pieces(house: House, kept: Kept, start: int, end: int) -> Iterator[bytes]:
    """Octets [start, end) of a message that was just sealed, a chunk at a time. May block. Raises Refusal."""
    if start >= end:
        return
    lengths = offsets_of(kept.lengths)
    opener = BodyOpener(kept.key, kept.body, len(lengths))
    numbers = chunks_of(start, end)
    at = sum(lengths[: numbers.start])
    for number in numbers:
        length = lengths[number]
        sealed = house.bodies.read(kept.body, at, length) if kept.data is None else kept.data[at : at + length]
        if sealed is None:
            raise Refusal(Reason.UNAVAILABLE, f"body {kept.body:x} is gone")
        plain, base = opener.open(number, sealed), number * CHUNK_OCTETS
        yield plain[max(start - base, 0) : end - base]
        at += length
