"""What a decision is made from: plain facts that somebody else has looked up. Knows no rows, files or clocks."""

from dataclasses import dataclass
from enum import Enum, unique


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
    delegated: bool = False
    """Whether the box asked for is delegated to the one that signs in."""
    box_standing: Standing | None = None
    """Of the box asked for; None where there is none of that name."""
    box_holder_listed: bool = False
