"""Delivery reports: who gets one of what, where it lies, what stands in it, and that it is one with its outcome."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.address import Address
from mssmail.base.principal import Beyond, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.relay import NEVER, Answer, By, Cause, Hop, Notify, RecipientWishes, Wishes
from mssmail.base.relay import Outcome as Attempted
from mssmail.base.section import Section
from mssmail.flow.bounce import Bounces, Fate, Notices, Sent
from mssmail.flow.read import Reader
from mssmail.flow.view import open_view
from mssmail.mime.report import Action
from mssmail.policy.retention import period_of
from mssmail.store import accounts, messages, periods
from mssmail.store.accounts import State
from tests.support.houses import DOMAIN, Home
from tests.support.reports import events, queued, read, status_of

LABO = Address("paul", "labo.mssante.fr")
DOCTOR = Address("dr.house", "hopital.mssante.fr")
CANARY = "XDM/1.0/DDM+Canari"
HEADER = (
    f"From: Claire <claire@{DOMAIN}>\r\nTo: <{LABO}>\r\nSubject: {CANARY}\r\n =?utf-8?q?MARTIN_Jeanne?=\r\n"
    "Message-ID: <a.1@demo>\r\nX-MSS-INS: 185057800608491\r\n\r\nLa cr\u00e9atinine du canari est normale.\r\n"
).encode()
ANSWER = Answer(550, "5.1.1", "No such user")
HOP = Hop("mx.labo.mssante.fr", "192.0.2.7")
REFUSED = Attempted(Cause.REFUSED, ANSWER)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


@pytest.fixture
def claire(home: Home) -> Principal:
    return home.add_account("claire")


PLAIN = Wishes()


def sent(sender: Address | None, wishes: Wishes = PLAIN) -> Sent:
    """A message, whose beginning is at hand, body and all."""
    return Sent("beef", sender, wishes, 1_790_000_000.0 - 60, HEADER)


def failed(notify: Notify | None = None, orcpt: str = "", *, to: Address = LABO) -> Fate:
    return Fate.of_attempt(Beyond(to, RecipientWishes(notify, orcpt)), Action.FAILED, REFUSED, HOP, 1_790_000_000.0)


async def tell(home: Home, about: Sent, *fates: Fate) -> Notices:
    """Make reports and write them."""
    notices = await Bounces(home.house).notices(about, fates)
    await home.house.write.run(notices.put)
    notices.done()
    return notices


async def inbox(home: Home, who: Principal) -> list[bytes]:
    view = await open_view(home.house, who, "INBOX", read_only=True)
    reader, found = Reader(home.house, view), list[bytes]()
    async for fetched in reader.messages(range(len(view)), [(Section(), None)]):
        (piece,) = fetched.pieces
        assert piece is not None
        assert piece.data is not None
        found.append(piece.data)
    return found


# --- who is told of what, and where ---

NOTIFY: dict[Notify | None, set[Action]] = {
    None: {Action.FAILED, Action.DELAYED},
    NEVER: set(),
    Notify.SUCCESS: {Action.DELIVERED, Action.RELAYED},
    Notify.FAILURE: {Action.FAILED},
    Notify.DELAY: {Action.DELAYED},
    Notify.SUCCESS | Notify.FAILURE | Notify.DELAY: set(Action),
}


@pytest.mark.parametrize("sender", ["ours", "theirs", "nobody", "gone", "closed", "suspended"])
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("notify", NOTIFY, ids=str)
async def test_who_is_told(home: Home, claire: Principal, notify: Notify | None, action: Action, sender: str) -> None:
    """By what they asked for: in their box, by their operator, or not at all; each report is in the trail."""
    if sender in ("closed", "suspended"):
        home.write.run_blocking(lambda tx: accounts.set_state(tx, claire.account, State(sender)))
    gone = Address("gone", DOMAIN)
    to = {"theirs": DOCTOR, "nobody": None, "gone": gone}.get(sender, claire.address)
    fate = Fate(LABO, RecipientWishes(notify), action, "2.0.0")
    await tell(home, sent(to), fate)
    due = action in NOTIFY[notify] and sender != "nobody"
    assert len(await inbox(home, claire)) == (due and sender in ("ours", "suspended"))
    assert len(queued(home)) == (due and sender == "theirs")
    outcomes = [said["o"] for said in events(home)]
    assert outcomes == ([] if not due else ["no-mailbox" if sender in ("gone", "closed") else "ok"])


async def test_each_action_has_a_report_of_those_it_is_told_of(home: Home, claire: Principal) -> None:
    """Two failures are one report, a delay another; who asked for silence is in neither (RFC 3461 §5.2.8)."""
    a, b, c, d = (Address(local, "labo.mssante.fr") for local in "abcd")
    late = replace(failed(to=c), action=Action.DELAYED, status="4.4.1")
    await tell(home, sent(claire.address), failed(to=a), late, failed(to=b), failed(NEVER, to=d))
    told = [read(octets)[1][1].as_string() for octets in await inbox(home, claire)]
    assert [[str(each) in text for each in (a, b, c, d)] for text in told] == [
        [True, True, False, False],
        [False, False, True, False],
    ]


async def test_without_a_sender_nobody_is_told(home: Home, claire: Principal) -> None:
    """No bounce of a bounce, whatever was asked for: not even a trail event of one."""
    for action in Action:
        await tell(home, sent(None), Fate(LABO, RecipientWishes(Notify.SUCCESS | Notify.FAILURE), action, "5.0.0"))
    assert (await inbox(home, claire), queued(home), events(home)) == ([], [], [])


# --- what stands in it ---


async def test_what_a_report_says(home: Home, claire: Principal) -> None:
    """From us, with no sender to answer to, auto-submitted, its fields by RFC 3464 §2 and RFC 3461 §6.3."""
    about = sent(claire.address, Wishes(ret="FULL", envid="QQ+2B314"))
    await tell(home, about, failed(Notify.FAILURE, "rfc822;P+2Bx@labo.mssante.fr"))
    (octets,) = await inbox(home, claire)
    assert octets.startswith(b"Return-Path: <>\r\nReceived: by localhost (mssmail) id ")
    message, (words, status, headers) = read(octets)
    assert message["From"].addresses[0].addr_spec == f"postmaster@{DOMAIN}"
    assert message["To"].addresses[0].addr_spec == f"claire@{DOMAIN}"
    assert (message["Auto-Submitted"], message["In-Reply-To"]) == ("auto-replied", "<a.1@demo>")
    assert message.get_param("report-type") == "delivery-status"
    text = words.get_content()
    for word in (str(LABO), "n'a pas pu être remis", "À faire : cherchez l'adresse exacte", "mx.labo.mssante.fr"):
        assert word in text
    about_it, recipient = status_of(status)
    assert (about_it["Original-Envelope-Id"], about_it["Reporting-MTA"]) == ("QQ+314", "dns; localhost")
    assert {name: value for name, value in recipient.items() if name != "Last-Attempt-Date"} == {
        "Original-Recipient": "rfc822; P+x@labo.mssante.fr",
        "Final-Recipient": f"rfc822; {LABO}",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.labo.mssante.fr",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
    }
    assert headers.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("ret", ["", "HDRS", "FULL"])
@pytest.mark.parametrize("to", ["ours", "theirs"])
async def test_nothing_of_subject_or_body_stands_in_it(home: Home, claire: Principal, ret: str, to: str) -> None:
    """Whatever the sender asked to have back: no word of the patient is in a report, coded or not."""
    for action in Action:
        fate = replace(failed(Notify.SUCCESS | Notify.FAILURE | Notify.DELAY), action=action)
        await tell(home, sent(claire.address if to == "ours" else DOCTOR, Wishes(ret=ret)), fate)
    found = await inbox(home, claire) if to == "ours" else [each[3] for each in queued(home)]
    assert len(found) == len(Action)
    for octets in found:
        _, parts = read(octets)
        whole = octets.decode() + "".join(str(part.get_payload(decode=True)) for part in parts)
        for word in (CANARY, "MARTIN", "Jeanne", "185057800608491", "Subject: XDM", "canari", "INS"):
            assert word not in whole
        assert "<a.1@demo>" in whole


async def test_a_time_that_is_over(home: Home, claire: Principal) -> None:
    """A message to be returned has failed, one to be told of is delayed and goes on; both name the time (RFC 2852)."""
    late = Beyond(LABO)
    unreached = Attempted(Cause.UNREACHABLE, detail="mx.labo.mssante.fr: refused")
    by_return, by_notify = Wishes(by_s=60, by=By.RETURN), Wishes(by_s=60, by=By.NOTIFY)
    now = home.clock.now()
    await tell(home, sent(claire.address, by_return), Fate.of_attempt(late, Action.FAILED, unreached, None, now))
    waiting = Fate.of_attempt(late, Action.DELAYED, unreached, None, now, now + 86_400)
    await tell(home, sent(claire.address, by_notify), waiting)
    returned, delayed = [read(octets) for octets in await inbox(home, claire)]
    assert "dans le délai que vous aviez fixé" in returned[1][0].get_content()
    assert "vous n'avez pas à le renvoyer" in delayed[1][0].get_content()
    for _, (_, status, _) in (returned, delayed):
        assert status_of(status)[0]["Deliver-By-Date"]
    assert [status_of(status)[1]["Status"] for _, (_, status, _) in (returned, delayed)] == ["5.4.7", "4.4.1"]
    assert status_of(delayed[1][1])[1]["Will-Retry-Until"]


@pytest.mark.parametrize("local", ["dr.house", "hélène"])
async def test_to_another_operator(home: Home, local: str) -> None:
    """Without a sender, asking for no report itself, as pressing and as protected as what it tells of (RFC 3461 §6.1,
    RFC 6710 §4.6, RFC 8689 §5).
    """
    to = Address(local, "hopital.mssante.fr")
    await tell(home, sent(to, Wishes(ret="HDRS", envid="x", require_tls=True, priority=-4, by_s=9)), failed())
    ((sender, wishes, recipient, octets),) = queued(home)
    assert (sender, recipient) == (None, Beyond(to))
    assert wishes == Wishes(utf8=not to.is_ascii, eight_bit=not octets.isascii(), require_tls=True, priority=-4)
    assert octets.startswith(b"Received: by localhost (mssmail) id ")
    assert f"To: <{to}>".encode() in octets


@pytest.mark.parametrize(("by_s", "status"), [(60, "5.4.7"), (61, "5.1.1")])
async def test_a_refusal_in_time_is_a_refusal(home: Home, claire: Principal, by_s: int, status: str) -> None:
    """Only once its time is over has a message failed for that: it was sent a minute ago."""
    await tell(home, sent(claire.address, Wishes(by_s=by_s, by=By.RETURN)), failed())
    (octets,) = await inbox(home, claire)
    assert status_of(read(octets)[1][1])[1]["Status"] == status


# --- how it is laid down ---


async def test_a_full_box_takes_it(home: Home) -> None:
    """Who may receive nothing more still hears what they sent in vain."""
    full = home.add_account("plein", quota_octets=1)
    await tell(home, sent(full.address), failed())
    assert len(await inbox(home, full)) == 1


@pytest.mark.parametrize("to", ["ours", "theirs"])
async def test_it_is_one_with_its_outcome(home: Home, claire: Principal, to: str) -> None:
    """Where the transaction fails, there is no report either; made ready and not written, it leaves no trace."""
    notices = await Bounces(home.house).notices(sent(claire.address if to == "ours" else DOCTOR), [failed()])

    def work(tx: object) -> None:
        notices.put(tx)  # type: ignore[arg-type]
        raise Refusal(Reason.UNAVAILABLE)

    with pytest.raises(Refusal):
        await home.house.write.run(work)
    assert (await inbox(home, claire), queued(home), events(home)) == ([], [], [])
    assert home.tx().driver.execute("SELECT count(*) FROM bodies").fetchone() == (0,)


async def test_a_period_that_was_closed(home: Home, claire: Principal) -> None:
    """A report whose key goes meanwhile isn't written, nor is its outcome: both are for a later attempt."""
    notices = await Bounces(home.house).notices(sent(claire.address), [failed()])
    retention, now = home.settings.retention, home.clock.now()
    period = period_of(now, retention.default, retention.period)
    home.write.run_blocking(lambda tx: messages.period_is_open(tx, period) and periods.close(tx, period, int(now)))
    with pytest.raises(Refusal) as caught:
        await home.house.write.run(notices.put)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert await inbox(home, claire) == []
