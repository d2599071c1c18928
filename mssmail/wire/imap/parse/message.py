"""Arguments of STORE, COPY, MOVE and UID EXPUNGE: messages, and what becomes of them."""

from collections.abc import Callable

from mssmail.base.search import SequenceSet, UidSet
from mssmail.wire.imap import commands
from mssmail.wire.imap.grammar import (
    ATOM,
    Cursor,
    bare_flags,
    flag_list,
    keyword,
    mailbox,
    mod_sequence,
    sequence_set,
    syntax,
)
from mssmail.wire.imap.values import Numbering, StoreMode

_STORE_MODES = {mode.value.encode(): mode for mode in StoreMode}
_SILENT = b".SILENT"


def messages(cursor: Cursor, numbering: Numbering) -> commands.Messages:
    """sequence-set, of UIDs in a UID command"""
    ranges = sequence_set(cursor)
    return UidSet(ranges) if numbering is Numbering.UID else SequenceSet(ranges)


def store(numbering: Numbering) -> Callable[[Cursor], commands.Store]:
    """store = "STORE" SP sequence-set [SP "(" store-modifier ")"] SP store-att-flags

    store-modifier = "UNCHANGEDSINCE" SP mod-sequence-valzer ; once (RFC 7162 §7)

    store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    """

    def read(cursor: Cursor) -> commands.Store:
        cursor.space()
        which = messages(cursor, numbering)
        cursor.space()
        since = None
        if cursor.skip(b"("):
            if keyword(cursor) != b"UNCHANGEDSINCE":
                raise syntax("unknown modifier of STORE")
            cursor.space()
            since = mod_sequence(cursor)
            cursor.expect(b")")
            cursor.space()
        word = cursor.take(ATOM, "FLAGS").upper()
        mode = _STORE_MODES.get(word.removesuffix(_SILENT))
        if mode is None:
            raise syntax("expected FLAGS, +FLAGS or -FLAGS")
        cursor.space()
        flags = flag_list(cursor) if cursor.peek() == b"(" else bare_flags(cursor)
        return commands.Store(which, mode, silent=word.endswith(_SILENT), flags=flags, unchanged_since=since)

    return read


def copy(numbering: Numbering) -> Callable[[Cursor], commands.Copy]:
    """copy = "COPY" SP sequence-set SP mailbox"""

    def read(cursor: Cursor) -> commands.Copy:
        return commands.Copy(*_to_mailbox(cursor, numbering))

    return read


def move(numbering: Numbering) -> Callable[[Cursor], commands.Move]:
    """move = "MOVE" SP sequence-set SP mailbox ; RFC 6851 §5"""

    def read(cursor: Cursor) -> commands.Move:
        return commands.Move(*_to_mailbox(cursor, numbering))

    return read


def _to_mailbox(cursor: Cursor, numbering: Numbering) -> tuple[commands.Messages, str]:
    cursor.space()
    which = messages(cursor, numbering)
    cursor.space()
    return which, mailbox(cursor)


def uid_expunge(cursor: Cursor) -> commands.UidExpunge:
    """uid-expunge = "UID" SP "EXPUNGE" SP sequence-set ; RFC 4315 §4"""
    cursor.space()
    return commands.UidExpunge(UidSet(sequence_set(cursor)))
