"""Commands about folders: made, renamed, subscribed, and their state; `listing` shows them."""

from mssmail.flow.boxes import FolderState
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands
from mssmail.wire.imap.responses import Status, StatusData
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import StatusItem


async def create(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.3, RFC 6154 §3. A name that ends in the delimiter is made as a folder too."""
    command = of(request, commands.Create)
    acting, name = await session.folder_in(command.mailbox)
    role: str | None = None
    if command.uses:
        role = command.uses[0].value[1:].lower()
        taken = {folder.role for folder in await session.service.boxes.all(acting)}
        if len(command.uses) > 1 or role in taken:
            return replies.status(replies.USE_TAKEN, request.tag)
    await session.service.boxes.create(acting, name, role)
    return ok(request, "Dossier créé / Folder created")


async def delete(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.4."""
    await session.service.boxes.delete(*await session.folder_in(of(request, commands.Delete).mailbox))
    return ok(request, "Dossier supprimé / Folder deleted")


async def rename(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.5; inside one box."""
    command = of(request, commands.Rename)
    acting, source = await session.folder_in(command.source)
    other, target = await session.folder_in(command.target)
    if other.account != acting.account:
        return replies.status(replies.BETWEEN_BOXES, request.tag)
    await session.service.boxes.rename(acting, source, target)
    return ok(request, "Dossier renommé / Folder renamed")


async def subscribe(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.6. Others' folders stand in one's own list, whether they are there or not."""
    await session.service.boxes.subscribe(session.who, of(request, commands.Subscribe).mailbox)
    return ok(request, "Abonné / Subscribed")


async def unsubscribe(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.7."""
    await session.service.boxes.unsubscribe(session.who, of(request, commands.Unsubscribe).mailbox)
    return ok(request, "Désabonné / Unsubscribed")


async def status(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.10."""
    command = of(request, commands.Status)
    if StatusItem.HIGHESTMODSEQ in command.items:
        session.follow_modseqs()
    row = await session.service.boxes.status(*await session.folder_in(command.mailbox))
    deleted = 0
    if StatusItem.DELETED_STORAGE in command.items:
        deleted = (await session.service.boxes.deleted_octets([row.folder_id]))[row.folder_id]
    values = status_values(session, row, deleted)
    session.say(StatusData(command.mailbox, tuple((item, values[item]) for item in command.items)))
    return ok(request, "Fait / Done")


def status_values(session: Session, row: FolderState, deleted_octets: int) -> dict[StatusItem, int]:
    """All that STATUS can tell of a folder."""
    return {
        StatusItem.MESSAGES: row.messages,
        # Messages that arrived since the last SELECT; where some of them are gone again, it may be fewer.
        StatusItem.RECENT: min(row.messages, row.uid_next - row.recent_uid),
        StatusItem.UIDNEXT: row.uid_next,
        StatusItem.UIDVALIDITY: row.uid_validity,
        StatusItem.UNSEEN: row.unseen,
        StatusItem.HIGHESTMODSEQ: row.modseq,
        StatusItem.SIZE: row.octets,
        StatusItem.DELETED_STORAGE: deleted_octets,
        StatusItem.APPENDLIMIT: session.house.settings.smtp.max_message_size,
    }
