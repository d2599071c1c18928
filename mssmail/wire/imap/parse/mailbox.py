"""Arguments of the commands about mailboxes."""

from collections.abc import Callable
from typing import TypeVar

from mssmail.base.folder import SpecialUse
from mssmail.wire.imap import commands
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.grammar import Cursor, astring, date_time, flag_list, keyword, mailbox, syntax, text
from mssmail.wire.imap.values import FlagList, StatusItem

MAX_USES = 16
"""More than RFC 6154 has."""

_USES = {use.value.upper().encode(): use for use in SpecialUse}
_STATUS_ITEMS = {item.value.encode(): item for item in StatusItem}

_C = TypeVar("_C", bound=commands.Command)


def one_mailbox(make: Callable[[str], _C]) -> Callable[[Cursor], _C]:
    """Return a reader for a command whose argument is SP mailbox.

    delete = "DELETE" SP mailbox ; and subscribe, unsubscribe
    """

    def read(cursor: Cursor) -> _C:
        cursor.space()
        return make(mailbox(cursor))

    return read


def opened(make: Callable[[str, bool], _C]) -> Callable[[Cursor], _C]:
    """Return a reader for SELECT or EXAMINE.

    select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"] ; RFC 4466 §2.1
    select-param = "CONDSTORE" ; RFC 7162 §7
    """

    def read(cursor: Cursor) -> _C:
        cursor.space()
        name = mailbox(cursor)
        if not cursor.skip(b" "):
            return make(name, False)
        cursor.expect(b"(")
        if keyword(cursor) != b"CONDSTORE":
            raise syntax("unknown parameter")
        cursor.expect(b")")
        return make(name, True)

    return read


def create(cursor: Cursor) -> commands.Create:
    """create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"] ; RFC 4466 §2.2, RFC 6154 §6

    create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"
    """
    cursor.space()
    name = mailbox(cursor)
    uses: dict[SpecialUse, None] = {}
    if cursor.skip(b" "):
        cursor.expect(b"(")
        if keyword(cursor) != b"USE":
            raise syntax("unknown parameter of CREATE")
        cursor.space()
        cursor.expect(b"(")
        for _ in range(MAX_USES):
            if cursor.skip(b")"):
                break
            if uses:
                cursor.space()
            uses[_use(cursor)] = None
        else:
            raise ProtocolError(Fault.TOO_MANY, "too many special uses")
        cursor.expect(b")")
    return commands.Create(name, tuple(uses))


def _use(cursor: Cursor) -> SpecialUse:
    r"""use-attr = "\All" / "\Archive" / "\Drafts" / "\Flagged" / "\Junk" / "\Sent" / "\Trash" / "\" atom"""
    cursor.expect(b"\\")
    use = _USES.get(b"\\" + keyword(cursor))
    if use is None:
        raise ProtocolError(Fault.USE_ATTRIBUTE, "unknown special use")
    return use


def rename(cursor: Cursor) -> commands.Rename:
    """rename = "RENAME" SP mailbox SP mailbox"""
    cursor.space()
    source = mailbox(cursor)
    cursor.space()
    return commands.Rename(source, mailbox(cursor))


def status(cursor: Cursor) -> commands.Status:
    """status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" """
    cursor.space()
    name = mailbox(cursor)
    cursor.space()
    return commands.Status(name, status_items(cursor))


def status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """ "(" status-att *(SP status-att) ")" ; each once, as first named"""
    cursor.expect(b"(")
    items: dict[StatusItem, None] = {}
    while True:
        item = _STATUS_ITEMS.get(keyword(cursor))
        if item is None:
            raise syntax("unknown item of STATUS")
        items[item] = None
        if not cursor.skip(b" "):
            cursor.expect(b")")
            return tuple(items)


def get_quota(cursor: Cursor) -> commands.GetQuota:
    """getquota = "GETQUOTA" SP quota-root-name ; RFC 9208 §7, quota-root-name = astring"""
    cursor.space()
    return commands.GetQuota(text(astring(cursor)))


def append(cursor: Cursor) -> commands.Append:
    """append = "APPEND" SP mailbox 1*append-message ; RFC 3502, up to the first message"""
    cursor.space()
    return commands.Append(mailbox(cursor), new_message(cursor))


def new_message(cursor: Cursor) -> commands.NewMessage:
    """append-message = [SP flag-list] [SP date-time] SP literal"""
    cursor.space()
    flags = FlagList()
    if cursor.peek() == b"(":
        flags = flag_list(cursor)
        cursor.space()
    at = None
    if cursor.peek() == b'"':
        at = date_time(cursor)
        cursor.space()
    literal = cursor.literal()
    if literal is None:
        raise syntax("expected the message as a literal")
    return commands.NewMessage(flags, at, literal.size)
