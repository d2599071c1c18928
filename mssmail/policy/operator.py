"""In whose name another operator may write: for the domains that the white list gives its certificate, and no other."""

from dataclasses import dataclass

from mssmail.base.refusal import Reason
from mssmail.policy.verdict import ALLOW, Deny, Verdict


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What is known of a domain that an operator writes for."""

    list_in_service: bool
    own: bool = False
    """Whether it is one of this server's."""
    listed: bool = False
    """Whether the list gives it to this certificate; without a domain, whether it gives it any."""


def write_for(facts: DomainFacts) -> Verdict:
    """Decide on the domain of MAIL FROM or of an address of header From; on the null sender, by any domain."""
    if not facts.list_in_service:
        return Deny(Reason.UNAVAILABLE, "no white list is in service")
    if facts.own:
        return Deny(Reason.OWN_DOMAIN, "a domain of this server, from outside")
    return ALLOW if facts.listed else Deny(Reason.NOT_LISTED, "the white list doesn't give it to this certificate")
