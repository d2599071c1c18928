"""Opening and leaving a folder."""

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
    return ok(request, "Dossier ouvert / Folder open", Word.READ_WRITE)


async def examine(session: Session, request: Request) -> Status:
    """RFC 3501 §6.3.2."""
    command = of(request, commands.Examine)
    await _open(session, command.mailbox, read_only=True, condstore=command.condstore)
    return ok(request, "Dossier ouvert en lecture seule / Folder open read-only", Word.READ_ONLY)


async def _open(session: Session, mailbox: str, *, read_only: bool, condstore: bool) -> None:
    """Where it fails nothing is selected, what was before neither."""
    session.unselect()
    if condstore:
        session.follow_modseqs()
    view = await open_view(session.house, session.who, mailbox, read_only=read_only)
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
    """CLOSE (RFC 3501 §6.4.2): expunges without a word, unless the folder is open read-only."""
    selected = session.folder
    if not selected.read_only:
        await selected.view.refresh()
        await selected.changer.expunge()
    session.unselect()
    return ok(request, "Dossier fermé / Folder closed")


async def unselect(session: Session, request: Request) -> Status:
    """RFC 3691 §2."""
    session.unselect()
    return ok(request, "Dossier fermé / Folder closed")
