"""What a decision is made from: plain facts that somebody else has looked up. Knows no rows, files or clocks."""

from dataclasses import dataclass
from enum import Enum, unique

from mssmail.base.principal import BoxKind
from mssmail.base.rights import NONE, Delegation, Right


@unique
class Standing(Enum):
    """What state an account is in."""

    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """What is known of an address that somebody wants to write to."""

    own_domain: bool
    standing: Standing | None = None
    """Of the account with that address; None where there is none."""
    holder_listed: bool = False
    """Whether the newest extract has the account's holder (in an allowed profession, for a person)."""
    directory_stale: bool = False
    """Whether the directory is older than may be relied on."""
    box_listed: bool = False
    """Whether the directory has a box at the address, or somebody known by it."""
    box_holder_listed: bool = False
    """Whether it has one of that box's holders."""
    from_outside: bool = False
    """Whether it is another operator that writes."""
    patient_unanswered: bool = False
    """Whether a patient writes, and may not to this one."""
    list_in_service: bool = False
    """Whether there is a white list to know other domains by; or none is wanted, and no domain is listed."""
    domain_listed: bool = False
    """Whether it has the domain."""
    patient_sound: bool | None = None
    """At the patients' domain: whether it is an address that a patient can have; None at any other."""
    unlisted_boxes: bool = True
    """Whether an address beyond our domains needn't be in the directory."""
    octets_left: int = 0
    """Quota less what is used; below zero where a message overshot."""
    octets_announced: int = 0
    """By SIZE (RFC 1870); 0 where the sender didn't say."""


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """What is known of somebody who has proved who they are, and of the box they ask for."""

    standing: Standing
    """Of the account that signs in."""
    holder_listed: bool
    same_box: bool
    """Whether the box asked for is the one that signs in, or opened by the same certificate."""
    delegated: Right = NONE
    """What the one that signs in may do in the box asked for, by delegation, now."""
    box_standing: Standing | None = None
    """Of the box asked for; None where there is none of that name."""
    box_holder_listed: bool = False
    needed: Right = Right.READ
    """What a delegate must be allowed for this door to open."""
    source_allowed: bool = True
    """Whether the account that signs in may do so from this client's address."""


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What is known of an address in whose name somebody wants to write."""

    own: bool
    """Whether it is one's own box, open."""
    delegated: Right = NONE
    """What one may do in the box of that address, by delegation, now; nothing where that box isn't open."""
    holder_listed: bool = True
    """Whether the newest extract has that box's holder."""


@dataclass(frozen=True, slots=True)
class DelegationFacts:
    """What is known of a delegation that somebody wants to give, change or take back."""

    giver: Right
    """What the giver may do in the box now."""
    owner: bool
    """Whether the giver is the box's owner, or an administrator."""
    giver_until_at: int | None
    """When the giver's own right ends; None where it has no end."""
    box: BoxKind
    delegate: BoxKind
    same_box: bool
    held: Right
    """What the delegate has, in force or to come."""
    wanted: Delegation
    now: float
    max_term_s: float | None
    """The longest term that may be given; None where there is no limit."""
