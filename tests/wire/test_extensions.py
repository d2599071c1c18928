"""What extensions add to SEARCH, FETCH and APPEND: read to its value, or refused."""

from datetime import UTC, datetime

import pytest

from mssmail.base.search import All, Changed, Flag, HasFlag, Not, Or, SequenceSet
from mssmail.wire.imap import commands as c
from mssmail.wire.imap import table
from mssmail.wire.imap.fault import ProtocolError
from mssmail.wire.imap.frame import Frame, Literal
from mssmail.wire.imap.table import Request
from mssmail.wire.imap.values import FetchAttribute, FetchItem, FlagList, Numbering, SearchResult
from tests.wire.test_commands import read

_FAST = (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.SIZE)


@pytest.mark.parametrize(
    ("words", "attributes", "since"),
    [
        (b"FETCH 1:2 FAST (CHANGEDSINCE 5)", (*_FAST, FetchItem.MODSEQ), 5),
        (b"FETCH 1:2 (MODSEQ UID) (CHANGEDSINCE 0)", (FetchItem.MODSEQ, FetchItem.UID), 0),
        (b"FETCH 1:2 modseq", (FetchItem.MODSEQ,), None),
    ],
)
def test_fetch_of_what_changed(words: bytes, attributes: tuple[FetchAttribute, ...], since: int | None) -> None:
    """CHANGEDSINCE asks for mod-sequences too (RFC 7162 §3.1.4.1)."""
    outcome = read(b"A1 " + words + b"\r\n")
    assert isinstance(outcome, Request)
    assert outcome.command == c.Fetch(SequenceSet(((1, 2),)), attributes, since)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (b"SEARCH RETURN () ALL", c.Search(All(), Numbering.SEQUENCE, frozenset({SearchResult.ALL}))),
        (
            b"UID SEARCH return (min COUNT min) CHARSET UTF-8 SEEN",
            c.Search(HasFlag(Flag.SEEN), Numbering.UID, frozenset({SearchResult.MIN, SearchResult.COUNT})),
        ),
        (b"SEARCH MODSEQ 7", c.Search(Changed(7), Numbering.SEQUENCE, by_modseq=True)),
        (
            b'SEARCH NOT (OR SEEN MODSEQ "/flags/\\\\seen" Shared 0)',
            c.Search(Not(Or(HasFlag(Flag.SEEN), Changed(0))), Numbering.SEQUENCE, by_modseq=True),
        ),
    ],
)
def test_search_with_results(words: bytes, command: c.Search) -> None:
    """RETURN's list comes first (RFC 4731), and MODSEQ anywhere makes the answer tell the highest (RFC 7162)."""
    outcome = read(b"A1 " + words + b"\r\n")
    assert isinstance(outcome, Request)
    assert outcome.command == command


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (b" {3+}", c.NewMessage(FlagList(), None, 3)),
        (
            b' (\\Seen) " 1-Jan-2026 00:00:00 +0000" {3+}',
            c.NewMessage(FlagList(1), datetime(2026, 1, 1, tzinfo=UTC), 3),
        ),
        (b"{3+}", None),
        (b" x {3+}", None),
        (b' " 1-Jan-2026 00:00:00 +0000" () {3+}', None),
    ],
)
def test_a_message_behind_another(words: bytes, expected: c.NewMessage | None) -> None:
    """What stands before a further message of an APPEND is read as before the first (RFC 3502)."""
    read_here = table.read_message(Frame((words, b""), (Literal(3, None),)))
    if expected is None:
        assert isinstance(read_here, ProtocolError)
    else:
        assert read_here == expected
