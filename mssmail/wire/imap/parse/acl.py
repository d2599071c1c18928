"""Arguments of the commands of ACL (RFC 4314 §7)."""

from collections.abc import Callable
from typing import TypeVar

from mssmail.base.saslprep import saslprep
from mssmail.wire.imap import commands
from mssmail.wire.imap.acl import LETTERS, Mode, Revision
from mssmail.wire.imap.grammar import Cursor, astring, mailbox, syntax, text

_C = TypeVar("_C", bound=commands.Command)


def set_acl(cursor: Cursor) -> commands.SetAcl:
    """setacl = "SETACL" SP mailbox SP identifier SP mod-rights"""
    cursor.space()
    name = mailbox(cursor)
    identifier = _identifier(cursor)
    cursor.space()
    return commands.SetAcl(name, identifier, _revision(cursor))


def of_somebody(make: Callable[[str, str], _C]) -> Callable[[Cursor], _C]:
    """Return a reader for a command whose arguments are SP mailbox SP identifier.

    deleteacl = "DELETEACL" SP mailbox SP identifier ; and listrights
    """

    def read(cursor: Cursor) -> _C:
        cursor.space()
        name = mailbox(cursor)
        return make(name, _identifier(cursor))

    return read


def _identifier(cursor: Cursor) -> str:
    """SP astring ; prepared by SASLprep, BAD where that fails (RFC 4314 §3)"""
    cursor.space()
    prepared = saslprep(text(astring(cursor)))
    if prepared is None:
        raise syntax("not an identifier")
    return prepared


def _revision(cursor: Cursor) -> Revision:
    """mod-rights = astring ; ["+" / "-"] *(%x61-7A / DIGIT), each a right that is known (RFC 4314 §3.1)"""
    spelt = text(astring(cursor))
    mode = Mode(spelt[:1]) if spelt[:1] in ("+", "-") else Mode.REPLACE
    letters = frozenset(spelt.removeprefix(mode.value))
    if not letters <= LETTERS:
        raise syntax("unknown right")
    return Revision(mode, letters)
