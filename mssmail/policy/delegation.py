"""Who may be given what in whose box, for how long, and by whom.

A professional's or an organisation's box is opened to persons, who act under their own names. Its owner and an
administrator give what they like; a delegate who manages gives no more than they have, for no longer, and never the
right to manage: nobody's rights grow by passing them on.
"""

from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason
from mssmail.base.rights import Right
from mssmail.policy.facts import DelegationFacts
from mssmail.policy.verdict import ALLOW, Deny, Verdict

BOXES = frozenset({BoxKind.PER, BoxKind.ORG})
DELEGATES = frozenset({BoxKind.PER, BoxKind.EMP})


def give(facts: DelegationFacts) -> Verdict:
    """Decide on a delegation, in place of what its delegate has."""
    wanted = facts.wanted
    if facts.box not in BOXES or facts.delegate not in DELEGATES:
        return Deny(Reason.DELEGATION, f"{facts.box.value} can't be delegated to {facts.delegate.value}")
    if facts.same_box:
        return Deny(Reason.DELEGATION, "one's own box")
    if facts.delegate is BoxKind.EMP and Right.MANAGE in wanted.rights:
        return Deny(Reason.DELEGATION, "only a registered professional manages a box")
    if not wanted.rights:
        return Deny(Reason.DELEGATION, "no right is given")
    if Right.WRITE in wanted.rights and Right.READ not in wanted.rights:
        return Deny(Reason.DELEGATION, "who may write must be allowed to read")
    if wanted.until_at is not None and wanted.until_at <= max(wanted.from_at, facts.now):
        return Deny(Reason.DELEGATION, "it ends before it begins")
    if facts.max_term_s is not None:
        if wanted.until_at is None:
            return Deny(Reason.DELEGATION, "an end is needed: delegation.max_term")
        if wanted.until_at - max(wanted.from_at, facts.now) > facts.max_term_s:
            return Deny(Reason.DELEGATION, "longer than delegation.max_term")
    return _within(facts, wanted.rights, wanted.until_at)


def withdraw(facts: DelegationFacts) -> Verdict:
    """Decide on taking back what a delegate has."""
    return _within(facts, facts.held, facts.giver_until_at)


def passed_on(giver: Right) -> Right:
    """What a delegate with these rights may give and take back."""
    return giver & ~Right.MANAGE if Right.MANAGE in giver else Right(0)


def _within(facts: DelegationFacts, rights: Right, until_at: int | None) -> Verdict:
    if Right.MANAGE not in facts.giver:
        return Deny(Reason.NO_RIGHT, "without the right to manage")
    if facts.owner:
        return ALLOW
    if (rights | facts.held) & ~passed_on(facts.giver):
        return Deny(Reason.NO_RIGHT, "beyond the giver's own rights")
    if facts.giver_until_at is not None and (until_at is None or until_at > facts.giver_until_at):
        return Deny(Reason.NO_RIGHT, "beyond the giver's own term")
    return ALLOW
