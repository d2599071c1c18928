"""An absence notice as a whole message: who is away, until when, in two languages; nothing of what it answers. Pure.

Not even the subject is repeated: it names patients (`XDM/1.0/DDM+… NOM prénom`), and the answer may be read by others.
"""

from dataclasses import dataclass
from datetime import datetime

from mssmail.mime.dates import format_date
from mssmail.mime.spelling import quoted_printable, unstructured

SUBJECT = "Réponse automatique : absence / Automatic reply: absence"
MAX_REFERENCE_OCTETS = 900
"""A Message-ID of a line's length; longer ones aren't repeated."""


@dataclass(frozen=True, slots=True)
class AbsenceNotice:
    """What is to be said to whom."""

    box: str
    to: str
    ident: str
    """Message-ID without its brackets."""
    reference: str
    """Message-ID of what it answers, with its brackets; may be empty."""
    from_at: datetime
    until_at: datetime
    """When it is over."""
    french: str
    """In the holder's own words, lines ending in LF; empty: a sentence of ours."""
    english: str
    written_at: datetime


def reference_of(value: bytes | None) -> str:
    """A Message-ID as it may be repeated; empty for one that can't be."""
    first = (value or b"").split()[:1]
    if not first or len(first[0]) > MAX_REFERENCE_OCTETS:
        return ""
    ident = first[0]
    sound = ident.isascii() and ident.startswith(b"<") and ident.endswith(b">") and ident.decode().isprintable()
    return ident.decode() if sound else ""


def render(notice: AbsenceNotice) -> bytes:
    """Spell it, lines ending in CRLF; marked so that nothing answers it (RFC 3834 §3.1.7, §5)."""
    head = [f"From: <{notice.box}>", f"To: <{notice.to}>", f"Subject: {unstructured(SUBJECT)}"]
    head += [f"Date: {format_date(notice.written_at).decode()}", f"Message-ID: <{notice.ident}>"]
    if notice.reference:
        head += [f"In-Reply-To: {notice.reference}", f"References: {notice.reference}"]
    head += ["Auto-Submitted: auto-replied", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
    head += ["Content-Transfer-Encoding: quoted-printable"]
    coded = quoted_printable(_text(notice))
    return "\r\n".join(head).encode() + b"\r\n\r\n" + coded + (b"" if coded.endswith(b"\r\n") else b"\r\n")


_FRENCH = "En cas d'urgence, adressez-vous ailleurs."
_ENGLISH = "Where it is urgent, please turn elsewhere."


def _text(notice: AbsenceNotice) -> str:
    french, english = notice.french.strip() or _FRENCH, notice.english.strip() or _ENGLISH
    since, until = notice.from_at, notice.until_at
    return f"""Bonjour,

La boîte {notice.box} n'est pas lue du {since:%d/%m/%Y} au {until:%d/%m/%Y}. Votre message y est arrivé.

{french}

Cette réponse est automatique, et n'est envoyée qu'une fois.

----

Hello,

The mailbox {notice.box} isn't read from {since:%Y-%m-%d} to {until:%Y-%m-%d}. Your message has arrived there.

{english}

This is an automatic reply, sent once.
"""
