"""Who is speaking: the outcome of a sign-in, handed to every use-case. And the verdict of the gate."""

from dataclasses import dataclass
from enum import Enum, unique

from mssmail.base.address import Address
from mssmail.base.dn import DistinguishedName
from mssmail.base.ids import AccountId
from mssmail.base.limits import NO_LIMITS, Limits
from mssmail.base.refusal import Refusal
from mssmail.base.relay import NO_WISHES, RecipientWishes
from mssmail.base.rights import FULL, Right


@unique
class Mechanism(Enum):
    """How somebody signed in."""

    EXTERNAL = "external"
    PASSWORD = "password"  # noqa: S105 - a name, not a secret
    TOKEN = "token"  # noqa: S105 - a name, not a secret


@unique
class BoxKind(Enum):
    """Kinds of box of the trust space (DOMAIN.md): a professional, an organisation, an application, a practice.

    CAB is read in the directory; no account of that kind is made yet. EMP is ours: an employee of a structure, on this
    server's own list and in no directory, who acts in boxes delegated to them and has none.
    """

    PER = "PER"
    ORG = "ORG"
    APP = "APP"
    CAB = "CAB"
    EMP = "EMP"


PERSONS = frozenset({BoxKind.PER, BoxKind.EMP})
"""Accounts that a person signs in to under their own name."""


@dataclass(frozen=True, slots=True)
class Door:
    """The connection that somebody knocks at."""

    protocol: str
    """`smtp`, `imap` or `https`."""
    client: str
    """The peer's IP address, as text."""
    certificate: bytes | None = None
    """The client certificate's DER that TLS verified against the configured anchors, if one was shown."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in person or application, and the box that is acted on."""

    person: AccountId
    """The account that signed in."""
    account: AccountId
    """The box acted on: the same, or one that `person` is delegated to."""
    address: Address
    """The acted-on box's address."""
    kind: BoxKind
    mechanism: Mechanism
    epoch: int
    """Sum of both accounts' epochs at sign-in; once the stored ones differ, the session ends."""
    client: str
    """The peer's IP address."""
    protocol: str
    serial: int | None = None
    """Serial of the certificate signed in with, so that its revocation ends the session."""
    issuer: bytes | None = None
    """DER of that certificate's issuer name."""
    authorization: int | None = None
    """Number of the authorization whose token was signed in with, so that its revocation ends the session."""
    until: float | None = None
    """When the session ends by itself, in epoch seconds; None for never."""
    rights: Right = FULL
    """What `person` may do in the box: everything in their own. In another's it is checked again at each act."""
    delegated_until: int | None = None
    """When the delegation ends that lets them in; None where it has no end, and in one's own box."""
    limits: Limits = NO_LIMITS
    """Of `person`'s account alone."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another operator at the other end of a connection, known by its certificate."""

    name: DistinguishedName
    """Its certificate's subject, by which the white list knows it."""
    client: str
    """The peer's IP address."""
    greeted: str
    """The name that it gives itself; proves nothing."""
    protocol: str = "smtp"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient that the gate let in."""

    address: Address
    account: AccountId
    term_s: int | None = None
    """The account's own retention term, None for the default."""
    wishes: RecipientWishes = NO_WISHES
    absent: bool = False
    """Its holder said that they may be away: who writes may be told so."""
    forward: "Forward | None" = None
    """Where its mail goes on to, if it does."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """A recipient at another operator's that the gate let in: no account is behind it here."""

    address: Address
    wishes: RecipientWishes = NO_WISHES

    @property
    def domain(self) -> str:
        return self.address.domain


LetIn = Recipient | Beyond


@dataclass(frozen=True, slots=True)
class Forward:
    """Where a recipient's mail goes on to, as the gate found it for this message."""

    address: Address
    to: LetIn | Refusal
    """A refusal: not there, not now."""
    keep: bool
    """Whether the recipient gets it too."""
