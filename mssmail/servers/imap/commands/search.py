"""SEARCH and UID SEARCH (RFC 3501 §6.4.4)."""

from mssmail.flow.search import search as find
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands, responses
from mssmail.wire.imap.responses import Status
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import Numbering


async def search(session: Session, request: Request) -> Status:
    """Numbers or UIDs of what matches. A number above the last message matches nothing."""
    command, view = of(request, commands.Search), session.folder.view
    found = await find(session.house, view, command.key)
    if command.numbering is Numbering.UID:
        session.say(responses.Found(tuple(view.uids[index] for index in found)))
    else:
        session.say(responses.Found(tuple(index + 1 for index in found)))
    return ok(request, "Recherche terminée / Search completed")
