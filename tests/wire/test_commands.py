"""Each command of the table, read from octets: whole, octet by octet, and with another one behind it."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mssmail.base.folder import SpecialUse
from mssmail.base.search import (
    All,
    And,
    Arrived,
    Body,
    Flag,
    HasFlag,
    HasKeyword,
    Header,
    Key,
    Larger,
    Not,
    Or,
    Recent,
    Sent,
    SequenceSet,
    Smaller,
    Text,
    UidSet,
    When,
)
from mssmail.base.secret import Secret
from mssmail.base.section import Part, Section, Span
from mssmail.wire.imap import commands as c
from mssmail.wire.imap import table
from mssmail.wire.imap.acl import LETTERS, Mode, Revision
from mssmail.wire.imap.fault import Fault
from mssmail.wire.imap.frame import Complete, Frame, LiteralStart, after_login
from mssmail.wire.imap.framer import Framer
from mssmail.wire.imap.machine import Machine, State
from mssmail.wire.imap.table import Rejected, Request
from mssmail.wire.imap.values import (
    FetchAttribute,
    FetchItem,
    FetchSection,
    FlagList,
    ListReturn,
    ListSelection,
    Numbering,
    StatusItem,
    StoreMode,
)

_SEEN = HasFlag(Flag.SEEN)
_BIG = b"4294967295"


def machine(state: State) -> Machine:
    """A machine over TLS, brought to `state`."""
    m = Machine(tls=True)
    if state is not State.NOT_AUTHENTICATED:
        m.signed_in()
    if state is State.SELECTED:
        m.selected()
    return m


def frames(octets: bytes, pieces: list[bytes] | None = None) -> list[Frame]:
    """The complete commands in some octets; of an APPEND, as far as its first message: all are let through."""
    framer = Framer(after_login(1_000))
    found = []
    appending = False
    for piece in pieces or [octets]:
        framer.feed(piece)
        while (event := framer.next()) is not None:
            if isinstance(event, LiteralStart):
                framer.accept()
                if not appending:
                    found.append(event.frame)
                appending = True
            if isinstance(event, Complete):
                if not appending:
                    found.append(event.frame)
                appending = False
    return found


def read(octets: bytes) -> Request | Rejected:
    """Read the one command in `octets`, in a state in which its row allows it; and see that its cut doesn't matter."""
    whole = frames(octets)
    assert len(whole) == 1
    assert frames(octets, [octets[i : i + 1] for i in range(len(octets))]) == whole
    assert frames(octets + b"z NOOP\r\n")[0] == whole[0]
    outcome = table.read(whole[0], machine(State.SELECTED))
    if isinstance(outcome, Rejected) and outcome.error.fault is Fault.WRONG_STATE:
        outcome = table.read(whole[0], machine(State.NOT_AUTHENTICATED))
    return outcome


def _seq(*ranges: tuple[int, int]) -> SequenceSet:
    return SequenceSet(ranges)


def _uid(*ranges: tuple[int, int]) -> UidSet:
    return UidSet(ranges)


COMMANDS: list[tuple[bytes, c.Command]] = [
    (b"CAPABILITY", c.Capability()),
    (b"nOOp", c.Noop()),
    (b"LOGOUT", c.Logout()),
    (b"ID NIL", c.Id(())),
    (b"ID ()", c.Id(())),
    (b'ID ("name" "Thunderbird" "version" NIL)', c.Id((("name", "Thunderbird"), ("version", None)))),
    (b"ID ({4+}\r\nname {1+}\r\n\xff)", c.Id((("name", "\ufffd"),))),
    (b"AUTHENTICATE plain", c.Authenticate("PLAIN", None)),
    (b"AUTHENTICATE PLAIN AGEAYg==", c.Authenticate("PLAIN", b"AGEAYg==")),
    (b"AUTHENTICATE EXTERNAL =", c.Authenticate("EXTERNAL", b"=")),
    (b"LOGIN claire hunter2", c.Login("claire", Secret("hunter2"))),
    (b'LOGIN "claire@x.fr" "a \\"b\\\\ c"', c.Login("claire@x.fr", Secret('a "b\\ c'))),
    (b"LOGIN {6}\r\nclaire {4+}\r\np\r\nw", c.Login("claire", Secret("p\r\nw"))),
    (b'LOGIN claire "\xc3\xa9t\xc3\xa9"', c.Login("claire", Secret("été"))),
    (b"LOGIN a]b nil", c.Login("a]b", Secret("nil"))),
    (b"ENABLE condstore X-Good", c.Enable(("CONDSTORE", "X-GOOD"))),
    (b"SELECT inBox", c.Select("INBOX")),
    (b'SELECT "INBOX"', c.Select("INBOX")),
    (b"SELECT {5+}\r\nInbox", c.Select("INBOX")),
    (b"EXAMINE &AOk-t&AOk-", c.Examine("été")),
    (b'SELECT "a/b c"', c.Select("a/b c")),
    (b"CREATE owatagusiam/", c.Create("owatagusiam/")),
    (b"CREATE Moi (USE (\\drafts \\Sent))", c.Create("Moi", (SpecialUse.DRAFTS, SpecialUse.SENT))),
    (b"CREATE Moi (USE ())", c.Create("Moi")),
    (b"DELETE blurdybloop", c.Delete("blurdybloop")),
    (b"RENAME blurdybloop sarasoop", c.Rename("blurdybloop", "sarasoop")),
    (b"SUBSCRIBE #news.comp.mail.mime", c.Subscribe("#news.comp.mail.mime")),
    (b"UNSUBSCRIBE #news", c.Unsubscribe("#news")),
    (b'LIST "" ""', c.List("", ("",))),
    (b'LIST "" %', c.List("", ("%",))),
    (b'LIST /usr/staff/jones "a/*"', c.List("/usr/staff/jones", ("a/*",))),
    (b'LIST "" &AOk-*/%]', c.List("", ("é*/%]",))),
    (
        b'LIST (subscribed Remote SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (SIZE MESSAGES SIZE) CHILDREN)',
        c.List(
            "",
            ("%",),
            c.ListOptions(
                frozenset({ListSelection.SUBSCRIBED, ListSelection.REMOTE, ListSelection.RECURSIVEMATCH}),
                frozenset({ListReturn.STATUS, ListReturn.CHILDREN}),
                (StatusItem.SIZE, StatusItem.MESSAGES),
            ),
        ),
    ),
    (
        b'LIST "" (INBOX "Sent/%") return (SPECIAL-USE)',
        c.List("", ("INBOX", "Sent/%"), c.ListOptions(frozenset(), frozenset({ListReturn.SPECIAL_USE}))),
    ),
    (b'LIST () "" ""', c.List("", ("",), c.ListOptions(frozenset(), frozenset()))),
    (b'LIST "" ("")', c.List("", ("",), c.ListOptions(frozenset(), frozenset()))),
    (b'LIST "" a RETURN ()', c.List("", ("a",), c.ListOptions(frozenset(), frozenset()))),
    (b'GETQUOTA ""', c.GetQuota("")),
    (b"GETQUOTAROOT inbox", c.GetQuotaRoot("INBOX")),
    (b'LSUB "#news." "comp.mail.*"', c.Lsub("#news.", "comp.mail.*")),
    (b"STATUS b (uidnext MESSAGES)", c.Status("b", (StatusItem.UIDNEXT, StatusItem.MESSAGES))),
    (
        b"STATUS b (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ SIZE DELETED-STORAGE APPENDLIMIT SIZE)",
        c.Status("b", tuple(StatusItem)),
    ),
    (b"APPEND in {3}\r\nabc", c.Append("in", c.NewMessage(FlagList(), None, 3))),
    (b"APPEND {2}\r\nin () {3+}\r\nabc", c.Append("in", c.NewMessage(FlagList(), None, 3))),
    (
        b'APPEND in (\\Seen $MDNSent) "17-Jul-1996 02:44:25 -0700" {3+}\r\nabc',
        c.Append(
            "in",
            c.NewMessage(
                FlagList(1, ("$MDNSent",)), datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))), 3
            ),
        ),
    ),
    (
        b'APPEND in " 1-jan-2026 23:59:60 +0000" {0}\r\n',
        c.Append("in", c.NewMessage(FlagList(), datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC), 0)),
    ),
    (b"SETACL inbox p@x.fr lrswipkxteacd0", c.SetAcl("INBOX", "p@x.fr", Revision(Mode.REPLACE, LETTERS))),
    (b'SETACL "A b" p@x.fr ""', c.SetAcl("A b", "p@x.fr", Revision(Mode.REPLACE, frozenset()))),
    (b"SETACL A p@x.fr +lr", c.SetAcl("A", "p@x.fr", Revision(Mode.ADD, frozenset("lr")))),
    (b"SETACL A -p -", c.SetAcl("A", "-p", Revision(Mode.REMOVE, frozenset()))),
    (b'DELETEACL A "a\xc2\xa0b"', c.DeleteAcl("A", "a b")),
    (b"GETACL inbox", c.GetAcl("INBOX")),
    (b"LISTRIGHTS A {3+}\r\na\xcc\x81", c.ListRights("A", "á")),
    (b"MYRIGHTS A", c.MyRights("A")),
    (b"NAMESPACE", c.Namespace()),
    (b"IDLE", c.Idle()),
    (b"CHECK", c.Check()),
    (b"CLOSE", c.Close()),
    (b"UNSELECT", c.Unselect()),
    (b"EXPUNGE", c.Expunge()),
    (b"UID EXPUNGE 3000:3002", c.UidExpunge(_uid((3000, 3002)))),
    (b"STORE 2:4 +FLAGS (\\Deleted)", c.Store(_seq((2, 4)), StoreMode.ADD, silent=False, flags=FlagList(8))),
    (
        b"UID STORE 1 (UNCHANGEDSINCE 9223372036854775807) -FLAGS a",
        c.Store(_uid((1, 1)), StoreMode.REMOVE, silent=False, flags=FlagList(0, ("a",)), unchanged_since=2**63 - 1),
    ),
    (b"SELECT b (CondStore)", c.Select("b", condstore=True)),
    (b"EXAMINE b (CONDSTORE)", c.Examine("b", condstore=True)),
    (b"STORE 1 flags.silent ()", c.Store(_seq((1, 1)), StoreMode.REPLACE, silent=True, flags=FlagList())),
    (
        b"UID STORE 1:* -FLAGS.SILENT \\Seen \\ANSWERED kw KW other",
        c.Store(_uid((1, 0)), StoreMode.REMOVE, silent=True, flags=FlagList(3, ("kw", "other"))),
    ),
    (
        b"STORE 1 FLAGS (\\Recent \\Unheard \\Flagged \\Draft)",
        c.Store(_seq((1, 1)), StoreMode.REPLACE, silent=False, flags=FlagList(20)),
    ),
    (b"COPY 2:4 MEETING", c.Copy(_seq((2, 4)), "MEETING")),
    (b"UID COPY * inbox", c.Copy(_uid((0, 0)), "INBOX")),
    (b"MOVE 1,3 Trash", c.Move(_seq((1, 1), (3, 3)), "Trash")),
    (b"UID MOVE 42:69 foo", c.Move(_uid((42, 69)), "foo")),
]


@pytest.mark.parametrize(("octets", "command"), COMMANDS)
def test_command(octets: bytes, command: c.Command) -> None:
    """A command is read to its value."""
    outcome = read(b"A1 " + octets + b"\r\n")
    assert isinstance(outcome, Request), outcome
    assert outcome.tag == b"A1"
    assert outcome.command == command
    assert type(command) is outcome.row.command


_SETS: list[tuple[bytes, tuple[tuple[int, int], ...]]] = [
    (b"1", ((1, 1),)),
    (b"*", ((0, 0),)),
    (b"4:2", ((2, 4),)),
    (b"*:5", ((5, 0),)),
    (b"*:*", ((0, 0),)),
    (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, 0))),
    (b"*:4,5:7", ((5, 7), (4, 0))),
    (b"3,2,1,1:2", ((1, 3),)),
    (b"7:*,*,3:*", ((3, 0),)),
    (_BIG + b":1", ((1, 4294967295),)),
]


@pytest.mark.parametrize(("octets", "ranges"), _SETS)
def test_sequence_set(octets: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    """A sequence set becomes merged ascending ranges, `*` being 0."""
    outcome = read(b"A1 UID EXPUNGE " + octets + b"\r\n")
    assert isinstance(outcome, Request)
    assert outcome.command == c.UidExpunge(UidSet(ranges))


def _body(
    label: bytes,
    path: tuple[int, ...] = (),
    part: Part = Part.ALL,
    fields: tuple[bytes, ...] = (),
    span: Span | None = None,
    peek: bool = False,
) -> FetchSection:
    return FetchSection(Section(path, part, fields), span, peek, label)


_FAST = (FetchItem.FLAGS, FetchItem.INTERNALDATE, FetchItem.SIZE)

FETCHES: list[tuple[bytes, tuple[FetchAttribute, ...]]] = [
    (b"FAST", _FAST),
    (b"all", (*_FAST, FetchItem.ENVELOPE)),
    (b"FULL", (*_FAST, FetchItem.ENVELOPE, FetchItem.BODY)),
    (b"FLAGS", (FetchItem.FLAGS,)),
    (b"(flags UID Flags)", (FetchItem.FLAGS, FetchItem.UID)),
    (b"(BODY BODYSTRUCTURE RFC822.SIZE)", (FetchItem.BODY, FetchItem.BODYSTRUCTURE, FetchItem.SIZE)),
    (b"(ENVELOPE INTERNALDATE)", (FetchItem.ENVELOPE, FetchItem.INTERNALDATE)),
    (b"RFC822", (_body(b"RFC822"),)),
    (b"RFC822.HEADER", (_body(b"RFC822.HEADER", part=Part.HEADER, peek=True),)),
    (b"RFC822.TEXT", (_body(b"RFC822.TEXT", part=Part.TEXT),)),
    (b"BODY[]", (_body(b"BODY[]"),)),
    (b"body.peek[]<0.2048>", (_body(b"BODY[]<0>", span=Span(0, 2048), peek=True),)),
    (b"BODY[1.2.3]", (_body(b"BODY[1.2.3]", (1, 2, 3)),)),
    (b"BODY[text]", (_body(b"BODY[TEXT]", part=Part.TEXT),)),
    (b"BODY[2.mime]<9.1>", (_body(b"BODY[2.MIME]<9>", (2,), Part.MIME, span=Span(9, 1)),)),
    (b"BODY[4.1.HEADER]", (_body(b"BODY[4.1.HEADER]", (4, 1), Part.HEADER),)),
    (
        b'BODY.PEEK[HEADER.FIELDS (From "to" {3+}\r\nX-A)]',
        (_body(b"BODY[HEADER.FIELDS (From to X-A)]", (), Part.HEADER_FIELDS, (b"From", b"to", b"X-A"), peek=True),),
    ),
    (
        b'BODY[1.header.fields.not ("a(b" "q\\"")]<3.4>',
        (
            _body(
                b'BODY[1.HEADER.FIELDS.NOT ("a(b" "q\\"")]<3>',
                (1,),
                Part.HEADER_FIELDS_NOT,
                (b"a(b", b'q"'),
                Span(3, 4),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("octets", "attributes"), FETCHES)
def test_fetch(octets: bytes, attributes: tuple[FetchAttribute, ...]) -> None:
    """FETCH's items are read in order, once each; UID FETCH has UID among them."""
    outcome = read(b"A1 FETCH 1:2 " + octets + b"\r\n")
    assert isinstance(outcome, Request), outcome
    assert outcome.command == c.Fetch(_seq((1, 2)), attributes)
    outcome = read(b"A1 UID FETCH 1:2 " + octets + b"\r\n")
    assert isinstance(outcome, Request)
    with_uid = attributes if FetchItem.UID in attributes else (FetchItem.UID, *attributes)
    assert outcome.command == c.Fetch(_uid((1, 2)), with_uid)


_DAY = date(1994, 2, 1)
_A, _B, _C, _D = (Larger(n) for n in (1, 2, 3, 4))

SEARCHES: list[tuple[bytes, Key]] = [
    (b"ALL", All()),
    (b"ANSWERED", HasFlag(Flag.ANSWERED)),
    (b"bcc x", Header("Bcc", "x")),
    (b"BEFORE 1-Feb-1994", Arrived(When.BEFORE, _DAY)),
    (b'BODY "deux mots"', Body("deux mots")),
    (b"CC x", Header("Cc", "x")),
    (b"DELETED", HasFlag(Flag.DELETED)),
    (b"DRAFT", HasFlag(Flag.DRAFT)),
    (b"FLAGGED", HasFlag(Flag.FLAGGED)),
    (b"FROM Smith", Header("From", "Smith")),
    (b'HEADER Message-ID ""', Header("Message-ID", "")),
    (b"KEYWORD $Forwarded", HasKeyword("$Forwarded")),
    (b"LARGER 4294967295", Larger(4294967295)),
    (b"NEW", And((Recent(), Not(_SEEN)))),
    (b"NOT SEEN", Not(_SEEN)),
    (b"OLD", Not(Recent())),
    (b'ON "1-Feb-1994"', Arrived(When.ON, _DAY)),
    (b"OR SEEN RECENT", Or(_SEEN, Recent())),
    (b"RECENT", Recent()),
    (b"SEEN", _SEEN),
    (b"SENTBEFORE 01-feb-1994", Sent(When.BEFORE, _DAY)),
    (b"SENTON 1-FEB-1994", Sent(When.ON, _DAY)),
    (b"SENTSINCE 1-Feb-1994", Sent(When.SINCE, _DAY)),
    (b"SINCE 1-Feb-1994", Arrived(When.SINCE, _DAY)),
    (b"SMALLER 0", Smaller(0)),
    (b"SUBJECT {3+}\r\n\xc3\xa9x", Header("Subject", "éx")),
    (b"CHARSET utf-8 TEXT {2}\r\n\xc3\xa9", Text("é")),
    (b'CHARSET "US-ASCII" TO x', Header("To", "x")),
    (b"UID 1:*", _uid((1, 0))),
    (b"UNANSWERED", Not(HasFlag(Flag.ANSWERED))),
    (b"UNDELETED", Not(HasFlag(Flag.DELETED))),
    (b"UNDRAFT", Not(HasFlag(Flag.DRAFT))),
    (b"UNFLAGGED", Not(HasFlag(Flag.FLAGGED))),
    (b"UNKEYWORD Junk", Not(HasKeyword("Junk"))),
    (b"UNSEEN", Not(_SEEN)),
    (b"2:4,9", _seq((2, 4), (9, 9))),
    (b"*", _seq((0, 0))),
    (b"DELETED FROM Smith", And((HasFlag(Flag.DELETED), Header("From", "Smith")))),
    (b"(SEEN)", _SEEN),
    (b"(SEEN RECENT) ALL", And((And((_SEEN, Recent())), All()))),
    (b"NOT (SEEN RECENT)", Not(And((_SEEN, Recent())))),
    (b"NOT NOT SEEN", Not(Not(_SEEN))),
    (b"OR NOT SEEN (NOT RECENT ALL)", Or(Not(_SEEN), And((Not(Recent()), All())))),
    (b"OR LARGER 1 OR LARGER 2 LARGER 3 ALL", And((Or(Or(_A, _B), _C), All()))),
    (b"OR OR LARGER 1 LARGER 2 OR LARGER 3 LARGER 4", Or(Or(_A, _B), Or(_C, _D))),
    (b"OR FROM or NOT TO not", Or(Header("From", "or"), Not(Header("To", "not")))),
]


@pytest.mark.parametrize(("octets", "key"), SEARCHES)
def test_search(octets: bytes, key: Key) -> None:
    """SEARCH's keys become base's tree; the UID variant differs in what it answers with."""
    for prefix, numbering in ((b"", Numbering.SEQUENCE), (b"UID ", Numbering.UID)):
        outcome = read(b"A1 " + prefix + b"SEARCH " + octets + b"\r\n")
        assert isinstance(outcome, Request), outcome
        assert outcome.command == c.Search(key, numbering)


_S, _M, _W = Fault.SYNTAX, Fault.MAILBOX_NAME, Fault.TOO_MANY

BROKEN: list[tuple[bytes, Fault]] = [
    (b"", _S),
    (b" NOOP", _S),
    (b"A1", _S),
    (b"A1 ", _S),
    (b"A1  NOOP", _S),
    (b"A1 NOOP ", _S),
    (b"A1 NOOP x", _S),
    (b"A+1 NOOP", _S),
    (b"A\x001 NOOP", _S),
    (b"A1\tNOOP", _S),
    (b"\xe9 NOOP", _S),
    (b"x" * 257 + b" NOOP", _S),
    (b"A1 NOOP\r", _S),
    (b"A1 XYZZY", Fault.UNKNOWN_COMMAND),
    (b"A1 UID", _S),
    (b"A1 UID NOOP", Fault.UNKNOWN_COMMAND),
    (b"A1 UID UID FETCH 1 UID", Fault.UNKNOWN_COMMAND),
    (b"GET / HTTP/1.1", Fault.UNKNOWN_COMMAND),
    (b"A1 LOGIN a", _S),
    (b"A1 LOGIN a b c", _S),
    (b'A1 LOGIN "a b', _S),
    (b'A1 LOGIN "a\\b" c', _S),
    (b'A1 LOGIN "a"b c', _S),
    (b"A1 LOGIN {1+}\r\na{1+}\r\nb", _S),
    (b"A1 LOGIN {1+}\r\n\0 b", _S),
    (b"A1 LOGIN a\xe9 b", _S),
    (b'A1 LOGIN a "b\xe9"', _S),
    (b'A1 LOGIN "a {1+}\r\nb', _S),
    (b"A1 AUTHENTICATE", _S),
    (b"A1 AUTHENTICATE PLAIN !", _S),
    (b"A1 AUTHENTICATE PLAIN = =", _S),
    (b"A1 ENABLE", _S),
    (b"A1 ENABLE" + b" X" * 65, _S),
    (b"A1 ID", _S),
    (b'A1 ID ("a")', _S),
    (b'A1 ID ("a" b)', _S),
    (b'A1 ID ("' + b"a" * 31 + b'" NIL)', _W),
    (b'A1 ID ("a" "' + b"a" * 1025 + b'")', _W),
    (b"A1 ID (" + b" ".join([b'"a" NIL'] * 31) + b")", _W),
    (b"A1 SELECT", _S),
    (b"A1 SELECT a b", _S),
    (b"A1 SELECT a*", _S),
    (b"A1 SELECT &", _M),
    (b'A1 SELECT "\xc3\xa9"', _M),
    (b"A1 SELECT &AGEAYgBj-", _M),
    (b"A1 CREATE &Jjo!", _M),
    (b"A1 CREATE &U,BTFw-&ZeVnLIqe-", _M),
    (b"A1 CREATE " + b"x" * 1025, _M),
    (b"A1 CREATE {3+}\r\na\nb", _M),
    (b"A1 CREATE a (USE (\\Nope))", Fault.USE_ATTRIBUTE),
    (b"A1 CREATE a (USE (Sent))", _S),
    (b"A1 CREATE a (USE)", _S),
    (b"A1 CREATE a (NOUSE ())", _S),
    (b"A1 CREATE a ()", _S),
    (b"A1 RENAME a", _S),
    (b'A1 LIST ""', _S),
    (b'A1 LIST "" ()', _S),
    (b'A1 LIST "" "*" RETURN', _S),
    (b'A1 LIST "" "*" RETURN (REMOTE)', _S),
    (b'A1 LIST "" "*" RETURN (STATUS ())', _S),
    (b'A1 LIST "" "*" RETURN (STATUS (MESSAGES)', _S),
    (b'A1 LIST (RECURSIVEMATCH) "" "*"', _S),
    (b'A1 LIST (RECURSIVEMATCH REMOTE) "" "*"', _S),
    (b'A1 LIST (CHILDREN) "" "*"', _S),
    (b'A1 LIST (SUBSCRIBED)"" "*"', _S),
    (b'A1 LIST "" (' + b"a " * 64 + b"a)", Fault.TOO_MANY),
    (b"A1 LIST (" + b"REMOTE " * 40 + b'REMOTE) "" a', Fault.TOO_MANY),
    (b'A1 LIST "" a RETURN (' + b"CHILDREN " * 40 + b"CHILDREN)", Fault.TOO_MANY),
    (b"A1 GETQUOTA", _S),
    (b"A1 SETACL A p", _S),
    (b"A1 SETACL A p lrQ", _S),
    (b"A1 SETACL A p q", _S),
    (b"A1 SETACL A p 1", _S),
    (b"A1 SETACL A p +l-r", _S),
    (b"A1 SETACL A p lr x", _S),
    (b'A1 SETACL A "" lr', _S),
    (b"A1 DELETEACL A", _S),
    (b'A1 DELETEACL A "\x07"', _S),
    (b"A1 LISTRIGHTS A {2+}\r\n\xc2\xad", _S),
    (b"A1 GETACL", _S),
    (b"A1 MYRIGHTS A B", _S),
    (b"A1 STATUS a ()", _S),
    (b"A1 STATUS a (SIZES)", _S),
    (b"A1 STATUS a MESSAGES", _S),
    (b"A1 STATUS a (MESSAGES", _S),
    (b"A1 APPEND a", _S),
    (b'A1 APPEND a "hello"', _S),
    (b"A1 APPEND a (x {1+}\r\nx", _S),
    (b"A1 APPEND {1+}\r\nx", _S),
    (b'A1 APPEND a "31-Feb-2026 00:00:00 +0000" {1+}\r\nx', _S),
    (b'A1 APPEND a "01-Jan-0000 00:00:00 +0000" {1+}\r\nx', _S),
    (b'A1 APPEND a "01-Jan-2026 24:00:00 +0000" {1+}\r\nx', _S),
    (b'A1 APPEND a "01-Jan-2026 00:00:61 +0000" {1+}\r\nx', _S),
    (b'A1 APPEND a "01-Jan-2026 00:00:00 +2400" {1+}\r\nx', _S),
    (b'A1 APPEND a "01-Jan-2026 00:00:00 +0060" {1+}\r\nx', _S),
    (b'A1 APPEND a "1-Jan-2026 00:00:00 +0000" {1+}\r\nx', _S),
    (b'A1 APPEND a "01-Foo-2026 00:00:00 +0000" {1+}\r\nx', _S),
    (b"A1 EXPUNGE 1", _S),
    (b"A1 UID EXPUNGE", _S),
    (b"A1 UID EXPUNGE 0", _S),
    (b"A1 UID EXPUNGE 01", _S),
    (b"A1 UID EXPUNGE 1,", _S),
    (b"A1 UID EXPUNGE ,1", _S),
    (b"A1 UID EXPUNGE 1:", _S),
    (b"A1 UID EXPUNGE 1:2:3", _S),
    (b"A1 UID EXPUNGE 1,,2", _S),
    (b"A1 UID EXPUNGE 4294967296", _S),
    (b"A1 UID EXPUNGE " + b"9" * 5_000, _S),
    (b"A1 STORE 1 FLAG (\\Seen)", _S),
    (b"A1 STORE 1 *FLAGS (\\Seen)", _S),
    (b"A1 STORE 1 (UNCHANGEDSINCE) FLAGS ()", _S),
    (b"A1 STORE 1 (UNCHANGEDSINCE 1)FLAGS ()", _S),
    (b"A1 STORE 1 () FLAGS ()", _S),
    (b"A1 STORE 1 FLAGS () (UNCHANGEDSINCE 1)", _S),
    (b"A1 FETCH 1 ALL (CHANGEDSINCE 9223372036854775808)", _S),
    (b"A1 FETCH 1 ALL (CHANGEDSINCE 1) ", _S),
    (b"A1 FETCH 1 ALLX", _S),
    (b"A1 FETCH 1 (ALL)", _S),
    (b"A1 FETCH 1 FLAGS ()", _S),
    (b"A1 SELECT a ()", _S),
    (b"A1 SELECT a (CONDSTORE CONDSTORE)", _S),
    (b"A1 SEARCH RETURN ALL", _S),
    (b"A1 SEARCH RETURN () ", _S),
    (b"A1 SEARCH RETURN (MIN,MAX) ALL", _S),
    (b"A1 STORE 1 FLAGS", _S),
    (b"A1 STORE 1 FLAGS (\\)", _S),
    (b"A1 STORE 1 FLAGS (a  b)", _S),
    (b"A1 STORE 1 FLAGS (\xe9)", _S),
    (b"A1 STORE 1 FLAGS (" + b" ".join([b"a"] * 1_001) + b")", _W),
    (b"A1 COPY 1", _S),
    (b"A1 FETCH 1", _S),
    (b"A1 FETCH 1 ()", _S),
    (b"A1 FETCH 1 (ALL)", _S),
    (b"A1 FETCH 1 ALLX", _S),
    (b"A1 FETCH 1 (FLAGS", _S),
    (b"A1 FETCH 1 FLAGS UID", _S),
    (b"A1 FETCH 1 BODY.PEEK", _S),
    (b"A1 FETCH 1 RFC822[]", _S),
    (b"A1 FETCH 1 BODY[0]", _S),
    (b"A1 FETCH 1 BODY[1.]", _S),
    (b"A1 FETCH 1 BODY[.1]", _S),
    (b"A1 FETCH 1 BODY[MIME]", _S),
    (b"A1 FETCH 1 BODY[HEADER.FIELDS]", _S),
    (b"A1 FETCH 1 BODY[HEADER.FIELDS ()]", _S),
    (b'A1 FETCH 1 BODY[HEADER.FIELDS ("a b")]', _S),
    (b"A1 FETCH 1 BODY[HEADER.FIELDS ({4+}\r\na\r\nb)]", _S),
    (b"A1 FETCH 1 BODY[HEADER.FIELDS (" + b" ".join([b"a"] * 257) + b")]", _W),
    (b"A1 FETCH 1 BODY[", _S),
    (b"A1 FETCH 1 BODY[]<0>", _S),
    (b"A1 FETCH 1 BODY[]<0.0>", _S),
    (b"A1 FETCH 1 BODY[]<4294967296.1>", _S),
    (b"A1 FETCH 1 BODY[" + b".".join([b"1"] * 65) + b"]", Fault.TOO_DEEP),
    (b"A1 FETCH 1 (" + b" ".join(b"BODY[%d]" % i for i in range(1, 130)) + b")", _W),
    (b"A1 SEARCH", _S),
    (b"A1 SEARCH ", _S),
    (b"A1 SEARCH ()", _S),
    (b"A1 SEARCH (ALL", _S),
    (b"A1 SEARCH ALL)", _S),
    (b"A1 SEARCH ALL  ALL", _S),
    (b"A1 SEARCH NOT", _S),
    (b"A1 SEARCH NOT ", _S),
    (b"A1 SEARCH OR ALL", _S),
    (b"A1 SEARCH OR ALL ", _S),
    (b"A1 SEARCH OR(ALL)(ALL)", _S),
    (b"A1 SEARCH FROM", _S),
    (b"A1 SEARCH LARGER -1", _S),
    (b"A1 SEARCH LARGER 4294967296", _S),
    (b"A1 SEARCH BEFORE 30-Feb-2026", _S),
    (b'A1 SEARCH BEFORE "1-Feb-2026', _S),
    (b"A1 SEARCH BEFORE 1-Feb-26", _S),
    (b"A1 SEARCH HEADER {1+}\r\n: x", _S),
    (b"A1 SEARCH TEXT {1+}\r\n\xe9", _S),
    (b"A1 SEARCH 0", _S),
    (b"A1 SEARCH CHARSET KOI8-R TEXT {1+}\r\n\xe9", Fault.CHARSET),
    (b"A1 SEARCH CHARSET UTF-8", _S),
]


@pytest.mark.parametrize(("octets", "fault"), BROKEN)
def test_broken(octets: bytes, fault: Fault) -> None:
    """What breaks the grammar is refused with the right fault, under the command's own tag where it has one."""
    outcome = read(octets + b"\r\n")
    assert isinstance(outcome, Rejected), outcome
    assert outcome.error.fault is fault
    if octets.startswith(b"A1 "):
        assert outcome.tag == b"A1"


def test_every_row_is_read_here() -> None:
    """The tables above hold each command at least once (STARTTLS, which wants no TLS, has its own test)."""
    read_here = {type(command) for _, command in COMMANDS} | {c.Fetch, c.Search, c.StartTls}
    assert read_here == {row.command for row in table.ROWS}
