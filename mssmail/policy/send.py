"""In whose name one may write: one's own box, or one delegated for that (AU-037 art. 7)."""

from mssmail.base.refusal import Reason
from mssmail.base.rights import Right
from mssmail.policy.facts import SenderFacts
from mssmail.policy.verdict import ALLOW, Deny, Verdict


def send(facts: SenderFacts) -> Verdict:
    """Decide on a MAIL FROM or an address of header From."""
    if facts.own:
        return ALLOW
    if not facts.delegated:
        return Deny(Reason.NOT_YOUR_ADDRESS, "neither the identity's own nor delegated to it")
    if Right.SEND not in facts.delegated:
        return Deny(Reason.NO_RIGHT, "delegated without the right to send")
    if not facts.holder_listed:
        return Deny(Reason.NOT_YOUR_ADDRESS, "delegated, its holder absent from the newest extract")
    return ALLOW
