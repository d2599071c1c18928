"""In whose name another operator may write."""

import pytest

from mssmail.base.refusal import Reason
from mssmail.policy.facts import RecipientFacts, Standing
from mssmail.policy.operator import DomainFacts, write_for
from mssmail.policy.receive import receive
from mssmail.policy.verdict import Deny


def reason(verdict: object) -> Reason | None:
    return verdict.reason if isinstance(verdict, Deny) else None


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        (DomainFacts(list_in_service=True, listed=True), None),
        (DomainFacts(list_in_service=True), Reason.NOT_LISTED),
        (DomainFacts(list_in_service=True, own=True, listed=True), Reason.OWN_DOMAIN),
        (DomainFacts(list_in_service=False, own=True, listed=True), Reason.UNAVAILABLE),
    ],
)
def test_write_for(facts: DomainFacts, refused: Reason | None) -> None:
    """For listed domains alone, never for this server's, and for none while no list says which."""
    assert reason(write_for(facts)) is refused


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("unanswered", [True, False])
def test_recipients_from_outside(own: bool, unanswered: bool) -> None:
    """Beyond our own domains nothing is taken whoever writes; a patient who may not is told so before all else."""
    facts = RecipientFacts(
        own_domain=own,
        standing=Standing.OPEN,
        holder_listed=True,
        from_outside=True,
        patient_unanswered=unanswered,
        octets_left=1,
    )
    expected = Reason.RELAY if not own else Reason.PATIENT if unanswered else None
    assert reason(receive(facts)) is expected
