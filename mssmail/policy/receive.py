"""Who may be written to: the gate, decided at RCPT before any octet of the message is read (CNIL 2013-096).

The order is part of the rule: it decides which cause a sender hears where several hold.
"""

from mssmail.base.refusal import Reason
from mssmail.policy.facts import RecipientFacts, Standing
from mssmail.policy.verdict import ALLOW, Deny, Verdict


def receive(facts: RecipientFacts) -> Verdict:
    """Decide on one recipient."""
    if not facts.own_domain:
        # whatever is relayed for this server's own people: for others nothing ever is
        return Deny(Reason.RELAY if facts.from_outside else Reason.OUTSIDE_TRUST, "not a domain of this server")
    if facts.patient_unanswered:
        # before anything that would tell a stranger who is here
        return Deny(Reason.PATIENT)
    if facts.standing is Standing.SUSPENDED:
        return Deny(Reason.SUSPENDED)
    if facts.directory_stale:
        # whatever it says of a registration, for or against, may have changed since
        return Deny(Reason.DIRECTORY_STALE)
    if facts.standing is not None and not facts.holder_listed:
        return Deny(Reason.STRUCK_OFF, "holder absent from the newest extract")
    if facts.standing is Standing.OPEN:
        return _within_quota(facts)
    if facts.standing is Standing.CLOSED:
        return Deny(Reason.NO_MAILBOX, "account closed")
    if facts.box_listed:
        if not facts.box_holder_listed:
            return Deny(Reason.STRUCK_OFF, "box listed, its holder absent from the newest extract")
        return Deny(Reason.NO_MAILBOX, "holder known, no account")
    return Deny(Reason.NOT_REGISTERED)


def _within_quota(facts: RecipientFacts) -> Verdict:
    """One message may overshoot where its size wasn't announced; an announced one that can't fit is refused."""
    if facts.octets_left <= 0 or facts.octets_announced > facts.octets_left:
        return Deny(Reason.OVER_QUOTA, f"{max(0, facts.octets_left)} octets left")
    return ALLOW
