"""A search's results are those of opening every message, whatever was made searchable before."""

import asyncio
import base64
import quopri
from collections.abc import Iterator, Sequence
from datetime import date
from email.header import Header as Encoded

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mssmail.base.clock import utc
from mssmail.base.search import (
    All,
    And,
    Arrived,
    Body,
    Changed,
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
from mssmail.flow.index import Indexer
from mssmail.flow.search import search
from mssmail.flow.view import View
from mssmail.mime import record, scan
from mssmail.mime import text as texts
from mssmail.mime.words import header_values
from tests.support.houses import Home
from tests.support.posts import SEARCH_TABLES, forget, inbox, send


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One house for all examples, each with an account of its own."""
    made = Home(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


LETTERS = "abcEIKßſﬁéÉàçÇœŒΣσςάΏابتلا漢字仮がｶﾞ\u0301\u0327\u0308İıΑ1 .-=?_"
words = st.text(LETTERS, min_size=1, max_size=20)
CHARSETS = ("utf-8", "iso-8859-1", "iso-8859-7", "windows-1256", "utf-16", "iso-2022-jp", "gb18030", "us-ascii")


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """A header field's value: encoded words, raw UTF-8, raw octets of another charset, or folded."""
    text, charset = draw(words), draw(st.sampled_from(CHARSETS))
    match draw(st.integers(0, 3)):
        case 0:
            return text.encode()
        case 1:
            return text.encode(charset, "replace").replace(b"\n", b"").replace(b"\r", b"")
        case 2:
            return b"x\r\n " + text.encode()
        case _:
            return Encoded(text, "utf-8", maxlinelen=40).encode(linesep="\r\n").encode()


@st.composite
def leaf_parts(draw: st.DrawFn) -> bytes:
    """A part with its header: text in some charset and encoding, plain or HTML; or a named attachment."""
    text, charset = draw(words), draw(st.sampled_from(CHARSETS))
    if draw(st.integers(0, 4)) == 0:
        name = draw(st.sampled_from((f'"{text}.pdf"', Encoded(text, "utf-8").encode())))
        return f"Content-Type: application/pdf; name={name}\r\nContent-Description: {text}\r\n\r\nJVBERi0=\r\n".encode()
    if draw(st.booleans()):
        kind, text = "html", f"<p>{text}<b>{draw(words)}</b>&eacute;<!-- {draw(words)} --><td>{draw(words)}"
    else:
        kind = "plain"
    octets = text.encode(charset, "replace")
    encoding = draw(st.sampled_from(("8bit", "base64", "quoted-printable")))
    if encoding == "base64":
        octets = base64.encodebytes(octets)
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets)
    head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets + b"\r\n"


@st.composite
def mails(draw: st.DrawFn, depth: int = 1) -> bytes:
    """A message: any fields, in any number; one part, several, or another message within."""
    fields = draw(
        st.lists(
            st.tuples(st.sampled_from((b"From", b"TO", b"subject", b"Message-ID", b"X-Other", b"Cc")), values()),
            max_size=5,
        )
    )
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    if draw(st.booleans()):
        head += f"Date: {draw(st.integers(1, 28))} Feb 2026 23:30:00 -0800\r\n".encode()
    inner = [draw(leaf_parts()) for _ in range(draw(st.integers(0, 3)))]
    if depth and draw(st.integers(0, 2)) == 0:
        inner.append(b"Content-Type: message/rfc822\r\n\r\n" + draw(mails(depth=depth - 1)))
    if not inner:
        return head + b"\r\n" + draw(words).encode()
    if len(inner) == 1 and draw(st.booleans()):
        return head + inner[0]
    border = b"b%d" % depth
    body = b"".join(b"--" + border + b"\r\n" + part + b"\r\n" for part in inner)
    return head + b'Content-Type: multipart/mixed; boundary="' + border + b'"\r\n\r\n' + body + b"--" + border + b"--"


needles = st.one_of(
    st.text(LETTERS + "<>@:\n", min_size=1, max_size=2),
    st.text(LETTERS, max_size=4),
    st.sampled_from(("subject", "From: ", ".pdf", "\0", "x", "É", "e\u0301", "σσ", "ffi", "ss", "\u0301")),
)
days = st.dates(date(2026, 2, 1), date(2026, 3, 1))
whens = st.sampled_from(When)
sets = st.lists(
    st.tuples(st.integers(1, 4), st.integers(4, 7)) | st.just((2, 0)) | st.just((0, 0)), min_size=1, max_size=2
)
keys: st.SearchStrategy[Key] = st.recursive(
    st.one_of(
        st.builds(Text, needles),
        st.builds(Body, needles),
        st.builds(Header, st.sampled_from(("FROM", "to", "Subject", "message-id", "X-Other", "cc")), needles),
        st.builds(Sent, whens, days),
        st.builds(Arrived, whens, st.sampled_from((date(2026, 9, 20), date(2026, 9, 21), date(2026, 9, 22)))),
        st.builds(Larger, st.integers(0, 400)),
        st.builds(Smaller, st.integers(0, 400)),
        st.builds(HasFlag, st.sampled_from(Flag)),
        st.builds(HasKeyword, st.just("absent")),
        st.builds(Changed, st.integers(1, 9)),
        st.builds(SequenceSet, sets.map(tuple)),
        st.builds(UidSet, sets.map(tuple)),
        st.just(All()),
        st.just(Recent()),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Or, inner, inner), st.builds(And, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


class Opened:
    """What a search must say of one message, by opening it and nothing else."""

    def __init__(self, view: View, index: int, octets: bytes, at: float) -> None:
        scanner = scan.Scanner()
        scanner.feed(octets)
        self.view, self.index, self.octets, self.day = view, index, octets, utc(at).date()
        self.record = record.build(scanner.finish())
        self.header, self.body = texts.searchable(self.record, lambda start, end: octets[start:end])

    def block(self) -> bytes:
        root = self.record.parts[0]
        return self.octets[root.header_start : root.body_start]

    def matches(self, key: Key) -> bool:
        view, index = self.view, self.index
        match key:
            case And(inner):
                return all(self.matches(each) for each in inner)
            case Or(left, right):
                return self.matches(left) or self.matches(right)
            case Not(each):
                return not self.matches(each)
            case All() | Recent():
                return True
            case HasFlag(flag):
                return bool(view.flags[index] & flag.value)
            case HasKeyword():
                return False
            case Changed(modseq):
                return view.modseqs[index] >= modseq
            case SequenceSet(ranges):
                return within(ranges, index + 1, len(view))
            case UidSet(ranges):
                return within(ranges, view.uids[index], view.uids[-1])
            case Arrived(when, day):
                return dated(when, day, self.day)
            case Sent(when, day):
                sent = self.record.sent
                return sent is not None and dated(when, day, sent.day)
            case Larger(octets):
                return len(self.octets) > octets
            case Smaller(octets):
                return len(self.octets) < octets
            case Header(name, text):
                values = header_values(self.block(), name.encode())
                return any(texts.normalise(text) in texts.normalise(value) for value in values)
            case Body(text):
                return texts.normalise(text) in self.body
            case Text(text):
                return texts.normalise(text) in self.header or texts.normalise(text) in self.body


def dated(when: When, day: date, given: date) -> bool:
    return {When.BEFORE: given < day, When.ON: given == day, When.SINCE: given >= day}[when]


def within(ranges: Sequence[tuple[int, int]], number: int, last: int) -> bool:
    closed = [sorted((low or last, high or last)) for low, high in ranges]
    return any(low <= number <= high for low, high in closed)


accounts = iter(range(10**6))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(mails(), min_size=1, max_size=6),
    st.lists(keys, min_size=1, max_size=6),
    st.lists(st.integers(0, 31), min_size=6, max_size=6),
    st.integers(0, 6),
)
def test_results_equal_opening_everything(
    shared: Home, sent: list[bytes], asked: list[Key], flags: list[int], indexed: int
) -> None:
    """Whatever the mail and the key: before it is made searchable, in memory or not, while some of it is, and after."""

    async def run() -> None:
        anne = shared.add_account(f"a{next(accounts)}")
        for octets in sent[:indexed]:
            await send(shared, octets, anne)
        await Indexer(shared.house).run()
        for octets in sent[indexed:]:
            await send(shared, octets, anne)
        shared.write.run_blocking(
            lambda tx: [
                tx.driver.execute(
                    "UPDATE messages SET flags = ? WHERE account_id = ? AND uid = ?", [bits, anne.account, uid]
                )
                for uid, bits in enumerate(flags, 1)
            ]
        )
        view = await inbox(shared, anne)
        opened = [Opened(view, index, octets, shared.clock.now()) for index, octets in enumerate(sent)]
        expected = [[each.index for each in opened if each.matches(key)] for key in asked]

        async def found() -> list[list[int]]:
            return [await search(shared.house, view, key) for key in asked]

        assert await found() == expected, "some of it, and the rest in memory"
        assert await found() == expected, "what was made in memory"
        shared.house.fresh.forget_account(anne.account)
        assert await found() == expected, "some of it"
        await Indexer(shared.house).run()
        assert await found() == expected, "all of it"
        forget(shared, "search_texts")
        assert await found() == expected, "columns alone"
        forget(shared, *SEARCH_TABLES)
        assert await found() == expected, "none of it"

    asyncio.run(run())
