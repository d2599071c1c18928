"""Who may be written to: the gate, decided at RCPT before any octet of the message is read (CNIL 2013-096).

The order is part of the rule: it decides which cause a sender hears where several hold.
"""

from mssmail.base.refusal import Reason
from mssmail.policy.facts import RecipientFacts, Standing
from mssmail.policy.verdict import ALLOW, Deny, Verdict


def receive(facts: RecipientFacts) -> Verdict:
    """Decide on one recipient."""
    if not facts.own_domain:
        # what is relayed is this server's own people's: for others nothing ever is
        return Deny(Reason.RELAY, "not a domain of this server") if facts.from_outside else _beyond(facts)
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


def _beyond(facts: RecipientFacts) -> Verdict:
    """Another operator's box: its domain must be listed; the directory may know that its holder is gone."""
    if not facts.list_in_service:
        return Deny(Reason.UNAVAILABLE, "no white list is in service")
    if not facts.domain_listed:
        return Deny(Reason.OUTSIDE_TRUST, "the white list doesn't have the domain")
    if facts.patient_sound is not None:
        return ALLOW if facts.patient_sound else Deny(Reason.NOT_REGISTERED, "no INS matricule with its key")
    if facts.directory_stale:
        return Deny(Reason.DIRECTORY_STALE)
    if facts.box_listed:
        return ALLOW if facts.box_holder_listed else Deny(Reason.STRUCK_OFF, "holder absent from the newest extract")
    return ALLOW if facts.unlisted_boxes else Deny(Reason.NOT_REGISTERED, "no box of that address in the directory")


def _within_quota(facts: RecipientFacts) -> Verdict:
    """One message may overshoot where its size wasn't announced; an announced one that can't fit is refused."""
    if facts.octets_left <= 0 or facts.octets_announced > facts.octets_left:
        return Deny(Reason.OVER_QUOTA, f"{max(0, facts.octets_left)} octets left")
    return ALLOW
