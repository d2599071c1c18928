"""Commands about folders: made, renamed, listed, subscribed; what is in them is `message`'s."""

from collections.abc import Iterable, Iterator

from mssmail.base.folder import SpecialUse
from mssmail.flow.boxes import Folder
from mssmail.flow.names import DELIMITER, superiors
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, encode
from mssmail.wire.imap.pattern import Pattern
from mssmail.wire.imap.responses import Attribute, Listed, Status, StatusData
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import StatusItem

_USES = {use.value[1:].lower(): use for use in SpecialUse}


async def create(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.3, RFC 6154 §3. A name that ends in the delimiter is made as a folder too."""
    command = of(request, commands.Create)
    role: str | None = None
    if command.uses:
        role = command.uses[0].value[1:].lower()
        taken = {folder.role for folder in await session.service.boxes.all(session.who)}
        if len(command.uses) > 1 or role in taken:
            return replies.status(replies.USE_TAKEN, request.tag)
    await session.service.boxes.create(session.who, command.mailbox, role)
    return ok(request, "Dossier créé / Folder created")


async def delete(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.4."""
    await session.service.boxes.delete(session.who, of(request, commands.Delete).mailbox)
    return ok(request, "Dossier supprimé / Folder deleted")


async def rename(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.5."""
    command = of(request, commands.Rename)
    await session.service.boxes.rename(session.who, command.source, command.target)
    return ok(request, "Dossier renommé / Folder renamed")


async def subscribe(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.6."""
    await session.service.boxes.subscribe(session.who, of(request, commands.Subscribe).mailbox)
    return ok(request, "Abonné / Subscribed")


async def unsubscribe(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.7."""
    await session.service.boxes.unsubscribe(session.who, of(request, commands.Unsubscribe).mailbox)
    return ok(request, "Désabonné / Unsubscribed")


async def listing(session: Session, request: Request) -> Status:
    """LIST (RFC 3501 §6.3.8) with special uses and children (RFC 6154 §2, RFC 3348)."""
    command = of(request, commands.List)
    if not command.pattern:
        session.say(Listed((Attribute.NOSELECT.value,), DELIMITER, ""))
        return ok(request, "Fait / Done")
    pattern = Pattern(command.reference + command.pattern, DELIMITER)
    for folder in await session.service.boxes.all(session.who):
        if pattern.match(folder.name):
            await session.push(encode.encode(Listed(tuple(_attributes(folder)), DELIMITER, folder.name)))
    return ok(request, "Fait / Done")


def _attributes(folder: Folder) -> Iterator[str]:
    if not folder.exists:
        yield Attribute.NOSELECT.value
    yield (Attribute.HAS_CHILDREN if folder.has_children else Attribute.HAS_NO_CHILDREN).value
    if folder.role is not None:
        yield _USES[folder.role].value


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


async def status(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.10."""
    command = of(request, commands.Status)
    if StatusItem.HIGHESTMODSEQ in command.items:
        session.follow_modseqs()
    row = await session.service.boxes.status(session.who, command.mailbox)
    values = {
        StatusItem.MESSAGES: row.messages,
        # Messages that arrived since the last SELECT; where some of them are gone again, it may be fewer.
        StatusItem.RECENT: min(row.messages, row.uid_next - row.recent_uid),
        StatusItem.UIDNEXT: row.uid_next,
        StatusItem.UIDVALIDITY: row.uid_validity,
        StatusItem.UNSEEN: row.unseen,
        StatusItem.HIGHESTMODSEQ: row.modseq,
    }
    session.say(StatusData(command.mailbox, tuple((item, values[item]) for item in command.items)))
    return ok(request, "Fait / Done")
