"""What stands around a message that is sent on whole, from a box to another one. Pure.

Of the original nothing is changed; it lies in the new message as it came. The new one's header says nothing of it but
where it has been: its Received fields are taken over, by which a loop is known, however often it is sent on.
"""

from dataclasses import dataclass
from datetime import datetime

from mssmail.mime.dates import format_date
from mssmail.mime.headers import HeaderBlock, header_fields
from mssmail.mime.spelling import quoted_printable, unstructured
from mssmail.mime.trace import received_by

SUBJECT = "Message transféré / Forwarded message"


@dataclass(frozen=True, slots=True)
class Wrapping:
    """Whose box it is sent on from, and where to."""

    box: str
    to: str
    ident: str
    """Message-ID without its brackets; the boundary is made of what stands before the `@`, which nobody may foresee."""
    written_at: datetime
    wide: bool
    """Whether the original is one whose header may hold UTF-8 (RFC 6532), as this one's then may."""
    eight_bit: bool
    """Whether any of it does."""


def around(wrapping: Wrapping, header: bytes) -> tuple[bytes, bytes]:
    """What goes before and after the original, whose header block this is (RFC 2046 §5.2.1, RFC 6532 §3.7)."""
    boundary = f"=_{wrapping.ident.partition('@')[0]}"
    trace = header_fields(header, [b"received"], exclude=False).rstrip(b"\r\n")
    if not wrapping.wide:
        trace = trace.decode("ascii", "replace").encode("ascii", "replace")
    lines = [
        f"From: <{wrapping.box}>",
        f"To: <{wrapping.to}>",
        f"Subject: {unstructured(SUBJECT)}",
        f"Date: {format_date(wrapping.written_at).decode()}",
        f"Message-ID: <{wrapping.ident}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
    ]
    coding = "8bit" if wrapping.eight_bit or wrapping.wide else "7bit"
    kind = "message/global" if wrapping.wide else "message/rfc822"
    original = [f"--{boundary}", f"Content-Type: {kind}", f"Content-Transfer-Encoding: {coding}", "", ""]
    before = (trace + b"\r\n" if trace else b"") + "\r\n".join(lines).encode() + b"\r\n"
    before += quoted_printable(_text(wrapping.box)) + b"\r\n" + "\r\n".join(original).encode()
    return before, f"\r\n--{boundary}--\r\n".encode()


def _text(box: str) -> str:
    return f"""Message reçu par {box}, qui transfère son courrier ici. Il est joint tel qu'il est arrivé.

----

Message received by {box}, whose mail is forwarded here. It is attached as it came.
"""


def passages(header: HeaderBlock, server: str) -> int:
    """How often a message was at a server, by its Received fields."""
    own = server.lower().encode()
    return sum(received_by(value) == own for value in header.all(b"received"))
