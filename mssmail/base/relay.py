"""What is asked of a courier that carries mail to another operator, and what it brings back. Knows no protocol.

A sender's wishes, one errand (a message to recipients of one domain), and for each recipient how the attempt ended.
Whether to try again, when, and whom to tell, is for those who asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, Flag, unique
from typing import Final

from mssmail.base.address import Address

MAX_ANSWER_CHARS: Final = 400


@unique
class Notify(Flag):
    """Of what a sender wants to hear, for one recipient (RFC 3461 §4.1); the numbers are what lies on disk."""

    SUCCESS = 1
    FAILURE = 2
    DELAY = 4

    @property
    def spelt(self) -> str:
        """NOTIFY's value."""
        return ",".join(str(each.name) for each in Notify if each in self) or "NEVER"


NEVER: Final = Notify(0)
"""NOTIFY=NEVER. Where none was given it is None: then failures are told, and delays may be."""


@unique
class By(Enum):
    """What DELIVERBY asks for once the time is over (RFC 2852 §4)."""

    NOTIFY = "N"
    """Go on trying, and tell the sender of the delay."""
    RETURN = "R"
    """Give up, and return the message."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the sender asked for the message as a whole."""

    ret: str = ""
    """`FULL` or `HDRS`; empty where not given (RFC 3461 §4.3)."""
    envid: str = ""
    """As given, in xtext (RFC 3461 §4.4)."""
    utf8: bool = False
    """An address or the header is in UTF-8 (RFC 6531 §3.4): only hosts that take that can be given it."""
    eight_bit: bool = False
    """The body has octets above 127 (RFC 6152)."""
    require_tls: bool = False
    """RFC 8689 §2."""
    priority: int = 0
    """−9 to 9 (RFC 6710 §4)."""
    by_s: int | None = None
    """Seconds left; below zero they are over, which only By.NOTIFY outlives. None: no time was set."""
    by: By = By.NOTIFY
    by_trace: bool = False
    """Each host on the way is to tell (RFC 2852 §4, T)."""


@dataclass(frozen=True, slots=True)
class RecipientWishes:
    """What the sender asked for one recipient."""

    notify: Notify | None = None
    orcpt: str = ""
    """As given, `rfc822;…` in xtext (RFC 3461 §4.2)."""


NO_WISHES: Final = RecipientWishes()
"""What most ask for."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One message to recipients of one domain: at least one, any number."""

    sender: Address | None
    """None: the null sender."""
    recipients: Sequence[tuple[Address, RecipientWishes]]
    wishes: Wishes
    size_octets: int
    """Of the message exactly as it will be given; one that turns out to be shorter or longer isn't sent."""

    @property
    def domain(self) -> str:
        return self.recipients[0][0].domain


@dataclass(frozen=True, slots=True)
class Answer:
    """A peer's reply, made safe to show."""

    code: int
    """200 to 599."""
    status: str
    """Enhanced status code, as `5.1.1`; empty where it gave none."""
    text: str
    """One line of printable ASCII, MAX_ANSWER_CHARS at most."""

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.status, self.text)))


@unique
class Cause(Enum):
    """How an attempt ended for a recipient: by the peer's word, or by what we found."""

    DELIVERED = "delivered"
    """The peer took it over."""
    REFUSED = "refused"
    """By the peer, for good."""
    DEFERRED = "deferred"
    """By the peer, for now."""
    # where to
    NO_DOMAIN = "no-domain"
    """The DNS knows no such name (RFC 5321 §5.1)."""
    NO_HOST = "no-host"
    """The name is there, but neither it nor its MX hosts have an address."""
    NULL_MX = "null-mx"
    """The domain takes no mail (RFC 7505)."""
    LOOP = "loop"
    """The domain's mail is to come to this server."""
    DNS_FAILED = "dns-failed"
    """SERVFAIL, a refusal, or no sense."""
    DNS_TIMED_OUT = "dns-timed-out"
    UNREACHABLE = "unreachable"
    """No connection to any of its hosts."""
    # TLS
    NO_STARTTLS = "no-starttls"
    """Not offered, refused, or something was slipped in before it (RFC 3207 §4.2)."""
    TLS_FAILED = "tls-failed"
    """The handshake ended, as when no version or suite is in common, or the peer doesn't take our certificate."""
    CERTIFICATE = "certificate"
    """The peer's chains to no anchor, or isn't fit for an operator's server."""
    EXPIRED = "expired"
    """The peer's certificate is out of date, or not yet in it."""
    REVOKED = "revoked"
    NOT_LISTED = "not-listed"
    """The peer's certificate is good, but the white list doesn't give its name the recipients' domain."""
    UNJUDGED = "unjudged"
    """What the peer's certificate is judged by is missing here: a revocation list, the white list."""
    # the dialogue
    LOST = "lost"
    """The connection ended."""
    TIMED_OUT = "timed-out"
    GARBAGE = "garbage"
    """What answers doesn't speak SMTP, or without end."""
    TOO_LARGE = "too-large"
    """Beyond the size that the peer announces (RFC 1870)."""
    NO_UTF8 = "no-utf8"
    """The peer doesn't take addresses or headers in UTF-8 (RFC 6531 §3.2)."""
    NO_EIGHT_BIT = "no-eight-bit"
    """The peer takes 7-bit mail alone, and what was signed may not be converted (RFC 6152 §3)."""
    NO_REQUIRE_TLS = "no-require-tls"
    """The peer doesn't vouch for TLS on the rest of the way (RFC 8689 §4.2)."""
    TOO_LATE = "too-late"
    """The time set by the sender is over, or shorter than the peer can promise (RFC 2852 §4)."""
    MALFORMED = "malformed"
    """The message holds a line end that isn't CRLF: it is given to nobody."""
    FAULT = "fault"
    """This server's own: it couldn't read the message now, or failed in a way that nobody thought of."""


_DEFAULTS: Final = {
    Cause.DELIVERED: "2.0.0",
    Cause.REFUSED: "5.0.0",
    Cause.DEFERRED: "4.0.0",
    Cause.NO_DOMAIN: "5.1.2",
    Cause.NO_HOST: "5.4.4",
    Cause.NULL_MX: "5.1.10",  # RFC 7505 §4.1
    Cause.LOOP: "5.4.6",
    Cause.DNS_FAILED: "4.4.3",
    Cause.DNS_TIMED_OUT: "4.4.3",
    Cause.UNREACHABLE: "4.4.1",
    Cause.NO_STARTTLS: "4.7.4",
    Cause.TLS_FAILED: "4.7.5",
    Cause.CERTIFICATE: "4.7.5",
    Cause.EXPIRED: "4.7.5",
    Cause.REVOKED: "4.7.5",
    Cause.NOT_LISTED: "4.7.5",
    Cause.UNJUDGED: "4.7.5",
    Cause.LOST: "4.4.2",
    Cause.TIMED_OUT: "4.4.2",
    Cause.GARBAGE: "4.5.0",
    Cause.TOO_LARGE: "5.3.4",
    Cause.NO_UTF8: "5.6.7",  # RFC 6531 §3.2
    Cause.NO_EIGHT_BIT: "5.6.3",
    Cause.NO_REQUIRE_TLS: "5.7.30",  # RFC 8689 §4.2
    Cause.TOO_LATE: "5.4.7",
    Cause.MALFORMED: "5.6.0",
    Cause.FAULT: "4.3.0",
}
"""Enhanced status codes (RFC 3463) of what we found, and where the peer gave none; the class says if it is for good."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the attempt ended for one recipient."""

    cause: Cause
    answer: Answer | None = None
    """The peer's, where it decided or led to this."""
    detail: str = ""
    """What we found, one printable line for trace and administrator, no content: `mx2.example: connection refused`."""
    in_doubt: bool = False
    """The message was sent whole, its reply never came: the peer may have it (RFC 5321 §4.5.3.2.6)."""

    @property
    def permanent(self) -> bool:
        """Whether trying again can't help."""
        return self.cause is not Cause.DELIVERED and _DEFAULTS[self.cause].startswith("5")

    @property
    def status(self) -> str:
        """Enhanced status code for reports: the peer's own, where it gave one that fits its reply."""
        given = "" if self.answer is None else self.answer.status
        default = _DEFAULTS[self.cause]
        return given if given[:1] == default[:1] else default


@dataclass(frozen=True, slots=True)
class Hop:
    """The host that an attempt reached; what isn't known yet is empty."""

    host: str
    """Its name, as MX or route give it."""
    client: str
    """Its IP address."""
    tls: str = ""
    """As `TLSv1.3`."""
    cipher: str = ""
    operator: str = ""
    """Its certificate's subject, printed (RFC 4514)."""
    dsn: bool = False
    """It takes over the reports that were asked for; a host that doesn't has only been relayed to (RFC 3461 §5.2.2)."""
    deliver_by: bool = False
    """It watches the time that was set (RFC 2852)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of an errand."""

    hop: Hop | None
    """The last host spoken with; None where none was reached."""
    outcomes: Sequence[Outcome]
    """One for each recipient, in the errand's order."""
