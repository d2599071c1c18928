"""LIST and LSUB: which names are shown, with which attributes (RFC 3501 §6.3.8, §6.3.9, RFC 5258, RFC 5819)."""

import re
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass

from mssmail.base.folder import SpecialUse
from mssmail.flow.boxes import Folder
from mssmail.flow.names import DELIMITER, INBOX, superiors
from mssmail.flow.shared import PREFIX
from mssmail.servers.imap.commands.mailbox import status_values
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, encode
from mssmail.wire.imap.pattern import Pattern
from mssmail.wire.imap.responses import Attribute, Listed, Status, StatusData
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import ListReturn, ListSelection, StatusItem

_WILD = re.compile(r"[*%]")
_USES = {use.value[1:].lower(): use for use in SpecialUse}
_CRITERIA = (ListSelection.SUBSCRIBED, ListSelection.SPECIAL_USE)


async def listing(session: Session, request: Request) -> Status:
    """LIST with special uses and children, whether asked for or not (RFC 6154 §2, RFC 5258 §4)."""
    command = of(request, commands.List)
    if command.options is None:
        await _plain(session, command.reference, command.patterns[0])
    else:
        await _extended(session, command, command.options)
    return ok(request, "Fait / Done")


async def _plain(session: Session, reference: str, text: str) -> None:
    if not text:  # asks for the delimiter (RFC 3501 §6.3.8)
        session.say(Listed((Attribute.NOSELECT.value,), DELIMITER, ""))
        return
    pattern = Pattern(reference + text, DELIMITER)
    for folder in await _folders(session, (reference + text,)):
        if pattern.match(folder.name):
            attributes = () if folder.exists else (Attribute.NOSELECT.value,)
            await session.push(encode.encode(Listed((*attributes, *_nature(folder)), DELIMITER, folder.name)))


async def _folders(session: Session, patterns: Iterable[str]) -> list[Folder]:
    """One's own folders, and where a pattern can match them those of others' boxes."""
    heads = [_WILD.split(pattern, maxsplit=1)[0] for pattern in patterns]
    if any(PREFIX.startswith(head) or head.startswith(PREFIX) for head in heads):
        return await session.service.shared.everything(session.who)
    return await session.service.boxes.all(session.who)


def _nature(folder: Folder) -> Iterator[str]:
    """What every LIST tells of a folder: children, special use."""
    yield (Attribute.HAS_CHILDREN if folder.has_children else Attribute.HAS_NO_CHILDREN).value
    if folder.role is not None:
        yield _USES[folder.role].value


async def _extended(session: Session, command: commands.List, options: commands.ListOptions) -> None:
    if StatusItem.HIGHESTMODSEQ in options.status:
        session.follow_modseqs()
    folders = await _folders(session, [command.reference + text for text in command.patterns])
    subscribed: list[str] = []
    if ListSelection.SUBSCRIBED in options.selection:
        subscribed = await session.service.boxes.subscriptions(session.who)
    patterns = [Pattern(command.reference + text, DELIMITER) for text in command.patterns if text]
    shown = list(_chosen(folders, subscribed, patterns, options.selection))
    deleted: dict[int, int] = {}
    if StatusItem.DELETED_STORAGE in options.status:
        asked = [one.folder.row.folder_id for one in shown if one.meets and one.folder.row is not None]
        deleted = await session.service.boxes.deleted_octets(asked)
    tell_subscribed = ListSelection.SUBSCRIBED in options.selection or ListReturn.SUBSCRIBED in options.returns
    for one in shown:
        folder = one.folder
        attributes = list(_nature(folder))
        if not folder.exists:
            attributes.insert(0, Attribute.NONEXISTENT.value)
        if tell_subscribed and folder.subscribed:
            attributes.append(Attribute.SUBSCRIBED.value)
        await session.push(encode.encode(Listed(tuple(attributes), DELIMITER, folder.name, children=one.children)))
        if one.meets and options.status and folder.row is not None:
            values = status_values(session, folder.row, deleted.get(folder.row.folder_id, 0))
            data = StatusData(folder.name, tuple((item, values[item]) for item in options.status))
            await session.push(encode.encode(data))


@dataclass(frozen=True, slots=True)
class _Shown:
    """A name that LIST answers with."""

    folder: Folder
    meets: bool
    """Whether it meets the selection itself, and not only by something below it."""
    children: tuple[str, ...]
    """The selection that something below meets, for CHILDINFO (RFC 5258 §3.5)."""


def _chosen(
    folders: Iterable[Folder], subscribed: Collection[str], patterns: Iterable[Pattern], selection: Set[ListSelection]
) -> Iterator[_Shown]:
    """The names that match a pattern and the selection, or with RECURSIVEMATCH have one below (RFC 5258 §3.3)."""
    known = {folder.name: folder for folder in folders}
    recursive = ListSelection.RECURSIVEMATCH in selection
    criteria = tuple(option.value for option in _CRITERIA if option in selection)
    for name in subscribed:
        known.setdefault(name, Folder(name, None, True, False, exists=False, row=None))
        for level in superiors(name) if recursive else ():
            known.setdefault(level, Folder(level, None, False, False, exists=False, row=None))
    matching = {name for name in known if any(pattern.match(name) for pattern in patterns)}
    meeting = {name for name, folder in known.items() if _meets(folder, selection)}
    below: set[str] = set()
    told_below: set[str] = set()
    if recursive:
        below = {level for name in meeting for level in superiors(name)}
        told_below = {level for name in meeting - matching for level in superiors(name)}
    for name in sorted(matching & (meeting | told_below), key=lambda n: (n != INBOX, n)):
        meets = name in meeting
        yield _Shown(known[name], meets, criteria if name in (below if meets else told_below) else ())


def _meets(folder: Folder, selection: Set[ListSelection]) -> bool:
    """Whether a folder meets each criterion. A level that only its inferiors show meets where there is none."""
    if ListSelection.SUBSCRIBED in selection and not folder.subscribed:
        return False
    return not (ListSelection.SPECIAL_USE in selection and folder.role is None)


async def lsub(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.9: subscribed names, whether such folders exist or not."""
    command = of(request, commands.Lsub)
    pattern = Pattern(command.reference + command.pattern, DELIMITER)
    for name, subscribed in _subscribed(await session.service.boxes.subscriptions(session.who), pattern):
        attributes = () if subscribed else (Attribute.NOSELECT.value,)
        await session.push(encode.encode(Listed(attributes, DELIMITER, name, lsub=True)))
    return ok(request, "Fait / Done")


def _subscribed(names: Iterable[str], pattern: Pattern) -> Iterator[tuple[str, bool]]:
    """The names that match, and those above one that doesn't: `%` shows `a` where `a/b` alone is subscribed."""
    known = set(names)
    shown: set[str] = set()
    for name in sorted(known):
        if pattern.match(name):
            yield name, True
            continue
        for level in superiors(name):
            if level not in known and level not in shown and pattern.match(level):
                shown.add(level)
                yield level, False
