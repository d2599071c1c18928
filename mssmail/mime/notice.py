"""A notice from the server to the holder of a box: a plain text in two languages, as a whole message."""

from dataclasses import dataclass
from datetime import datetime

from mssmail.mime.dates import format_date
from mssmail.mime.spelling import quoted_printable, unstructured


@dataclass(frozen=True, slots=True)
class Notice:
    """What to tell, and to whom."""

    sender: str
    """The address that it comes from, US-ASCII; nobody reads answers to it."""
    to: str
    ident: str
    """Message-ID without its brackets."""
    subject: str
    text: str
    """Lines ending in LF."""
    written_at: datetime


def render(notice: Notice) -> bytes:
    """Spell a notice, lines ending in CRLF, 7-bit but for an address that isn't; marked so that nothing answers it."""
    coded = quoted_printable(notice.text)
    head = [
        f"From: Serveur de messagerie <{notice.sender}>",
        f"To: <{notice.to}>",
        f"Subject: {unstructured(notice.subject)}",
        f"Date: {format_date(notice.written_at).decode()}",
        f"Message-ID: <{notice.ident}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + coded + (b"" if coded.endswith(b"\r\n") else b"\r\n")
