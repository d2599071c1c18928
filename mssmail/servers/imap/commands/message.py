"""Commands that change messages: flags, copies, moves, expunges."""

from collections.abc import Sequence

from mssmail.base import ranges
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.search import UidSet
from mssmail.flow.change import Copied, FlagWish
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import bad_number, of, ok, read_only
from mssmail.servers.imap.selected import Selected
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands
from mssmail.wire.imap.responses import Condition, CopyUid, Status
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import StoreMode

_BATCH = 1_000
"""Messages whose flags are told between two turns of other connections."""
_MODES = {StoreMode.REPLACE: "replace", StoreMode.ADD: "add", StoreMode.REMOVE: "remove"}


async def store(session: Session, request: Request) -> Status:
    """RFC 3501 §6.4.6."""
    command, selected = of(request, commands.Store), session.folder
    if selected.read_only:
        return read_only(request)
    indexes = selected.indexes(command.messages)
    if indexes is None:
        return bad_number(request)
    wish = FlagWish(command.flags.system, frozenset(command.flags.keywords), _MODES[command.mode])
    before = _flags_of(selected, indexes) if command.silent else []
    await selected.changer.store(indexes, wish)
    session.put(selected.keyword_news())
    if command.silent:
        _keep_silent(selected, indexes, wish, before)
        return ok(request, "Fait / Done")
    selected.view.forget_updates(indexes)
    with_uid = isinstance(command.messages, UidSet)
    for start in range(0, len(indexes), _BATCH):
        await session.push(selected.flag_lines(indexes[start : start + _BATCH], with_uid=with_uid))
    return ok(request, "Fait / Done")


Flags = tuple[int, int]
"""System flags and keywords, as bits."""


def _flags_of(selected: Selected, indexes: Sequence[int]) -> list[Flags]:
    flags, keywords = selected.view.flags, selected.view.keywords
    return [(flags[i], keywords[i]) for i in indexes]


def _keep_silent(selected: Selected, indexes: Sequence[int], wish: FlagWish, before: Sequence[Flags]) -> None:
    """Leave untold what the client knows, having asked for it; what others changed meanwhile is told."""
    view = selected.view
    numbers = {name.lower(): number for name, number in view.keyword_names.items()}
    bits = sum({1 << numbers[name.lower()] for name in wish.keywords if name.lower() in numbers})

    def wished(old: int, asked: int) -> int:
        match wish.mode:
            case "add":
                return old | asked
            case "remove":
                return old & ~asked
            case _:
                return asked

    view.forget_updates(
        index
        for index, (flags, keywords) in zip(indexes, before, strict=True)
        if view.flags[index] == wished(flags, wish.flags) and view.keywords[index] == wished(keywords, bits)
    )


async def copy(session: Session, request: Request) -> Status:
    """RFC 3501 §6.4.7, RFC 4315 §3."""
    command, selected = of(request, commands.Copy), session.folder
    indexes = selected.indexes(command.messages)
    if indexes is None:
        return bad_number(request)
    try:
        copied = await selected.changer.copy(indexes, command.mailbox)
    except Refusal as refusal:
        return _refused(refusal, request)
    return ok(request, "Copié / Copied", _copy_uid(copied))


async def move(session: Session, request: Request) -> Status:
    """RFC 6851 §3.1: COPYUID goes before the expunges, which the session tells next (RFC 6851 §4.3)."""
    command, selected = of(request, commands.Move), session.folder
    if selected.read_only:
        return read_only(request)
    indexes = selected.indexes(command.messages)
    if indexes is None:
        return bad_number(request)
    try:
        moved = await selected.changer.move(indexes, command.mailbox)
    except Refusal as refusal:
        return _refused(refusal, request)
    if moved.source:
        session.say(Status(Condition.OK, "Déplacé / Moved", _copy_uid(moved)))
    return ok(request, "Fait / Done")


def _copy_uid(copied: Copied) -> CopyUid | None:
    if not copied.source:
        return None
    last = copied.first + len(copied.source) - 1
    return CopyUid(copied.uid_validity, ranges.compact(copied.source), ((copied.first, last),))


def _refused(refusal: Refusal, request: Request) -> Status:
    if refusal.reason is Reason.FOLDER_MISSING:
        return replies.status(replies.NO_SUCH_TARGET, request.tag)
    return replies.of(refusal.reason, request.tag)


async def expunge(session: Session, request: Request) -> Status:
    """RFC 3501 §6.4.3: also what others flagged meanwhile."""
    return await _expunge(session, request, None)


async def uid_expunge(session: Session, request: Request) -> Status:
    """RFC 4315 §2.1."""
    return await _expunge(session, request, of(request, commands.UidExpunge).messages)


async def _expunge(session: Session, request: Request, messages: UidSet | None) -> Status:
    selected = session.folder
    if selected.read_only:
        return read_only(request)
    await selected.view.refresh()
    await selected.changer.expunge(None if messages is None else selected.indexes(messages))
    return ok(request, "Supprimés / Expunged")
