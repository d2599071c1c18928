"""Who may open a box, once they have proved who they are.

A suspension and a strike-off are told, since only the person concerned gets here. Whether another box exists is not:
one that isn't there and one that isn't delegated, or not for what is asked, are refused alike.
"""

from mssmail.base.refusal import Reason
from mssmail.base.rights import Right
from mssmail.policy.facts import AccessFacts, Standing
from mssmail.policy.verdict import ALLOW, Deny, Verdict


def access(facts: AccessFacts) -> Verdict:
    """Decide on a sign-in."""
    own = _standing(facts.standing, holder_listed=facts.holder_listed)
    if own is not ALLOW:
        return own
    if not facts.source_allowed:
        return Deny(Reason.SOURCE)
    if facts.same_box and facts.box_standing is None:
        return ALLOW
    if facts.box_standing is None or not (facts.same_box or facts.needed in facts.delegated):
        return Deny(Reason.NOT_DELEGATED, "delegated, but not for this" if facts.delegated else "")
    return _standing(facts.box_standing, holder_listed=facts.box_holder_listed)


def keeps(opened_with: Right, now: Right) -> bool:
    """Whether a delegate's open session may stay: with more rights than it began with, never with fewer."""
    return opened_with in now


def _standing(standing: Standing, *, holder_listed: bool) -> Verdict:
    match standing:
        case Standing.CLOSED:
            return Deny(Reason.CREDENTIALS, "account closed")
        case Standing.SUSPENDED:
            return Deny(Reason.SUSPENDED)
        case Standing.OPEN:
            return ALLOW if holder_listed else Deny(Reason.STRUCK_OFF, "holder absent from the newest extract")
