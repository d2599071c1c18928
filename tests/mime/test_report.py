"""Delivery status notifications, read back by another parser."""

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from mssmail.base.relay import Cause
from mssmail.mime.explain import BY_CAUSE, BY_STATUS, Sentence, explain
from mssmail.mime.report import MAX_DIAGNOSTIC, Action, Outcome, Report, render

AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
HEADER = (
    b"Return-Path: <claire@demo.fr>\r\nReceived: by x with y\r\nFrom: Claire <claire@demo.fr>\r\nTo: <paul@labo.fr>\r\n"
    b"Subject: XDM/1.0/DDM+CR MARTIN\r\n Jeanne 1950\r\nX-MSS-INS: O\r\nDate: Tue, 24 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <a.1@demo.fr>\r\nBcc: <secret@labo.fr>\r\n\r\n"
)


def report(*outcomes: Outcome, header: bytes = HEADER, envelope_id: str | None = None) -> bytes:
    """A rendered report to Claire."""
    sender = "postmaster@demo.fr"
    about = Report(
        "claire@demo.fr", sender, "mail.demo.fr", "r.1@mail.demo.fr", AT, AT, outcomes, envelope_id, None, header
    )
    return render(about)


def failed(recipient: str = "paul@labo.fr", status: str = "5.1.1", **more: Any) -> Outcome:
    """A recipient that the message didn't reach."""
    return Outcome(recipient, Action.FAILED, status, **more)


def parts(octets: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    """The message and its parts."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    found = list(message.iter_parts())
    return message, [part for part in found if isinstance(part, EmailMessage)]


def words_of(part: EmailMessage) -> str:
    """The text of a part."""
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets.decode()


def blocks(octets: bytes) -> list[dict[str, str]]:
    """The fields of the delivery status: of the message, then of each recipient (RFC 3464 §2.1)."""
    text = octets.decode().split("delivery-status\r\n")[-1].split("\r\n\r\n", 1)[1].split("\r\n--=_")[0]
    return [
        {name: value.strip() for name, _, value in (line.partition(":") for line in block.split("\r\n"))}
        for block in text.strip("\r\n").split("\r\n\r\n")
    ]


def test_a_failure_is_a_report_of_three_parts() -> None:
    """Sentences for people, fields for programs, threading fields of the message (RFC 6522 §3)."""
    outcome = failed(original="rfc822;p.labo@labo.fr", remote="mx.labo.fr", diagnostic="550 5.1.1 No such user")
    octets = report(outcome, envelope_id="QQ314")
    message, (words, status, headers) = parts(octets)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["From"].addresses[0].addr_spec == "postmaster@demo.fr"
    assert message["In-Reply-To"] == "<a.1@demo.fr>"
    assert message["Subject"] == "Message non remis / Mail undelivered"
    text = words_of(words)
    assert "paul@labo.fr" in text
    assert explain("5.1.1").fr in text
    assert explain("5.1.1").en in text
    assert f"À faire : {explain('5.1.1').do_fr}" in text
    assert f"What to do: {explain('5.1.1').do_en}" in text
    assert "Votre message du 24/11/2026 à 10:00 (UTC) n'a pas pu être remis au destinataire suivant ;" in text
    assert "Pour le support : 5.1.1, mx.labo.fr, 550 5.1.1 No such user\n" in text.replace("\r\n", "\n")
    assert status.get_content_type() == "message/delivery-status"
    about, recipient = blocks(octets)
    assert about["Reporting-MTA"] == "dns; mail.demo.fr"
    assert about["Original-Envelope-Id"] == "QQ314"
    assert recipient["Final-Recipient"] == "rfc822; paul@labo.fr"
    assert recipient["Original-Recipient"] == "rfc822; p.labo@labo.fr"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert recipient["Remote-MTA"] == "dns; mx.labo.fr"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user"
    assert headers.get_content_type() == "text/rfc822-headers"


def test_nothing_of_the_patient_is_in_a_report() -> None:
    """Neither subject nor other fields than those kept stand in it, folded ones neither."""
    octets = report(failed())
    for word in (b"MARTIN", b"Jeanne", b"X-MSS", b"secret", b"Received"):
        assert word not in octets
    assert b"Message-ID: <a.1@demo.fr>" in octets


@pytest.mark.parametrize(
    ("action", "english", "explained"),
    [
        (Action.FAILED, "undelivered", True),
        (Action.DELAYED, "delayed", True),
        (Action.DELIVERED, "delivered", False),
        (Action.RELAYED, "relayed", False),
    ],
)
def test_each_action_has_its_words(action: Action, english: str, *, explained: bool) -> None:
    """Both languages say what became of it; only what went wrong is explained."""
    until = AT + timedelta(days=2) if action is Action.DELAYED else None
    outcome = Outcome("paul@labo.fr", action, "4.4.1", attempted_at=AT, retried_until=until)
    octets = report(outcome)
    message, (words, _, _) = parts(octets)
    assert english in message["Subject"]
    assert (explain("4.4.1").fr in words_of(words)) is explained
    recipient = blocks(octets)[1]
    assert recipient["Action"] == action.value
    assert ("Will-Retry-Until" in recipient) is (action is Action.DELAYED)


def test_several_recipients_have_a_block_each() -> None:
    """Each recipient is told of by itself."""
    found = blocks(report(failed("a@labo.fr"), failed("b@labo.fr", "5.2.2")))
    assert [block["Status"] for block in found[1:]] == ["5.1.1", "5.2.2"]
    text = words_of(parts(report(failed("a@labo.fr"), failed("b@labo.fr", "5.2.2")))[1][0])
    assert "n'a pas pu être remis aux destinataires suivants ;" in text
    assert "to the following recipients;" in text


def test_addresses_in_utf_8_take_the_forms_of_their_own() -> None:
    """RFC 6533 §4: global-delivery-status with utf-8 addresses."""
    octets = report(failed("élodie@labo.fr"), header=HEADER.replace(b"Claire", "Élise".encode()))
    assert b"report-type=global-delivery-status" in octets
    assert b"Content-Type: message/global-delivery-status" in octets
    assert "Final-Recipient: utf-8; élodie@labo.fr".encode() in octets
    assert b"Content-Type: message/global-headers" in octets


@pytest.mark.parametrize("text", ["a\r\nBcc: x@y.fr", "\x00\x1b[31m", "é" * 9000, "x" * 9000, "\u2028--=_r.1\u2028"])
def test_what_another_server_said_stays_in_its_line(text: str) -> None:
    """Line breaks, control characters and length of a remote answer break nothing."""
    octets = report(failed(diagnostic=text, remote=text, original=f"rfc822;{text}"), envelope_id=text)
    _, recipient = blocks(octets)
    assert len(parts(octets)[1]) == 3
    assert "Bcc" not in recipient
    assert recipient["Action"] == "failed"
    assert len(recipient["Diagnostic-Code"]) <= MAX_DIAGNOSTIC + len("smtp; ")


@pytest.mark.parametrize("header", [b"", b"\r\n", b"garbage\r\n\r\n", b"From: \xff\r\n\r\n", b"To: " + b"a" * 99999])
def test_any_header_gives_a_report(header: bytes) -> None:
    """A message whose header shows nothing that may be kept is reported without that part."""
    _, found = parts(report(failed(), header=header))
    assert len(found) == 2


def test_lines_fit() -> None:
    """No line is longer than a mail line may be (RFC 5322 §2.1.1), and each ends in CRLF."""
    octets = report(failed(diagnostic="x" * 9000), failed(status="4.4.7"))
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")


@pytest.mark.parametrize("status", [f"5.{key}" if "." in key else f"5.{key}.99" for key in BY_STATUS])
def test_sentences_are_in_both_languages(status: str) -> None:
    """Each known status has its own sentences in French and in English."""
    sentence = explain(status)
    assert sentence != explain("5.0.0")
    assert sentence.fr != sentence.en
    assert sentence.do_fr != sentence.do_en


def test_each_finding_is_explained() -> None:
    """Whatever this server can find has its sentence; what the other one says is explained by its status."""
    assert set(Cause) - set(BY_CAUSE) == {Cause.DELIVERED, Cause.REFUSED, Cause.DEFERRED}
    assert explain("4.7.5", Cause.EXPIRED) == BY_CAUSE[Cause.EXPIRED]
    assert explain("5.2.2", Cause.REFUSED) == explain("5.2.2")


SENTENCES = [*BY_STATUS.values(), *BY_CAUSE.values(), explain("")]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.en)
def test_sentences_read_on(sentence: Sentence) -> None:
    """What happened begins as a sentence, what to do goes on after a colon; both end."""
    for happened, todo in ((sentence.fr, sentence.do_fr), (sentence.en, sentence.do_en)):
        assert happened[0].isupper()
        assert todo[0].islower()
        assert (happened[-1], todo[-1]) == (".", ".")


@pytest.mark.parametrize("status", ["", "5", "5.0.0", "garbage", "5.9.9"])
def test_an_unknown_status_has_a_general_sentence(status: str) -> None:
    """There is always something to read."""
    assert explain(status).fr


def test_what_was_given_up() -> None:
    """A failure for want of time says that it was tried; what may have arrived isn't to be sent again at once."""
    given_up = failed(status="4.4.2", cause=Cause.LOST, finding="mx.labo.fr: closed", in_doubt=True)
    octets = report(given_up)
    text = words_of(parts(octets)[1][0])
    assert "puis a renoncé" in text
    assert "then gave up" in text
    assert "Il se peut que le destinataire l'ait reçu malgré tout" in text
    assert "À faire" not in text
    assert blocks(octets)[1]["Diagnostic-Code"] == "x-mssmail; mx.labo.fr: closed"
    assert "puis a renoncé" not in words_of(parts(report(failed()))[1][0])


def test_a_time_for_delivery_is_told() -> None:
    """When it was to be delivered stands with the message's own fields (RFC 2852 §5)."""
    to, sender, reporter, outcome = "claire@demo.fr", "postmaster@demo.fr", "mail.demo.fr", failed(cause=Cause.TOO_LATE)
    octets = render(Report(to, sender, reporter, "r.1@x", AT, AT, [outcome], deliver_by=AT + timedelta(hours=1)))
    assert blocks(octets)[0]["Deliver-By-Date"] == "Tue, 24 Nov 2026 11:00:00 +0000"


@pytest.mark.parametrize("header", [HEADER, b"From: <claire@demo.fr>\r\n\r\n"])
def test_nothing_behind_the_header_is_in_a_report(header: bytes) -> None:
    """Whoever hands over more than a header block tells no more: neither a field of the text nor a word of it."""
    octets = report(failed(), header=header + b"Canari <canari@x>\r\nTo: canari\r\n\r\nMessage-ID: <canari@y>\r\n")
    assert b"anari" not in octets
