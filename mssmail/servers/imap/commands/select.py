"""Opening and leaving a folder."""

from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.flow.view import open_view
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.selected import Selected
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, responses
from mssmail.wire.imap.responses import (
    Condition,
    HighestModSeq,
    PermanentFlags,
    Status,
    UidNext,
    UidValidity,
    Unseen,
    Word,
)
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import FlagList


async def select(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.1."""
    command = of(request, commands.Select)
    await _open(session, command.mailbox, read_only=False, condstore=command.condstore)
    if session.folder.read_only:
        return _open_read_only(request)
    return ok(request, "Dossier ouvert / Folder open", Word.READ_WRITE)


async def examine(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.2."""
    command = of(request, commands.Examine)
    await _open(session, command.mailbox, read_only=True, condstore=command.condstore)
    return _open_read_only(request)


def _open_read_only(request: Request) -> Status:
    return ok(request, "Dossier ouvert en lecture seule / Folder open read-only", Word.READ_ONLY)


async def _open(session: Session, mailbox: str, *, read_only: bool, condstore: bool) -> None:
    """Where it fails nothing is selected, what was before neither.

    Without the right to write it is read-only, as after EXAMINE (RFC 4314 §5.2).
    """
    session.unselect()
    if condstore:
        session.follow_modseqs()
    acting, name = await session.folder_in(mailbox)
    read_only = read_only or Right.WRITE not in acting.rights
    session.stand_by(acting)
    try:
        view = await open_view(session.house, acting, name, read_only=read_only)
    except BaseException:
        session.unselect()
        raise
    session.select(view, read_only=read_only)
    _describe(session, session.folder)


def _describe(session: Session, selected: Selected) -> None:
    view, flags = selected.view, selected.flag_list
    session.say(responses.Flags(flags))
    session.say(responses.Exists(len(view)))
    session.say(responses.Recent(view.recent))
    unseen = view.unseen
    if unseen is not None:
        text = "Premier message non lu / First unseen message"
        session.say(Status(Condition.OK, text, Unseen(unseen + 1)))
    permanent = PermanentFlags(FlagList(), more=False)
    if not selected.read_only:
        permanent = PermanentFlags(flags, more=view.takes_keywords)
    session.say(Status(Condition.OK, "Drapeaux modifiables / Permanent flags", permanent))
    session.say(Status(Condition.OK, "UID valables / UIDs valid", UidValidity(view.uid_validity)))
    session.say(Status(Condition.OK, "Prochain UID / Next UID", UidNext(view.uid_next)))
    session.say(Status(Condition.OK, "Dernier changement / Latest change", HighestModSeq(view.modseq)))


async def close(session: Session, request: Request) -> Status:
    """CLOSE (RFC 3501 §6.4.2): expunges without a word, unless the folder is open read-only.

    A delegate whose right to has ended closes it all the same (RFC 4314 §4).
    """
    selected = session.folder
    if not selected.read_only:
        try:
            await selected.view.refresh()
            await selected.changer.expunge()
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_RIGHT:
                raise
    session.unselect()
    return ok(request, "Dossier fermé / Folder closed")


async def unselect(session: Session, request: Request) -> Status:
    """RFC 3691 §2."""
    session.unselect()
    return ok(request, "Dossier fermé / Folder closed")
