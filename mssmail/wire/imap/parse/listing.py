"""Arguments of LIST, extended or not (RFC 5258), and of LSUB."""

from mssmail.wire.imap import commands
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.grammar import Cursor, keyword, list_mailbox, mailbox, syntax
from mssmail.wire.imap.parse.mailbox import status_items
from mssmail.wire.imap.values import ListReturn, ListSelection, StatusItem

MAX_PATTERNS = 64
"""Each is matched against every name."""
MAX_OPTIONS = 32
"""More than there are; repeated ones count once (RFC 5258 §3)."""

_SELECTIONS = {option.value.encode(): option for option in ListSelection}
_RETURNS = {option.value.encode(): option for option in ListReturn}
_CRITERIA = frozenset({ListSelection.SUBSCRIBED, ListSelection.SPECIAL_USE})


def lsub(cursor: Cursor) -> commands.Lsub:
    """lsub = "LSUB" SP mailbox SP list-mailbox"""
    cursor.space()
    reference = mailbox(cursor)
    cursor.space()
    return commands.Lsub(reference, list_mailbox(cursor))


def listing(cursor: Cursor) -> commands.List:
    """list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]"""
    cursor.space()
    selection = _selection(cursor)
    reference = mailbox(cursor)
    cursor.space()
    several = cursor.peek() == b"("
    patterns = _patterns(cursor) if several else (list_mailbox(cursor),)
    returns = _returns(cursor) if cursor.skip(b" ") else None
    if selection is None and returns is None and not several:
        return commands.List(reference, patterns)
    options, status = returns or (frozenset(), ())
    return commands.List(reference, patterns, commands.ListOptions(selection or frozenset(), options, status))


def _selection(cursor: Cursor) -> frozenset[ListSelection] | None:
    """list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")"

    list-select-opt = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE" ; RFC 6154 §6

    RECURSIVEMATCH wants one of SUBSCRIBED and SPECIAL-USE beside it (RFC 5258 §3.1).
    """
    if not cursor.skip(b"("):
        return None
    found: set[ListSelection] = set()
    for count in range(MAX_OPTIONS):
        if cursor.skip(b")"):
            break
        if count:
            cursor.space()
        option = _SELECTIONS.get(keyword(cursor))
        if option is None:
            raise syntax("unknown selection option of LIST")
        found.add(option)
    else:
        raise ProtocolError(Fault.TOO_MANY, "too many options of LIST")
    if ListSelection.RECURSIVEMATCH in found and not found & _CRITERIA:
        raise syntax("RECURSIVEMATCH alone selects nothing")
    cursor.space()
    return frozenset(found)


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    """patterns = "(" list-mailbox *(SP list-mailbox) ")" """
    cursor.expect(b"(")
    found: list[str] = []
    for _ in range(MAX_PATTERNS):
        found.append(list_mailbox(cursor))
        if not cursor.skip(b" "):
            cursor.expect(b")")
            return tuple(found)
    raise ProtocolError(Fault.TOO_MANY, "too many patterns in LIST")


def _returns(cursor: Cursor) -> tuple[frozenset[ListReturn], tuple[StatusItem, ...]]:
    """list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"

    return-option = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "STATUS" SP "(" status-att *(SP status-att) ")" ;
    RFC 6154 §6, RFC 5819 §4
    """
    if keyword(cursor) != b"RETURN":
        raise syntax("expected RETURN")
    cursor.space()
    cursor.expect(b"(")
    found: set[ListReturn] = set()
    status: tuple[StatusItem, ...] = ()
    for count in range(MAX_OPTIONS):
        if cursor.skip(b")"):
            return frozenset(found), status
        if count:
            cursor.space()
        option = _RETURNS.get(keyword(cursor))
        if option is None:
            raise syntax("unknown return option of LIST")
        if option is ListReturn.STATUS:
            cursor.space()
            status = status_items(cursor)
        found.add(option)
    raise ProtocolError(Fault.TOO_MANY, "too many options of LIST")
