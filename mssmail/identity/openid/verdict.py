"""What comes of a token: the professional it speaks for, or why it isn't taken."""

from dataclasses import dataclass

from mssmail.base.refusal import Reason


@dataclass(frozen=True, slots=True)
class Vouched:
    """A provider vouches for somebody."""

    provider: str
    """Its name in the settings."""
    holder: str
    """National id: digits as a rule, but not for all."""
    client: str
    """The program that got the token, by its id there; empty where the token doesn't say."""
    expires_at: float
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """It isn't taken. `detail`: fixed words for the trail, none of the token's own."""

    detail: str
    genuine: bool = False
    """Whether it was made by who it says and was good once, or for others: no guess, whatever else it is."""
    reason: Reason = Reason.TOKEN
