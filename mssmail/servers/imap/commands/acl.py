"""ACL (RFC 4314): who may do what in a box, shown and changed.

Rights are the box's as a whole, so every folder has one and the same list; it is changed at INBOX, or at the box's own
name among others' boxes, and the folders that change with it are told (RFC 4314 §5.1.1). What lies behind is a
delegation, with the longest term that its giver may give.
"""

from mssmail.base.address import Address
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, Right
from mssmail.flow.names import DELIMITER, INBOX, canonical
from mssmail.flow.shared import PREFIX
from mssmail.servers.imap import replies
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, encode
from mssmail.wire.imap.acl import ALWAYS, TIED, group, spell
from mssmail.wire.imap.responses import AccessList, MyRights, RightsOf, Status
from mssmail.wire.imap.table import Request

Entries = tuple[tuple[str, str], ...]


async def get_acl(session: Session, request: Request) -> Status:
    """RFC 4314 §3.3."""
    mailbox = of(request, commands.GetAcl).mailbox
    acting, _ = await _folder(session, mailbox)
    session.say(AccessList(mailbox, await _entries(session, acting)))
    return ok(request, "Fait / Done")


async def my_rights(session: Session, request: Request) -> Status:
    """RFC 4314 §3.5."""
    mailbox = of(request, commands.MyRights).mailbox
    acting, _ = await _folder(session, mailbox)
    session.say(MyRights(mailbox, spell(acting.rights)))
    return ok(request, "Fait / Done")


async def list_rights(session: Session, request: Request) -> Status:
    """RFC 4314 §3.4."""
    command = of(request, commands.ListRights)
    acting, _ = await _folder(session, command.mailbox)
    to = Address.parse(command.identifier)
    if to is None:
        return replies.status(replies.NO_SUCH_PERSON, request.tag)
    try:
        givable = await session.service.delegations.givable(acting, to)
    except Refusal as refusal:
        return _refused(refusal, request)
    owner = to.key == acting.address.key
    required = spell(FULL) if owner else ALWAYS
    optional = tuple(group(right) for right, _ in TIED if right in givable)
    session.say(RightsOf(command.mailbox, command.identifier, required, optional))
    return ok(request, "Fait / Done")


async def set_acl(session: Session, request: Request) -> Status:
    """RFC 4314 §3.1."""
    command = of(request, commands.SetAcl)
    target = await _target(session, command.mailbox, command.identifier)
    if isinstance(target, replies.Reply):
        return replies.status(target, request.tag)
    acting, to = target
    try:
        changed = await session.service.delegations.revise(acting, to, command.revision.of)
    except Refusal as refusal:
        return _refused(refusal, request)
    if changed:
        await _tell_others(session, acting, command.mailbox)
    return ok(request, "Droits modifiés / Rights changed")


async def delete_acl(session: Session, request: Request) -> Status:
    """RFC 4314 §3.2. Where there is no such entry, nothing is to be done."""
    command = of(request, commands.DeleteAcl)
    target = await _target(session, command.mailbox, command.identifier)
    if isinstance(target, replies.Reply):
        return replies.status(target, request.tag)
    acting, to = target
    try:
        await session.service.delegations.withdraw(acting, acting.address, to)
    except Refusal as refusal:
        if refusal.reason is Reason.NOT_DELEGATED:
            return ok(request, "Aucun droit / No rights there")
        return _refused(refusal, request)
    await _tell_others(session, acting, command.mailbox)
    return ok(request, "Droits retirés / Rights withdrawn")


async def _folder(session: Session, mailbox: str) -> tuple[Principal, bool]:
    """Who acts in whose box, and whether the mailbox stands for that box. Raises Refusal(FOLDER_MISSING)."""
    acting, name = await session.find(mailbox)
    if not name and acting is not session.who:
        return acting, True
    await session.service.boxes.confirm(acting, name)
    return acting, canonical(name) == INBOX


async def _target(session: Session, mailbox: str, identifier: str) -> tuple[Principal, Address] | replies.Reply:
    """In whose box rights are to be changed, and whose; or why they can't be. Raises Refusal(FOLDER_MISSING)."""
    acting, at_root = await _folder(session, mailbox)
    to = Address.parse(identifier)
    if to is None:
        return replies.NO_SUCH_PERSON
    if not at_root:
        return replies.RIGHTS_OF_BOX
    if to.key == acting.address.key:
        return replies.REPLIES[Reason.DELEGATION]
    return acting, to


async def _entries(session: Session, acting: Principal) -> Entries:
    """The owner, then the delegates. Raises Refusal(NO_RIGHT)."""
    delegates = await session.service.delegations.of_box(acting)
    return (str(acting.address), spell(FULL)), *((str(person), spell(rights)) for person, rights in delegates)


async def _tell_others(session: Session, acting: Principal, mailbox: str) -> None:
    """Every other folder of the box has the new list too. Who may not read knows none of them."""
    if Right.READ not in acting.rights:
        return
    entries = await _entries(session, acting)
    stem = "" if acting is session.who else f"{PREFIX}{acting.address}{DELIMITER}"
    for folder in await session.service.boxes.all(acting):
        name = stem + folder.name
        if folder.exists and name != mailbox:
            await session.push(encode.encode(AccessList(name, entries)))


def _refused(refusal: Refusal, request: Request) -> Status:
    if refusal.reason is Reason.ACCOUNT_MISSING:
        return replies.status(replies.NO_SUCH_PERSON, request.tag)
    return replies.of(refusal.reason, request.tag)
