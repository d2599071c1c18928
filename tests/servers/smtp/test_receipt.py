"""Read receipts: what a mail program sends without a sender, and what may not go so (RFC 8098)."""

import pytest

from mssmail.base.refusal import Reason
from mssmail.servers.smtp import replies
from tests.servers.smtp.harbour import Harbour
from tests.support.houses import DOMAIN

ME, PAUL = f"claire@{DOMAIN}", f"paul@{DOMAIN}"
HEAD = (
    "Message-ID: <9f3c1c1e-6a0d-4a4c-9b57-5d0a3f2d3b10@demo.mssante.fr>",
    "Date: Tue, 24 Nov 2026 10:00:00 +0100",
    f"From: Claire MARTIN <{ME}>",
    "User-Agent: Mozilla Thunderbird",
    "Content-Language: fr",
    "Subject: Return Receipt (displayed) - Bonjour",
    f"To: {PAUL}",
    "References: <a.1@demo.mssante.fr>",
    "MIME-Version: 1.0",
)
KIND = 'Content-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary="------------mdn05"'
WORDS = (
    "--------------mdn05",
    "Content-Type: text/plain; charset=UTF-8",
    "Content-Transfer-Encoding: 7bit",
    "",
    "This is a Return Receipt for the mail that you sent.",
    "",
)
NOTIFICATION = (
    "--------------mdn05",
    'Content-Type: message/disposition-notification; name="MDNPart2.txt"',
    "Content-Disposition: inline",
    "Content-Transfer-Encoding: 7bit",
    "",
    "Reporting-UA: Mozilla Thunderbird",
    f"Final-Recipient: rfc822;{ME}",
    "Original-Message-ID: <a.1@demo.mssante.fr>",
    "Disposition: manual-action/MDN-sent-manually; displayed",
    "",
)
HEADERS = (
    "--------------mdn05",
    'Content-Type: text/rfc822-headers; name="MDNPart3.txt"',
    "Content-Transfer-Encoding: 7bit",
    "Content-Disposition: inline",
    "",
    f"Return-Path: <{PAUL}>",
    "",
)
END = ("--------------mdn05--",)
RECEIPT = (*HEAD, KIND, "", *WORDS, *NOTIFICATION, *HEADERS, *END)


async def submit(harbour: Harbour, *lines: str) -> str:
    """A message without a sender; the reply to its end."""
    client = await harbour.signed_in()
    assert (await client.ask("MAIL FROM:<>")).startswith("250 2.1.0")
    assert (await client.ask(f"RCPT TO:<{PAUL}>")).startswith("250 2.1.5")
    await client.ask("DATA")
    return await client.ask(*lines, ".")


@pytest.mark.parametrize("headers", [HEADERS, ()], ids=["with-headers", "without"])
async def test_a_receipt_goes(harbour: Harbour, headers: tuple[str, ...]) -> None:
    """As Thunderbird writes it: delivered octet for octet behind our trace, and traced as its account's."""
    lines = (*HEAD, KIND, "", *WORDS, *NOTIFICATION, *headers, *END)
    assert (await submit(harbour, *lines)).startswith("250 2.6.0")
    (kept,) = await harbour.messages()
    assert kept.startswith(b"Return-Path: <>\r\nReceived: by localhost ")
    assert kept.endswith("\r\n".join(lines).encode() + b"\r\n")
    said = [str(harbour.home.house.trail.open(row)) for row in harbour.trail()]
    assert [ME in each for each in said if "'receipt': True" in each] == [True]


def changed(old: str, new: str) -> tuple[str, ...]:
    """The receipt with some of its text replaced."""
    text = "\r\n".join(RECEIPT)
    assert old in text
    return tuple(text.replace(old, new).split("\r\n"))


OTHERS = {
    "plain": (f"From: {ME}", f"To: {PAUL}", "", "Bonjour"),
    "empty": ("",),
    "delivery report": changed("report-type=disposition-notification", "report-type=delivery-status"),
    "no report type": changed("report-type=disposition-notification;", ""),
    "mixed": changed("multipart/report", "multipart/mixed"),
    "another second part": changed("message/disposition-notification", "text/plain"),
    "one part": (*HEAD, KIND, "", *NOTIFICATION, *END),
    "more parts": (*HEAD, KIND, "", *WORDS, *NOTIFICATION, *HEADERS, *HEADERS, *END),
    "asks for one itself": changed("User-Agent:", f"Disposition-Notification-To: {ME}\r\nX-Agent:"),
}


@pytest.mark.parametrize("which", OTHERS)
async def test_nothing_else_goes_without_a_sender(harbour: Harbour, which: str) -> None:
    """It is read to its end, refused with a reason that says what to do, and traced; nobody gets it."""
    said = await submit(harbour, *OTHERS[which])
    reason = Reason.BAD_HEADERS if which == "empty" else Reason.NULL_SENDER
    assert said == replies.REASONS[reason].decode().rstrip()
    assert await harbour.messages() == []
    assert reason.value in "".join(str(harbour.home.house.trail.open(row)) for row in harbour.trail())


async def test_a_receipt_is_ones_own(harbour: Harbour) -> None:
    """Who has no sender can't borrow an author either: From is the person's own."""
    said = await submit(harbour, *changed(f"MARTIN <{ME}>", f"DURAND <{PAUL}>"))
    assert said == replies.REASONS[Reason.NOT_YOUR_ADDRESS].decode().rstrip()
    assert await harbour.messages() == []
