"""The two doors of submission (RFC 6409, RFC 8314): what each asks before a client may sign in, and what it announces.

Both take the same mechanisms and certificates (DEMO-CONTRACT's "Signing in"); they differ in when TLS begins.
"""

from enum import Enum, unique

from mssmail.settings.model import Settings
from mssmail.wire.sasl.registry import Need, offered


@unique
class Role(Enum):
    """A listener's kind, by the name that settings and `demo.json` give it."""

    SUBMISSION = "submission"
    """TLS begins by STARTTLS, and nothing of worth is said before."""
    SUBMISSIONS = "submissions"
    """TLS from the first octet."""

    @property
    def implicit_tls(self) -> bool:
        return self is Role.SUBMISSIONS


def announcement(settings: Settings, there: frozenset[Need], *, tls: bool) -> bytes:
    """The whole answer to EHLO; `there`: what mechanisms may need. AUTH only over TLS, STARTTLS only before it."""
    keywords = [
        settings.server.name,
        "PIPELINING",
        f"SIZE {int(settings.smtp.max_message_size)}",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
        "CHUNKING",
        # RFC 9422 §4.2. No MAILMAX: a session may hold as many messages as it likes, an hour's limit is the account's.
        f"LIMITS RCPTMAX={settings.smtp.max_recipients}",
        "AUTH " + " ".join(offered(there)) if tls else "STARTTLS",
        "ENHANCEDSTATUSCODES",
    ]
    lines = [f"250-{keyword}\r\n" for keyword in keywords]
    lines[-1] = lines[-1].replace("-", " ", 1)
    return "".join(lines).encode("ascii")
