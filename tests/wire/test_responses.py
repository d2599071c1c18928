"""Responses on the wire: their spelling, and that nothing in a value can break the framing."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.folder import SpecialUse
from mssmail.base.search import Flag
from mssmail.wire.imap import encode, fetch, grammar, internaldate, sequence
from mssmail.wire.imap import responses as r
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import Complete, after_login
from mssmail.wire.imap.framer import Framer
from mssmail.wire.imap.values import FlagList, Numbering, StatusItem

_OK, _NO = r.Condition.OK, r.Condition.NO


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        (r.Status(_OK, "done", tag=b"A1"), b"A1 OK done"),
        (r.Status(_OK, ""), b"* OK ."),
        (r.Status(_OK, "[x] y"), b"* OK .[x] y"),
        (
            r.Status(_NO, "Boîte pleine — videz l’œuf", r.Word.OVERQUOTA, b"a"),
            b"a NO [OVERQUOTA] Boite pleine - videz l'oeuf",
        ),
        (r.Status(_NO, "a\r\nb\0\x7f\U0001f600", tag=b"a"), b"a NO a??b????"[:-1]),
        (r.Status(r.Condition.BYE, "x", r.Word.UNAVAILABLE), b"* BYE [UNAVAILABLE] x"),
        (r.Status(_NO, "x", r.BadCharset(("US-ASCII", "UTF-8"))), b"* NO [BADCHARSET (US-ASCII UTF-8)] x"),
        (
            r.Status(_OK, "x", r.CapabilityCode(("IMAP4rev1", "AUTH=PLAIN"))),
            b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x",
        ),
        (
            r.Status(_OK, "x", r.PermanentFlags(FlagList(24, ("$Junk",)), more=True)),
            b"* OK [PERMANENTFLAGS (\\Deleted \\Draft $Junk \\*)] x",
        ),
        (r.Status(_OK, "x", r.PermanentFlags(FlagList(), more=False)), b"* OK [PERMANENTFLAGS ()] x"),
        (r.Status(_OK, "x", r.UidNext(7)), b"* OK [UIDNEXT 7] x"),
        (r.Status(_OK, "x", r.UidValidity(4294967295)), b"* OK [UIDVALIDITY 4294967295] x"),
        (r.Status(_OK, "x", r.Unseen(3)), b"* OK [UNSEEN 3] x"),
        (r.Status(_OK, "x", r.AppendUid(38505, ((3955, 3955),))), b"* OK [APPENDUID 38505 3955] x"),
        (
            r.Status(_OK, "x", r.CopyUid(38505, ((304, 304), (319, 320)), ((3956, 3958),))),
            b"* OK [COPYUID 38505 304,319:320 3956:3958] x",
        ),
        (r.Continue("idling"), b"+ idling"),
        (r.Continue(""), b"+ ."),
        (r.ContinueWith(b""), b"+ "),
        (r.ContinueWith(b"VXNlcm5hbWU6"), b"+ VXNlcm5hbWU6"),
        (r.Capabilities(("IMAP4rev1", "LITERAL+")), b"* CAPABILITY IMAP4rev1 LITERAL+"),
        (r.Enabled(()), b"* ENABLED"),
        (r.Enabled(("CONDSTORE",)), b"* ENABLED CONDSTORE"),
        (
            r.Listed((r.Attribute.HAS_CHILDREN.value, SpecialUse.SENT.value), "/", "Messages envoyés"),
            b'* LIST (\\HasChildren \\Sent) "/" "Messages envoy&AOk-s"',
        ),
        (r.Listed((), "/", "INBOX"), b'* LIST () "/" INBOX'),
        (
            r.Listed(("\\NonExistent",), "/", "a", children=("SUBSCRIBED", "SPECIAL-USE")),
            b'* LIST (\\NonExistent) "/" "a" (CHILDINFO ("SUBSCRIBED" "SPECIAL-USE"))',
        ),
        (r.QuotaRoots("INBOX", ("", "a b")), b'* QUOTAROOT INBOX "" "a b"'),
        (r.AccessList("A b", (("p@x.fr", "lrp"), ("é", "p"))), b'* ACL "A b" p@x.fr lrp {2}\r\n\xc3\xa9 p'),
        (r.AccessList("INBOX", ()), b"* ACL INBOX"),
        (r.RightsOf("INBOX", "p@x.fr", "", ("lr", "0")), b'* LISTRIGHTS INBOX p@x.fr "" lr 0'),
        (r.MyRights("INBOX", "lrp"), b"* MYRIGHTS INBOX lrp"),
        (r.StorageQuota("", 10, 512), b'* QUOTA "" (STORAGE 10 512)'),
        (r.Listed((), None, 'a"b\\'), b'* LIST () NIL "a\\"b\\\\"'),
        (r.Listed((), "\\", "x", lsub=True), b'* LSUB () "\\\\" "x"'),
        (
            r.StatusData("NIL", ((StatusItem.UNSEEN, 2), (StatusItem.UIDNEXT, 9))),
            b'* STATUS "NIL" (UNSEEN 2 UIDNEXT 9)',
        ),
        (r.Found(()), b"* SEARCH"),
        (r.Found((2, 84, 882)), b"* SEARCH 2 84 882"),
        (r.Found((2, 5), 917162500), b"* SEARCH 2 5 (MODSEQ 917162500)"),
        (
            r.FoundInShort(b"A285", Numbering.UID, 7, 3800, ((7, 9), (3800, 3800)), 4, 12),
            b'* ESEARCH (TAG "A285") UID MIN 7 MAX 3800 COUNT 4 ALL 7:9,3800 MODSEQ 12',
        ),
        (
            r.FoundInShort(b"A]", Numbering.SEQUENCE, None, None, None, None, None),
            b'* ESEARCH (TAG "A]")',
        ),
        (r.Flags(FlagList(31, ("$MDNSent",))), b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $MDNSent)"),
        (r.Exists(0), b"* 0 EXISTS"),
        (r.Recent(5), b"* 5 RECENT"),
        (r.Expunged(44), b"* 44 EXPUNGE"),
        (r.Identity(()), b"* ID NIL"),
        (r.Identity((("name", "mssmail"), ("x", None))), b'* ID ("name" "mssmail" "x" NIL)'),
        (r.Namespaces((("", "/"),)), b'* NAMESPACE (("" "/")) NIL NIL'),
        (
            r.Namespaces((("", "/"), ("é", None)), others=(("~", "/"),)),
            b'* NAMESPACE (("" "/")("&AOk-" NIL)) (("~" "/")) NIL',
        ),
    ],
)
def test_spelling(response: r.Response, octets: bytes) -> None:
    """A response is spelt as its RFC has it."""
    assert encode.encode(response) == octets + b"\r\n"


@pytest.mark.parametrize("word", r.Word)
def test_each_code_without_arguments(word: r.Word) -> None:
    """A code without arguments stands in brackets before the text."""
    assert encode.encode(r.Status(_NO, "x", word)) == b"* NO [%b] x\r\n" % word.value.encode()


@pytest.mark.parametrize("fault", Fault)
def test_each_fault_has_a_reply(fault: Fault) -> None:
    """Every fault is answered NO or BAD under the command's tag, French first, in one ASCII line."""
    line = encode.encode(r.refusal(ProtocolError(fault, "somewhere"), b"a7"))
    assert re.fullmatch(rb"a7 (NO|BAD) (\[[A-Z0-9 ()-]+\] )?[ -~]+ / [ -~]+ \(somewhere\)\r\n", line)


@given(st.text(max_size=2_000))
def test_no_text_breaks_the_line(sentence: str) -> None:
    """Whatever a sentence holds, its response is one line of printable ASCII with the right code."""
    line = encode.encode(r.Status(_NO, sentence, r.Word.ALERT, b"a"))
    assert re.fullmatch(rb"a NO \[ALERT\] [ -~]{1,901}\r\n", line)


@given(st.text(max_size=40))
def test_no_mailbox_name_breaks_the_line(name: str) -> None:
    """A mailbox name reads back as it was, through the reader that clients' names pass."""
    line = encode.encode(r.Listed((), "/", name))
    assert line.endswith(b"\r\n")
    word = line[len(b'* LIST () "/" ') : -2]
    if name.upper() != "INBOX":
        assert grammar.mailbox(_cursor(word)) == name


@pytest.mark.parametrize("name", ["a b", "a\r\nb", "(", "", "é", 'a"', "a*", "a\\", "\\", "a%", "a{", "a]", "\0"])
def test_what_is_no_atom_is_never_sent_as_one(name: str) -> None:
    """A keyword or attribute that isn't an atom is our own error, raised before anything leaves."""
    with pytest.raises(ValueError, match="not an atom"):
        encode.encode(r.Listed((name,), "/", "x"))
    with pytest.raises(ValueError, match="not an atom"):
        fetch.FlagWriter({0: name})


def _cursor(octets: bytes) -> grammar.Cursor:
    """A cursor on octets as a client would send them; a literal becomes one on its way."""
    framer = Framer(after_login(0))
    framer.feed(re.sub(rb"\A\{(\d+)\}", rb"{\1+}", octets) + b"\r\n")
    event = framer.next()
    assert isinstance(event, Complete)
    return grammar.Cursor(event.frame)


_octets = st.binary(max_size=200).map(lambda b: b.replace(b"\0", b"x"))


@given(_octets)
def test_string_round_trip(octets: bytes) -> None:
    """Any octets but NUL are read back from the string they are sent as, and end where it ends."""
    for spell, reader in (
        (encode.string, grammar.string),
        (encode.astring, grammar.astring),
        (encode.nstring, grammar.nstring),
    ):
        cursor = _cursor(spell(octets))
        assert reader(cursor) == octets
        cursor.finish()


def test_nil_and_the_word_nil() -> None:
    """Nothing and the text NIL are told apart."""
    assert encode.nstring(None) == b"NIL"
    assert encode.nstring(b"NIL") == b'"NIL"'
    assert encode.astring(b"nil") == b'"nil"'


@pytest.mark.parametrize(("size", "start"), [(1_024, b'"'), (1_025, b"{1025}\r\n")])
def test_long_strings_are_literals(size: int, start: bytes) -> None:
    """A string is quoted up to 1,024 octets."""
    assert encode.string(b"x" * size).startswith(start)


_ranges = st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)), min_size=1, max_size=30)


@given(_ranges, st.sampled_from([None, (0, 0), (7, 0)]))
def test_sequence_set_round_trip(pairs: list[tuple[int, int]], last: tuple[int, int] | None) -> None:
    """A set that was read is spelt so that it reads the same."""
    words = [b"%d:%d" % pair for pair in pairs]
    if last is not None:
        words.append(b"%d:*" % last[0] if last[0] else b"*")
    ranges = sequence.parse(b",".join(words))
    assert sequence.parse(sequence.encode(ranges)) == ranges


def test_flags_items() -> None:
    """FLAGS names the system flags, the folder's keywords by number, and \\Recent; a bit without a name is left out."""
    writer = fetch.FlagWriter({0: "$Forwarded", 40: "tKw"})
    assert writer.item(0) == b"FLAGS ()"
    assert writer.item(Flag.SEEN.value | Flag.DRAFT.value) == b"FLAGS (\\Seen \\Draft)"
    assert writer.item(2, 1 | 1 << 40, recent=True) == b"FLAGS (\\Answered $Forwarded tKw \\Recent)"
    assert writer.item(2, 1 | 1 << 40) == b"FLAGS (\\Answered $Forwarded tKw)"
    assert writer.item(31, 1 << 3) == b"FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)"


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(0, 7), st.booleans()), max_size=60))
def test_no_two_combinations_of_flags_meet(rows: list[tuple[int, int, bool]]) -> None:
    """What is kept of earlier combinations never answers for another."""
    keywords = {0: "a", 1: "b", 2: "c"}
    kept = fetch.FlagWriter(keywords)
    for system, bits, recent in rows:
        fresh = fetch.FlagWriter(keywords).item(system, bits, recent=recent)
        assert kept.item(system, bits, recent=recent) == fresh


def test_fetch_lines() -> None:
    """FETCH responses are spelt as RFC 3501 §7.4.2 has them, in one piece or in several."""
    flags = fetch.FlagWriter({}).item(1)
    items = [fetch.uid(7), flags, fetch.size(44), fetch.section(b"BODY[1]<0>", b"a\r\nb")]
    whole = b"* 3 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 44 BODY[1]<0> {4}\r\na\r\nb)\r\n"
    assert fetch.line(3, items) == whole
    streamed = fetch.head(3, items[:3]) + fetch.JOINT + fetch.section_head(b"BODY[1]<0>", 4) + b"a\r\nb" + fetch.END
    assert streamed == whole
    assert fetch.flags_line(3, flags) == fetch.line(3, [flags])
    assert fetch.uid_flags_line(3, 7, flags) == fetch.line(3, items[:2])
    assert fetch.section(b"BODY[9]", None) == b"BODY[9] NIL"
    assert fetch.section(b"BODY[9]", b"") == b"BODY[9] {0}\r\n"
    assert fetch.line(1, [fetch.envelope(b"(NIL)"), fetch.structure(b"(x)"), fetch.body(b"(y)")]) == (
        b"* 1 FETCH (ENVELOPE (NIL) BODYSTRUCTURE (x) BODY (y))\r\n"
    )


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC), b'"17-Jul-1996 09:44:25 +0000"'),
        (datetime(2026, 1, 1, tzinfo=UTC), b'" 1-Jan-2026 00:00:00 +0000"'),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), b'"31-Dec-1969 23:59:59 +0000"'),
        (datetime(1, 1, 1, tzinfo=UTC), b'" 1-Jan-0001 00:00:00 +0000"'),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), b'"31-Dec-9999 23:59:59 +0000"'),
    ],
)
def test_internaldate(at: datetime, expected: bytes) -> None:
    """INTERNALDATE is spelt in UTC where no zone is known, and reads back to the same moment."""
    item = internaldate.item(int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()))
    assert item == b"INTERNALDATE " + expected
    assert grammar.date_time(_cursor(expected)) == at


@pytest.mark.parametrize(
    ("zone_minutes", "expected"),
    [
        (60, b'" 1-Jan-2026 00:30:00 +0100"'),
        (-210, b'"31-Dec-2025 20:00:00 -0330"'),
        (0, b'"31-Dec-2025 23:30:00 +0000"'),
    ],
)
def test_internaldate_zone(zone_minutes: int, expected: bytes) -> None:
    """INTERNALDATE keeps the zone that it was given with, and so its day."""
    at = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert internaldate.item(int(at.timestamp()), zone_minutes) == b"INTERNALDATE " + expected
    assert grammar.date_time(_cursor(expected)) == at


@pytest.mark.parametrize("at_s", [-(2**62), 2**62])
def test_internaldate_out_of_range(at_s: int) -> None:
    """A moment that no date can spell is sent as the nearest day that one can."""
    assert re.fullmatch(rb'INTERNALDATE "( 1-Jan-0001|31-Dec-9999) \d\d:\d\d:\d\d \+0000"', internaldate.item(at_s))
