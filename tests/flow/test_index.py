"""Searches find the same whether mail was made searchable, is about to be, or has to be opened."""

import asyncio
import base64
import quopri
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from email.header import Header as Encoded
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mssmail.audit.events import Event, Kind
from mssmail.base.clock import FakeClock, utc
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
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
from mssmail.flow.change import Changer, FlagWish
from mssmail.flow.deliver import deliver
from mssmail.flow.index import MAX_ENTRIES, Indexer
from mssmail.flow.keep import Keeper
from mssmail.flow.purge import Purge
from mssmail.flow.search import search
from mssmail.flow.view import View, open_view
from mssmail.mime import record, scan
from mssmail.mime import text as texts
from mssmail.mime.words import header_values
from mssmail.store import leases, searches
from mssmail.store.interface import Transaction
from tests.support.houses import Home, recipient

TABLES = ("search_texts", "search_columns", "search_entries", "search_due")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One house for all examples, each with an account of its own."""
    made = Home(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


async def send(home: Home, octets: bytes, *to: Principal) -> None:
    keeper = Keeper(home.house)
    for start in range(0, len(octets), 100_000):
        keeper.write(octets[start : start + 100_000])
        if keeper.is_full:
            await keeper.flush()
    event = Event(Kind.SUBMITTED, to[0].account, details={"id": "1"})
    await deliver(home.house, await keeper.finish(), [recipient(p) for p in to], event, None)


def rows(home: Home) -> dict[str, int]:
    execute = home.tx().driver.execute
    return {table: execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def forget(home: Home, *tables: str) -> None:
    def work(tx: Transaction) -> None:
        for table in tables:
            tx.driver.execute(f"DELETE FROM {table}")

    home.write.run_blocking(work)


async def inbox(home: Home, who: Principal) -> View:
    return await open_view(home.house, who, "INBOX", read_only=False)


def mail(number: int, body: str = "corps", subject: str = "Bilan rénal") -> bytes:
    return (
        f"From: Dr Éloïse <e{number}@x.fr>\r\nSubject: {subject} {number}\r\nMessage-ID: <{number}@x>\r\n"
        f"Date: {1 + number % 28:02d} Jan 2026 12:00:00 +0000\r\n\r\n{body} {number}\r\n"
    ).encode()


# --- equal to opening everything ---

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
    """Whatever the mail and the key: before it is made searchable, while some of it is, and after."""

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

        assert await found() == expected, "some of it"
        await Indexer(shared.house).run()
        assert await found() == expected, "all of it"
        forget(shared, "search_texts")
        assert await found() == expected, "columns alone"
        forget(shared, *TABLES)
        assert await found() == expected, "none of it"

    asyncio.run(run())


# --- what is written and what goes ---


async def test_a_message_is_made_searchable_once_for_all(home: Home) -> None:
    """One text for a body, columns for each account; nothing stays due, and a second run finds nothing to do."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    for number in range(3):
        await send(home, mail(number), anne, bert)
    assert rows(home)["search_due"] == 6
    assert await Indexer(home.house).run() == 6
    assert rows(home) == {"search_texts": 3, "search_columns": 2, "search_entries": 6, "search_due": 0}
    assert await Indexer(home.house).run() == 0
    for who in (anne, bert):
        view = await inbox(home, who)
        assert await search(home.house, view, Header("subject", "RÉNAL 1")) == [1]
        assert await search(home.house, view, Body("CORPS 2")) == [2]


async def test_searches_open_no_body_once_it_is_done(home: Home) -> None:
    """Header searches read columns alone, text searches search texts alone."""
    anne = home.add_account("anne")
    for number in range(3):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()
    forget(home, "bodies", "records")
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("corps 1")) == [1]
    forget(home, "search_texts")
    assert await search(home.house, view, Header("FROM", "ÉLOÏSE <e1@")) == [1]
    assert await search(home.house, view, Sent(When.SINCE, date(2026, 1, 2))) == [1, 2]
    assert await search(home.house, view, Text("corps")) == []


async def test_what_a_search_opened_is_kept(home: Home) -> None:
    """A search that had to open bodies keeps their texts for the next one."""
    anne = home.add_account("anne")
    for number in range(3):
        await send(home, mail(number), anne)
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("corps 1")) == [1]
    await home.write.run(lambda _: None)
    assert rows(home)["search_texts"] == 3
    forget(home, "bodies")
    assert await search(home.house, view, Text("corps 1")) == [1]


async def test_headers_that_a_search_opened_are_kept(home: Home) -> None:
    """So are columns of many messages; the indexer then only forgets that they were due."""
    anne = home.add_account("anne")
    for number in range(60):
        await send(home, mail(number), anne)
    view = await inbox(home, anne)
    wanted = Header("subject", "rénal 59")
    assert await search(home.house, view, wanted) == [59]
    await home.write.run(lambda _: None)
    assert rows(home) == {"search_texts": 0, "search_columns": 1, "search_entries": 60, "search_due": 60}
    assert await Indexer(home.house).run() == 60
    assert rows(home) == {"search_texts": 60, "search_columns": 1, "search_entries": 60, "search_due": 0}
    forget(home, "bodies", "records")
    assert await search(home.house, view, wanted) == [59]


async def test_a_search_and_the_indexer_make_no_entry_twice(home: Home) -> None:
    """Columns that hold a message which others hold by now aren't written; what they were to replace stays."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    due = await home.read.run(lambda tx: searches.due(tx, 0, 10))
    await Indexer(home.house).run()
    number = home.house.body_numbers.take()
    late = searches.NewColumns(number, anne.account, due[0].period, 1, b"", b"", [due[0].body], [])
    await home.write.run(lambda tx: searches.keep(tx, anne.account, [], [late]))
    assert rows(home) == {"search_texts": 1, "search_columns": 1, "search_entries": 1, "search_due": 0}
    assert await search(home.house, await inbox(home, anne), Header("subject", "rénal")) == [0]


async def test_columns_are_joined(home: Home) -> None:
    """Mail that comes one by one ends up in few columns, none with too many entries."""
    anne = home.add_account("anne")
    indexer = Indexer(home.house)
    for number in range(40):
        await send(home, mail(number), anne)
        assert await indexer.run() == 1
    written = rows(home)
    assert (written["search_entries"], written["search_due"]) == (40, 0)
    assert written["search_columns"] <= 4
    found = await search(home.house, await inbox(home, anne), Header("subject", "rénal 3"))
    assert found == [3, *range(30, 40)]
    most = home.tx().driver.execute("SELECT max(count) FROM search_columns").fetchone()
    assert most[0] <= MAX_ENTRIES


async def test_a_message_too_long_is_opened(home: Home) -> None:
    """A message with more text than is kept, or a longer header, is found all the same."""
    anne = home.add_account("anne")
    await send(home, mail(0, "mot " * 400_000 + "aiguille"), anne)
    await send(home, b"Subject: long\r\nTo: " + b"a@b.fr,\r\n " * 8000 + b"aiguille@b.fr\r\n\r\nx", anne)
    await Indexer(home.house).run()
    written = rows(home)
    assert (written["search_texts"], written["search_entries"], written["search_due"]) == (1, 1, 0)
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("aiguille")) == [0, 1]
    assert await search(home.house, view, Header("to", "aiguille")) == [1]
    await home.write.run(lambda _: None)
    assert rows(home)["search_texts"] == 1


@pytest.mark.parametrize("table", ["search_texts", "search_columns"])
async def test_damage_is_passed_over(home: Home, table: str) -> None:
    """Where a sealed text or columns were altered or exchanged, the messages are opened."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()
    home.write.run_blocking(lambda tx: tx.driver.execute(f"UPDATE {table} SET sealed = zeroblob(600)"))
    view = await inbox(home, anne)
    assert await search(home.house, view, Text("corps 1")) == [1]
    assert await search(home.house, view, Header("subject", "rénal 1")) == [1]


async def test_texts_of_two_bodies_cannot_change_places(home: Home) -> None:
    """A text moved to another body doesn't open there."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()

    def swap(tx: Transaction) -> None:
        (first, one), (second, two) = tx.driver.execute("SELECT body_id, sealed FROM search_texts").fetchall()
        tx.driver.execute("UPDATE search_texts SET sealed = ? WHERE body_id = ?", [two, first])
        tx.driver.execute("UPDATE search_texts SET sealed = ? WHERE body_id = ?", [one, second])

    home.write.run_blocking(swap)
    assert await search(home.house, await inbox(home, anne), Text("corps 1")) == [1]


async def test_expunged_mail_leaves_no_text(home: Home) -> None:
    """After the grace nothing readable of it is left; its neighbours in the columns are done again."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    assert isinstance(home.clock, FakeClock)
    await send(home, mail(0), anne, bert)
    await send(home, mail(1), anne)
    await send(home, mail(2), anne)
    await Indexer(home.house).run()
    view = await inbox(home, anne)
    changer = Changer(home.house, view)
    await changer.store([0, 1], FlagWish(Flag.DELETED.value, frozenset(), "add"))
    await changer.expunge()
    home.clock.advance(120)
    await Purge(home.house, announce=False).run()
    assert rows(home) == {"search_texts": 2, "search_columns": 1, "search_entries": 1, "search_due": 3}
    await Indexer(home.house).run()
    assert rows(home) == {"search_texts": 2, "search_columns": 2, "search_entries": 2, "search_due": 0}
    view.take_expunges()
    assert await search(home.house, view, Header("subject", "rénal 2")) == [0]
    assert await search(home.house, await inbox(home, bert), Text("rénal 0")) == [0]


async def test_purge_leaves_nothing(home: Home) -> None:
    """Texts, columns and entries go with the period; what was still due is forgotten at the next turn."""
    anne = home.add_account("anne")
    assert isinstance(home.clock, FakeClock)
    await Purge(home.house, announce=False).run()
    for number in range(3):
        await send(home, mail(number), anne)
    await Indexer(home.house).run()
    await send(home, mail(3), anne)
    home.clock.advance(200 * 86_400)
    await Purge(home.house, announce=False).run(allow_shrink=True)
    assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 1}
    await Indexer(home.house).run()
    assert set(rows(home).values()) == {0}


async def test_mail_expunged_while_it_is_being_made_searchable(home: Home) -> None:
    """Nothing is written for a message whose wrap went between its opening and the commit."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    due = await home.read.run(lambda tx: searches.due(tx, 0, 10))
    forget(home, "wraps")
    number = home.house.body_numbers.take()
    columns = searches.NewColumns(number, anne.account, due[0].period, 2, b"", b"", [d.body for d in due], [])
    sealed = {d.body: b"x" for d in due}
    assert await home.write.run(lambda tx: searches.write(tx, due, sealed, [columns])) == 1
    assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 2}
    await Indexer(home.house).run()
    assert set(rows(home).values()) == {0}


async def test_a_lost_turn_is_done_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commit fails, all of it stays due, and the next run does it."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    indexer = Indexer(home.house)

    def full(*_: object) -> int:
        raise Refusal(Reason.STORAGE_FULL)

    with monkeypatch.context() as patched:
        patched.setattr(searches, "write", full)
        with pytest.raises(Refusal):
            await indexer.run()
    assert rows(home) == {"search_texts": 0, "search_columns": 0, "search_entries": 0, "search_due": 1}
    assert isinstance(home.clock, FakeClock)
    home.clock.advance(31)
    assert await indexer.run() == 1


async def test_one_worker_at_a_time(home: Home) -> None:
    """While another worker holds the lease nothing is done here; once it has ended, it is."""
    anne = home.add_account("anne")
    assert isinstance(home.clock, FakeClock)
    await send(home, mail(0), anne)
    await home.write.run(lambda tx: leases.take(tx, "search", "another", 30))
    indexer = Indexer(home.house)
    assert await indexer.run() == 0
    home.clock.advance(31)
    assert await indexer.run() == 1
    await send(home, mail(1), anne)
    home.clock.advance(31)
    await home.write.run(lambda tx: leases.take(tx, "search", "another", 30))
    with pytest.raises(Refusal):
        await indexer.run()
    assert rows(home)["search_due"] == 1
    home.clock.advance(31)
    assert await indexer.run() == 1


async def test_a_killed_worker_goes_on_at_once(home: Home) -> None:
    """What takes a worker's place after a crash has its lease, and goes on where it was."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
        assert await Indexer(home.house).run() == 1


async def test_copies_are_found_by_their_source(home: Home) -> None:
    """A copy has its source's text and columns."""
    anne = home.add_account("anne")
    await send(home, mail(0), anne)
    await Indexer(home.house).run()
    view = await inbox(home, anne)
    for _ in range(2):
        await Changer(home.house, view).copy([0], "Trash")
    forget(home, "bodies", "records")
    trash = await open_view(home.house, anne, "Trash", read_only=True)
    assert await search(home.house, trash, Text("corps")) == [0, 1]
    assert await search(home.house, trash, Not(Header("subject", "rénal"))) == []


async def test_no_message_of_another_is_found(home: Home) -> None:
    """Columns and texts that another account may read give nothing to this one."""
    anne, bert = home.add_account("anne"), home.add_account("bert")
    await send(home, mail(0), anne)
    await send(home, mail(1), bert)
    await Indexer(home.house).run()

    def mislead(tx: Transaction) -> None:
        (theirs,) = tx.driver.execute(
            "SELECT columns_id FROM search_entries WHERE account_id = ?", [anne.account]
        ).fetchone()
        tx.driver.execute("UPDATE search_entries SET columns_id = ?", [theirs])

    home.write.run_blocking(mislead)
    assert await search(home.house, await inbox(home, bert), Header("subject", "rénal 1")) == [0]
    assert await search(home.house, await inbox(home, bert), Header("subject", "rénal 0")) == []


async def test_dates_follow_the_zone(home: Home) -> None:
    """SINCE, ON and BEFORE go by the day in the message's own zone (RFC 3501 §6.4.4)."""
    anne = home.add_account("anne")
    for number in range(2):
        await send(home, mail(number), anne)
    midnight = home.clock.now() // 86_400 * 86_400
    home.write.run_blocking(
        lambda tx: [
            tx.driver.execute("UPDATE messages SET internal_date = ?, zone_minutes = ? WHERE uid = ?", [at, zone, uid])
            for uid, at, zone in ((1, midnight, -60), (2, midnight - 1, 60))
        ]
    )
    today = utc(midnight).date()
    view = await inbox(home, anne)
    for when, day, expected in (
        (When.SINCE, today, [1]),
        (When.BEFORE, today, [0]),
        (When.ON, today, [1]),
        (When.ON, today - timedelta(1), [0]),
        (When.ON, today + timedelta(1), []),
    ):
        assert await search(home.house, view, Arrived(when, day)) == expected, (when, day)


async def test_sizes_are_compared_exactly(home: Home) -> None:
    """LARGER and SMALLER exclude the size itself (RFC 3501 §6.4.4)."""
    anne = home.add_account("anne")
    size = len(mail(1))
    await send(home, mail(1), anne)
    view = await inbox(home, anne)
    for key, expected in (
        (Larger(size), []),
        (Larger(size - 1), [0]),
        (Smaller(size), []),
        (Smaller(size + 1), [0]),
    ):
        assert await search(home.house, view, key) == expected, key
