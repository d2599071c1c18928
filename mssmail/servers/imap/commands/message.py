"""Commands that change messages: flags, copies, moves, expunges."""

from collections.abc import Sequence

from mssmail.base import ranges
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.search import UidSet
from mssmail.flow.change import Copied, FlagWish
from mssmail.flow.transfer import Transfer
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import bad_number, of, ok, read_only
from mssmail.servers.imap.selected import Selected
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands
from mssmail.wire.imap.responses import Condition, CopyUid, Modified, Status
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import StoreMode

_BATCH = 1_000
"""Messages whose flags are told between two turns of other connections."""
_MODES = {StoreMode.REPLACE: "replace", StoreMode.ADD: "add", StoreMode.REMOVE: "remove"}


async def store(session: Session, request: Request) -> Status:
    """RFC 3501 §6.4.6."""
    command, selected = of(request, commands.Store), session.folder
    if selected.read_only:
        return read_only(request, selected.principal)
    indexes = selected.indexes(command.messages)
    if indexes is None:
        return bad_number(request)
    if command.unchanged_since is not None:
        session.follow_modseqs()
    wish = FlagWish(command.flags.system, frozenset(command.flags.keywords), _MODES[command.mode])
    before = _flags_of(selected, indexes) if command.silent else []
    left = await selected.changer.store(indexes, wish, command.unchanged_since)
    session.put(selected.keyword_news())
    if command.silent:
        _keep_silent(selected, indexes, wish, before)
    else:
        selected.view.forget_updates(indexes)
    await _tell(session, command, indexes, left)
    if not left:
        return ok(request, "Fait / Done")
    with_uid = isinstance(command.messages, UidSet)
    told = left if with_uid else [at + 1 for uid in left if (at := selected.view.index_of(uid)) is not None]
    text = "Certains messages ont changé entre-temps / Some messages changed meanwhile"
    return ok(request, text, Modified(ranges.compact(told)))


async def _tell(session: Session, command: commands.Store, indexes: Sequence[int], left: Sequence[int]) -> None:
    """Say how messages stand after STORE: flags, or where that is silent the mod-sequences alone (RFC 7162 §3.1.3).

    Those left alone are always told in full, so that the client needn't ask.
    """
    selected = session.folder
    view, spared = selected.view, set(left)
    with_uid = isinstance(command.messages, UidSet)
    view.forget_updates(at for uid in left if (at := view.index_of(uid)) is not None)
    for start in range(0, len(indexes), _BATCH):
        part = indexes[start : start + _BATCH]
        if not command.silent:
            await session.push(selected.flag_lines(part, with_uid=with_uid))
        elif selected.tells_modseqs:
            done = [i for i in part if view.uids[i] not in spared] if spared else part
            await session.push(selected.modseq_lines(done))
            await session.push(selected.flag_lines([i for i in part if view.uids[i] in spared], with_uid=with_uid))


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
    acting, name = await session.folder_in(command.mailbox)
    try:
        if acting.account == selected.principal.account:
            copied = await selected.changer.copy(indexes, name)
        else:
            copied = await Transfer(session.house, selected.view, acting, name).copy(indexes)
    except Refusal as refusal:
        return _refused(refusal, request)
    return ok(request, "Copié / Copied", _copy_uid(copied))


async def move(session: Session, request: Request) -> Status:
    """RFC 6851 §3.1: COPYUID goes before the expunges, which the session tells next (RFC 6851 §4.3)."""
    command, selected = of(request, commands.Move), session.folder
    if selected.read_only:
        return read_only(request, selected.principal)
    indexes = selected.indexes(command.messages)
    if indexes is None:
        return bad_number(request)
    acting, name = await session.folder_in(command.mailbox)
    try:
        if acting.account == selected.principal.account:
            moved = await selected.changer.move(indexes, name)
        else:
            moved = await Transfer(session.house, selected.view, acting, name).move(indexes)
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
    if refusal.reason is Reason.TOO_MANY_MESSAGES:
        return replies.status(replies.TOO_MANY_AT_ONCE, request.tag)
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
        return read_only(request, selected.principal)
    await selected.view.refresh()
    await selected.changer.expunge(None if messages is None else selected.indexes(messages))
    return ok(request, "Supprimés / Expunged")
