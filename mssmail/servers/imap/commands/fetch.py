"""FETCH and UID FETCH (RFC 3501 §6.4.5): the hot path, in batches, at the peer's pace.

Three ways, by what is asked: flags and UIDs come from the view alone; sizes and dates from what stands in clear; all
else opens records and bodies, and is traced before any octet leaves. A piece too large for memory is streamed into a
literal of announced size: where it breaks midway, the connection is cut, since nothing else could end the literal.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence, Set

from mssmail.base.refusal import Reason
from mssmail.base.search import Flag
from mssmail.flow.read import Fetched, Piece, Reader
from mssmail.metrics.logs import failure, get_logger
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import bad_number, of, ok
from mssmail.servers.imap.selected import Selected
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, internaldate
from mssmail.wire.imap import fetch as spell
from mssmail.wire.imap.fetch import Rendered
from mssmail.wire.imap.responses import Status
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import FetchAttribute, FetchItem, FetchSection

BATCH = 1_000
"""Messages whose flags go out between two turns of other connections: a millisecond."""

_FLAGS_ONLY = frozenset({FetchItem.FLAGS, FetchItem.UID})
_KNOWN = _FLAGS_ONLY | {FetchItem.MODSEQ}
_IN_CLEAR = _KNOWN | {FetchItem.INTERNALDATE, FetchItem.SIZE}
_OF_RECORDS = frozenset({FetchItem.ENVELOPE, FetchItem.BODY, FetchItem.BODYSTRUCTURE})
_SEEN = Flag.SEEN.value
_log = get_logger("servers.imap")


async def fetch(session: Session, request: Request) -> Status:
    command, selected = of(request, commands.Fetch), session.folder
    indexes = selected.indexes(command.messages)
    if indexes is None:
        return bad_number(request)
    if FetchItem.MODSEQ in command.attributes:
        session.follow_modseqs()
    if command.changed_since is not None:
        modseqs, since = selected.view.modseqs, command.changed_since
        indexes = [index for index in indexes if modseqs[index] > since]
    attributes, reader = command.attributes, selected.reader
    asked = set(attributes)
    if FetchItem.FLAGS in asked:
        selected.view.forget_updates(indexes)
    if asked <= _FLAGS_ONLY:
        await _known(session, selected, indexes, asked)
    elif asked <= _KNOWN:
        await _spelt(session, selected, indexes, attributes)
    elif asked <= _IN_CLEAR:
        await _in_clear(session, selected, reader, indexes, attributes)
    else:
        await _opened(session, selected, reader, indexes, attributes)
    if reader.lost:
        return replies.of(Reason.MESSAGE_GONE, request.tag)
    return ok(request, "Fait / Done")


async def _known(session: Session, selected: Selected, indexes: Sequence[int], asked: Set[FetchAttribute]) -> None:
    """UIDs and flags: told of messages that are gone too, while the session hasn't been told that they are."""
    with_uid = FetchItem.UID in asked
    for start in range(0, len(indexes), BATCH):
        part = indexes[start : start + BATCH]
        if FetchItem.FLAGS in asked:
            await session.push(selected.known_flag_lines(part, with_uid=with_uid))
        else:
            await session.push(selected.uid_lines(part))
        await asyncio.sleep(0)


async def _spelt(
    session: Session, selected: Selected, indexes: Sequence[int], attributes: Sequence[FetchAttribute]
) -> None:
    """The same with mod-sequences."""
    uids = selected.view.uids
    spelt: dict[FetchAttribute, Callable[[int], Rendered]] = {
        FetchItem.UID: lambda index: spell.uid(uids[index]),
        FetchItem.FLAGS: selected.flags_item,
        FetchItem.MODSEQ: selected.modseq_item,
    }
    chosen = [spelt[attribute] for attribute in attributes]
    for start in range(0, len(indexes), BATCH):
        part = indexes[start : start + BATCH]
        await session.push(b"".join([spell.line(i + 1, [item(i) for item in chosen]) for i in part]))
        await asyncio.sleep(0)


async def _in_clear(
    session: Session,
    selected: Selected,
    reader: Reader,
    indexes: Sequence[int],
    attributes: Sequence[FetchAttribute],
) -> None:
    uids, flags_item = selected.view.uids, selected.flags_item
    async for index, facts in reader.facts(indexes):
        items: list[Rendered] = []
        for attribute in attributes:
            match attribute:
                case FetchItem.UID:
                    items.append(spell.uid(uids[index]))
                case FetchItem.FLAGS:
                    items.append(flags_item(index))
                case FetchItem.MODSEQ:
                    items.append(selected.modseq_item(index))
                case FetchItem.SIZE:
                    items.append(spell.size(facts.size_octets))
                case _:
                    items.append(internaldate.item(facts.internal_date, facts.zone_minutes))
        await session.push(spell.line(index + 1, items))


async def _opened(
    session: Session,
    selected: Selected,
    reader: Reader,
    indexes: Sequence[int],
    attributes: Sequence[FetchAttribute],
) -> None:
    view = selected.view
    sections = [a for a in attributes if isinstance(a, FetchSection)]
    wanted = [(s.section, s.span) for s in sections]
    mark = not selected.read_only and any(not s.peek for s in sections)
    marked = {i for i in indexes if not view.flags[i] & _SEEN} if mark else set()
    if not indexes:
        return
    await reader.trace(indexes, wanted, mark_seen=mark)
    view.forget_updates(marked)
    session.put(selected.keyword_news())
    show_flags = FetchItem.FLAGS in attributes
    writer = _Writer(session, selected, reader, attributes)
    records = not _OF_RECORDS.isdisjoint(attributes)
    async for fetched in reader.messages(indexes, wanted, records=records):
        await writer.write(fetched, with_flags=not show_flags and fetched.index in marked)


class _Writer:
    """Spells messages' responses: the items in the order asked for."""

    def __init__(
        self, session: Session, selected: Selected, reader: Reader, attributes: Sequence[FetchAttribute]
    ) -> None:
        self._session = session
        self._reader = reader
        self._selected = selected
        self._attributes = attributes
        self._simple = [_SPELT[a] for a in attributes if isinstance(a, FetchItem)]
        self._has_sections = len(self._simple) < len(attributes)

    async def write(self, fetched: Fetched, *, with_flags: bool) -> None:
        """`with_flags`: \\Seen was set by this command, and flags weren't asked for (RFC 3501 §6.4.5)."""
        if not self._has_sections:
            selected = self._selected
            await self._session.push(spell.line(fetched.index + 1, [of(selected, fetched) for of in self._simple]))
            return
        items: list[Rendered] = []
        pieces = iter(fetched.pieces)
        large: list[tuple[bytes, Piece]] = []
        for attribute in self._attributes:
            if isinstance(attribute, FetchItem):
                items.append(_SPELT[attribute](self._selected, fetched))
                continue
            piece = next(pieces)
            if piece is not None and piece.data is None:
                large.append((attribute.label, piece))
            else:
                items.append(spell.section(attribute.label, None if piece is None else piece.data))
        if with_flags:
            items.append(self._selected.flags_item(fetched.index))
            if self._selected.tells_modseqs and FetchItem.MODSEQ not in self._attributes:
                items.append(self._selected.modseq_item(fetched.index))
        if large:
            await self._stream(fetched.index + 1, items, large)
        else:
            await self._session.push(spell.line(fetched.index + 1, items))

    async def _stream(self, number: int, items: list[Rendered], large: Sequence[tuple[bytes, Piece]]) -> None:
        """Send a response whose large pieces come last, each as it is read.

        A piece that can't be read at all loses its message, as one in memory would; later it ends the connection.
        """
        session, joint = self._session, spell.JOINT if items else b""
        chunks = self._reader.stream(large[0][1])
        try:
            first = await anext(chunks)
        except Exception as error:  # noqa: BLE001 - gone or damaged: counted as lost, told at the end
            failure(_log, "message can't be read", error, uid=self._selected.view.uids[number - 1])
            self._reader.lost += 1
            return
        session.put(spell.head(number, items))
        session.mid_literal = True
        for label, piece in large:
            session.put(joint + spell.section_head(label, piece.size_octets))
            joint = spell.JOINT
            if piece is not large[0][1]:
                chunks, first = self._reader.stream(piece), b""
            await self._send(first, chunks)
        session.put(spell.END)
        session.mid_literal = False
        await session.flush()

    async def _send(self, first: bytes, chunks: AsyncIterator[bytes]) -> None:
        session = self._session
        session.put(first)
        await session.flush()
        async for chunk in chunks:
            session.put(chunk)
            await session.flush()


def _uid(selected: Selected, fetched: Fetched) -> Rendered:
    return spell.uid(fetched.facts.uid)


def _flags_item(selected: Selected, fetched: Fetched) -> Rendered:
    return selected.flags_item(fetched.index)


def _modseq(selected: Selected, fetched: Fetched) -> Rendered:
    return selected.modseq_item(fetched.index)


def _internal_date(selected: Selected, fetched: Fetched) -> Rendered:
    return internaldate.item(fetched.facts.internal_date, fetched.facts.zone_minutes)


def _size(selected: Selected, fetched: Fetched) -> Rendered:
    return spell.size(fetched.facts.size_octets)


def _envelope(selected: Selected, fetched: Fetched) -> Rendered:
    return spell.envelope(fetched.record.envelope)


def _body(selected: Selected, fetched: Fetched) -> Rendered:
    return spell.body(fetched.record.body)


def _structure(selected: Selected, fetched: Fetched) -> Rendered:
    return spell.structure(fetched.record.bodystructure)


_SPELT: dict[FetchItem, Callable[[Selected, Fetched], Rendered]] = {
    FetchItem.UID: _uid,
    FetchItem.FLAGS: _flags_item,
    FetchItem.MODSEQ: _modseq,
    FetchItem.INTERNALDATE: _internal_date,
    FetchItem.SIZE: _size,
    FetchItem.ENVELOPE: _envelope,
    FetchItem.BODY: _body,
    FetchItem.BODYSTRUCTURE: _structure,
}
