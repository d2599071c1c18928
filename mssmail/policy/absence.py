"""Whether an absence is told to whoever wrote, and what an absence and a forwarding may be. Pure.

RFC 3834 §2: once for each sender, to people alone, who wrote to this box by name.
"""

from dataclasses import dataclass
from typing import Final

from mssmail.base.refusal import Reason
from mssmail.policy.verdict import ALLOW, Deny, Verdict

MAX_TERM_S: Final = 366 * 86_400
"""A year off is the longest absence; a forgotten one ends by itself."""
MAX_TEXT_OCTETS: Final = 4_096
"""Of each language."""


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What is known of a message that came to a box whose holder is away."""

    null_sender: bool
    automatic: bool
    """A program wrote it, or it went to many."""
    nobodys: bool
    """Nobody reads mail to its sender."""
    own: bool
    """It comes from the box itself."""
    named: bool
    """The box stands among those that it says it is to."""


def answers(facts: AnswerFacts) -> bool:
    """Whether the sender is told."""
    return facts.named and not (facts.null_sender or facts.automatic or facts.nobodys or facts.own)


def absence(from_at: int, until_at: int, now: float, texts: tuple[str, str]) -> Verdict:
    """Decide whether an absence can be set, its moments in seconds of the epoch."""
    if until_at <= from_at:
        return Deny(Reason.RULE, "it ends before it begins")
    if until_at <= now:
        return Deny(Reason.RULE, "it is over already")
    if until_at - from_at > MAX_TERM_S:
        return Deny(Reason.RULE, "an absence lasts a year at most")
    if any(len(text.encode()) > MAX_TEXT_OCTETS for text in texts):
        return Deny(Reason.RULE, f"a text may have {MAX_TEXT_OCTETS} octets")
    return ALLOW


@dataclass(frozen=True, slots=True)
class ForwardFacts:
    """What is known of a forwarding that is to be set; whether the gate lets its target in is asked apart."""

    to_itself: bool
    to_patient: bool
    beyond: bool
    """The target is another operator's."""
    keep: bool
    """The box gets its mail too."""


def forward(facts: ForwardFacts) -> Verdict:
    """Decide whether a box's mail may go on there."""
    if facts.to_itself:
        return Deny(Reason.RULE, "a box can't forward to itself")
    if facts.to_patient:
        return Deny(Reason.RULE, "mail isn't forwarded to patients")
    if facts.beyond and not facts.keep:
        return Deny(Reason.RULE, "what goes to another operator is kept here too: it might not arrive there")
    return ALLOW
