"""Delivery status notifications: what became of a message, for people and for programs (RFC 3464, RFC 6522).

Three parts: French and English sentences, the fields of RFC 3464 §2, and of the message itself its trace and threading
fields alone (`KEPT`): neither its subject, which names patients, nor anything of its body ever stands in a report, so
that RET=FULL gives no more than RET=HDRS (RFC 3461 §4.3 lets a report hold less). Where an address needs UTF-8 the
forms of RFC 6533 are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique
from typing import Final

from mssmail.base.relay import Cause
from mssmail.mime.dates import format_date
from mssmail.mime.explain import explain
from mssmail.mime.headers import fields, first
from mssmail.mime.spelling import quoted_printable, unstructured

KEPT: Final = ("from", "to", "cc", "date", "message-id", "in-reply-to", "references")
"""Fields of the message that its report shows. Never the subject: `XDM/1.0/DDM+… NOM prénom` stands in it."""
MAX_KEPT_OCTETS: Final = 16 * 1024
MAX_DIAGNOSTIC: Final = 400
"""Characters of another server's answer: it may say anything."""


@unique
class Action(Enum):
    """What became of the message for one recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipient's part of a report."""

    recipient: str
    action: Action
    status: str
    """Enhanced status code, as `5.1.1` (RFC 3463); of class 4 in a failure where it was tried until it was given up."""
    cause: Cause | None = None
    """What this server found, where it isn't another's word."""
    in_doubt: bool = False
    """Whether the other server may have taken the message all the same."""
    original: str | None = None
    """ORCPT as given, `rfc822;…`, decoded from xtext (RFC 3461 §4.2)."""
    remote: str | None = None
    """The server that answered, by name."""
    diagnostic: str | None = None
    """Its answer, code and text."""
    finding: str | None = None
    """Without an answer: what this server found."""
    attempted_at: datetime | None = None
    retried_until: datetime | None = None
    """For a delay: when it is given up."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report to be written. All of its outcomes have one action."""

    to: str
    """The message's sender, who gets it."""
    sender: str
    """The address that it comes from, US-ASCII."""
    reporter: str
    """This server's name."""
    ident: str
    """Message-ID of the report, without its angle brackets."""
    written_at: datetime
    arrived_at: datetime
    """When this server took the message, in the zone that people read times in, as all other times."""
    outcomes: Sequence[Outcome]
    envelope_id: str | None = None
    """ENVID, decoded from xtext (RFC 3461 §4.4)."""
    deliver_by: datetime | None = None
    """When it was to be delivered, where the sender said so (RFC 2852 §5)."""
    header: bytes = b""
    """The message's header block, of which KEPT is shown."""


@dataclass(frozen=True, slots=True)
class _Wording:
    subject_fr: str
    fr: str
    """`{sent}`: when the message was sent; `{to}`: that the recipients follow."""
    en: str


_WORDINGS: Final = {
    Action.FAILED: _Wording(
        "Message non remis",
        "Votre message du {sent} n'a pas pu être remis {to} ; il n'y aura pas d'autre essai.",
        "Your message of {sent} could not be delivered to {to}; it isn't tried again.",
    ),
    Action.DELAYED: _Wording(
        "Message retardé",
        "Votre message du {sent} n'a pas encore pu être remis {to}. Le serveur continue d'essayer : vous n'avez pas à "
        "le renvoyer. S'il y a urgence, joignez le destinataire autrement.",
        "Your message of {sent} has not yet been delivered to {to}. The server goes on trying: there is no need to "
        "send it again. Where it is urgent, reach the recipient in another way.",
    ),
    Action.DELIVERED: _Wording(
        "Message remis",
        "Votre message du {sent} a été remis {to}, comme vous aviez demandé à le savoir. Cela ne dit pas qu'il a été "
        "lu.",
        "Your message of {sent} was delivered to {to}, as you had asked to be told. That doesn't say that it was read.",
    ),
    Action.RELAYED: _Wording(
        "Message transmis",
        "Votre message du {sent} a été transmis à un autre opérateur, qui ne confirmera pas la remise {to}.",
        "Your message of {sent} was handed to another operator, which won't confirm its delivery to {to}.",
    ),
}
_ONE: Final = ("au destinataire suivant", "the following recipient")
_SEVERAL: Final = ("aux destinataires suivants", "the following recipients")
_PRIVACY_FR: Final = (
    "Par confidentialité, ni l'objet ni le contenu de votre message ne sont repris ici : retrouvez-le à cette date "
    "parmi vos messages envoyés."
)
_PRIVACY_EN: Final = (
    "For privacy neither subject nor content of your message are repeated here: look for it by its date among those "
    "that you sent."
)
_DOUBT_FR: Final = (
    "Il se peut que le destinataire l'ait reçu malgré tout : demandez-le-lui avant de l'envoyer de nouveau."
)
_DOUBT_EN: Final = "The recipient may have got it all the same: ask before you send it again."


def render(report: Report) -> bytes:
    """Spell a report as a whole message, lines ending in CRLF, 7-bit but for the forms of RFC 6533."""
    action = report.outcomes[0].action
    wide = not all(each.recipient.isascii() and (each.original or "").isascii() for each in report.outcomes)
    wide = wide or not report.to.isascii()
    header = shown(report.header)
    boundary = f"=_{report.ident.split('@')[0]}"
    parts = [
        _part(boundary, "text/plain; charset=utf-8", quoted_printable(_words(report, action)), "quoted-printable"),
        _part(boundary, f"message/{'global-' if wide else ''}delivery-status", _fields(report, wide=wide)),
    ]
    if header:
        kind = "text/rfc822-headers" if header.isascii() else "message/global-headers"
        parts.append(_part(boundary, kind, header))
    return _head(report, action, boundary, wide=wide) + b"".join(parts) + f"--{boundary}--\r\n".encode()


def _head(report: Report, action: Action, boundary: str, *, wide: bool) -> bytes:
    """Subject in both languages, auto-replied (RFC 3834 §3.1.7), threaded to the message it is about."""
    english = {Action.FAILED: "undelivered", Action.DELAYED: "delayed"}.get(action, action.value)
    subject = f"{_WORDINGS[action].subject_fr} / Mail {english}"
    lines = [
        f"From: Serveur de messagerie <{report.sender}>",
        f"To: <{report.to}>",
        f"Subject: {unstructured(subject)}",
        f"Date: {format_date(report.written_at).decode()}",
        f"Message-ID: <{report.ident}>",
        *_threaded(report.header),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={'global-' if wide else ''}delivery-status;",
        f'\tboundary="{boundary}"',
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _threaded(header: bytes) -> list[str]:
    """In-Reply-To and References, so that a mail program shows the report beside what was sent."""
    ident = (first(header, b"message-id") or b"").split()
    if not ident or not ident[0].isascii() or len(ident[0]) > 900:
        return []
    name = ident[0].decode()
    return [f"In-Reply-To: {name}", f"References: {name}"]


def _part(boundary: str, kind: str, body: bytes, encoding: str = "") -> bytes:
    coded = encoding or ("7bit" if body.isascii() else "8bit")
    head = f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {coded}\r\n\r\n"
    return head.encode() + body + (b"" if body.endswith(b"\r\n") else b"\r\n")


def _words(report: Report, action: Action) -> str:
    """What a doctor reads: French, a line, English."""
    wording = _WORDINGS[action]
    one = len(report.outcomes) == 1
    to_fr, to_en = _ONE if one else _SEVERAL
    french = ["Bonjour,", "", wording.fr.format(sent=_moment_fr(report.arrived_at), to=to_fr), ""]
    english = ["Hello,", "", wording.en.format(sent=_moment_en(report.arrived_at), to=to_en), ""]
    for outcome in report.outcomes:
        fr, en = _told(outcome)
        french += [f"  {outcome.recipient}", *(f"    {line}" for line in fr), ""]
        english += [f"  {outcome.recipient}", *(f"    {line}" for line in en), ""]
    lines = [*french, _PRIVACY_FR, "", "-" * 40, "", *english, _PRIVACY_EN, ""]
    return "\n".join(lines)


def _told(outcome: Outcome) -> tuple[list[str], list[str]]:
    """What happened to one recipient's copy and what to do, then what support needs; French and English."""
    if outcome.action not in (Action.FAILED, Action.DELAYED):
        return [], []
    sentence = explain(outcome.status, outcome.cause)
    fr, en = [sentence.fr], [sentence.en]
    if outcome.action is Action.FAILED:
        if outcome.status.startswith("4"):
            fr.append("Le serveur a essayé aussi longtemps qu'il le peut, puis a renoncé.")
            en.append("The server tried for as long as it may, then gave up.")
        fr.append(_DOUBT_FR if outcome.in_doubt else f"À faire : {sentence.do_fr}")
        en.append(_DOUBT_EN if outcome.in_doubt else f"What to do: {sentence.do_en}")
    elif outcome.retried_until is not None:
        fr.append(f"Derniers essais : le {_moment_fr(outcome.retried_until)}.")
        en.append(f"It is given up on {_moment_en(outcome.retried_until)}.")
    answer = outcome.diagnostic or outcome.finding or ""
    host = outcome.remote if outcome.remote and outcome.remote not in answer else ""
    for_support = ", ".join(filter(None, (outcome.status, _plain(host), _plain(answer))))
    fr.append(f"Pour le support : {for_support}")
    en.append(f"For support: {for_support}")
    return fr, en


def _moment_fr(at: datetime) -> str:
    return f"{at:%d/%m/%Y à %H:%M} ({at:%Z})"


def _moment_en(at: datetime) -> str:
    return f"{at:%Y-%m-%d at %H:%M} ({at:%Z})"


def _fields(report: Report, *, wide: bool) -> bytes:
    """RFC 3464 §2.2 and §2.3; addresses of RFC 6533 §4.1 where they need it."""
    about = [f"Reporting-MTA: dns; {report.reporter}", f"Arrival-Date: {format_date(report.arrived_at).decode()}"]
    if report.envelope_id is not None:
        about.insert(0, f"Original-Envelope-Id: {_plain(report.envelope_id)}")
    if report.deliver_by is not None:
        about.append(f"Deliver-By-Date: {format_date(report.deliver_by).decode()}")
    blocks = [about]
    for outcome in report.outcomes:
        kind = "rfc822" if outcome.recipient.isascii() else "utf-8"
        lines = [f"Final-Recipient: {kind}; {outcome.recipient}", f"Action: {outcome.action.value}"]
        lines.append(f"Status: {outcome.status}")
        if outcome.original is not None:
            lines.insert(0, f"Original-Recipient: {_original(outcome.original)}")
        if outcome.remote is not None:
            lines.append(f"Remote-MTA: dns; {_plain(outcome.remote)}")
        if outcome.diagnostic is not None:
            lines.append(f"Diagnostic-Code: smtp; {_plain(outcome.diagnostic)}")
        elif outcome.finding is not None:
            lines.append(f"Diagnostic-Code: x-mssmail; {_plain(outcome.finding)}")
        if outcome.attempted_at is not None:
            lines.append(f"Last-Attempt-Date: {format_date(outcome.attempted_at).decode()}")
        if outcome.retried_until is not None and outcome.action is Action.DELAYED:
            lines.append(f"Will-Retry-Until: {format_date(outcome.retried_until).decode()}")
        blocks.append(lines)
    text = "\r\n\r\n".join("\r\n".join(lines) for lines in blocks) + "\r\n"
    return text.encode("utf-8" if wide else "ascii", "replace")


def _original(orcpt: str) -> str:
    kind, _, address = orcpt.partition(";")
    return f"{_plain(kind)}; {_plain(address, wide=True)}"


def _plain(text: str, *, wide: bool = False) -> str:
    """One line of printable characters, bounded: what another server or program said may hold anything."""
    kept = "".join(c if c.isprintable() and (wide or c.isascii()) else "?" for c in " ".join(text.split()))
    return kept[:MAX_DIAGNOSTIC]


def shown(header: bytes) -> bytes:
    """The fields of a header block, or of a message's beginning, that may be shown: whole fields up to a bound.

    No blank line at the end, and nothing of what comes behind it.
    """
    found = _picked(header, frozenset(name.encode() for name in KEPT))
    if len(found) > MAX_KEPT_OCTETS:
        found = _picked(header, frozenset({b"from", b"date", b"message-id"}))
    if not found or len(found) > MAX_KEPT_OCTETS:
        return b""
    try:
        found.decode()
    except UnicodeDecodeError:
        return b""
    return found.replace(b"\r\n", b"\n").replace(b"\r", b" ").replace(b"\n", b"\r\n") + b"\r\n"


def _picked(header: bytes, names: frozenset[bytes]) -> bytes:
    return b"".join(each.raw for each in fields(header) if each.name.lower() in names).rstrip(b"\r\n")
