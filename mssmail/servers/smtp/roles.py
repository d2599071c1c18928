"""What differs between the listeners of the SMTP side: how each begins TLS, and what it announces.

Submission has two doors (RFC 6409, RFC 8314), which take the same mechanisms and certificates (DEMO-CONTRACT's
"Signing in") and differ in when TLS begins. Other operators have one, where nobody signs in: they are known by their
certificates.
"""

from enum import Enum, unique
from typing import Final

from mssmail.servers.smtp.envelope import MIN_BY_S
from mssmail.settings.model import Settings
from mssmail.wire.sasl.registry import Need, offered


@unique
class Role(Enum):
    """A listener's kind, by the name that settings and `demo.json` give it."""

    SMTP = "smtp"
    """Other operators: TLS begins by STARTTLS, and nothing of worth is said before."""
    SUBMISSION = "submission"
    """The same for a server's own people."""
    SUBMISSIONS = "submissions"
    """TLS from the first octet."""

    @property
    def implicit_tls(self) -> bool:
        return self is Role.SUBMISSIONS


SUBMITTING: Final = (Role.SUBMISSION, Role.SUBMISSIONS)


def announcement(settings: Settings, there: frozenset[Need], *, tls: bool) -> bytes:
    """Submission's whole answer to EHLO; `there`: what mechanisms may need. AUTH only over TLS, STARTTLS before it."""
    last = "AUTH " + " ".join(offered(there)) if tls else "STARTTLS"
    return _announced(settings, settings.smtp.max_recipients, last)


def announcement_to_operators(settings: Settings, *, tls: bool) -> bytes:
    """The same to other operators. REQUIRETLS is true of all mail here: nothing ever leaves in clear (RFC 8689 §2)."""
    return _announced(settings, settings.operators.max_recipients, "REQUIRETLS" if tls else "STARTTLS")


def _announced(settings: Settings, recipients: int, last: str) -> bytes:
    keywords = [
        settings.server.name,
        "PIPELINING",
        f"SIZE {int(settings.smtp.max_message_size)}",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "CHUNKING",
        # To operators too: a message that is to be returned once its time is over goes only where that is on offer.
        f"DELIVERBY {MIN_BY_S}",
        "MT-PRIORITY MIXER",
        # RFC 9422 §4.2. No MAILMAX: a session may hold as many messages as it likes, an hour's limit is its sender's.
        f"LIMITS RCPTMAX={recipients}",
        last,
        "ENHANCEDSTATUSCODES",
    ]
    lines = [f"250-{keyword}\r\n" for keyword in keywords]
    lines[-1] = lines[-1].replace("-", " ", 1)
    return "".join(lines).encode("ascii")
