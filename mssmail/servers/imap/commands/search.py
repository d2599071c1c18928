"""SEARCH and UID SEARCH (RFC 3501 §6.4.4), and what they return instead of a list (RFC 4731)."""

from collections.abc import Sequence, Set

from mssmail.base import ranges
from mssmail.flow.search import search as find
from mssmail.flow.view import View
from mssmail.servers.imap.commands.outcome import of, ok
from mssmail.servers.imap.session import Session
from mssmail.wire.imap import commands
from mssmail.wire.imap.responses import Found, FoundInShort, Status
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import Numbering, SearchResult

_ENDS = frozenset({SearchResult.MIN, SearchResult.MAX})


async def search(session: Session, request: Request) -> Status:
    """Numbers or UIDs of what matches. A number above the last message matches nothing."""
    command, view = of(request, commands.Search), session.folder.view
    if command.by_modseq:
        session.follow_modseqs()
    found = await find(session.house, view, command.key)
    uid = command.numbering is Numbering.UID
    numbers = [view.uids[index] for index in found] if uid else [index + 1 for index in found]
    if command.results is None:
        session.say(Found(numbers, _highest(view, found) if command.by_modseq else None))
    else:
        session.say(_in_short(request.tag, command, command.results, view, found, numbers))
    return ok(request, "Recherche terminée / Search completed")


def _highest(view: View, found: Sequence[int]) -> int | None:
    """The highest mod-sequence of these messages (RFC 7162 §3.1.6)."""
    return max((view.modseqs[index] for index in found), default=None)


def _in_short(
    tag: bytes,
    command: commands.Search,
    asked: Set[SearchResult],
    view: View,
    found: Sequence[int],
    numbers: Sequence[int],
) -> FoundInShort:
    """What was asked for alone (RFC 4731 §3.1); the mod-sequence is that of the messages told of (§3.2)."""
    told = found
    if asked <= _ENDS:
        told = [*(found[:1] if SearchResult.MIN in asked else ()), *(found[-1:] if SearchResult.MAX in asked else ())]
    return FoundInShort(
        tag,
        command.numbering,
        lowest=numbers[0] if numbers and SearchResult.MIN in asked else None,
        highest=numbers[-1] if numbers and SearchResult.MAX in asked else None,
        all=ranges.compact(numbers) if numbers and SearchResult.ALL in asked else None,
        count=len(numbers) if SearchResult.COUNT in asked else None,
        modseq=_highest(view, told) if command.by_modseq else None,
    )
