"""The pure decisions: every combination has one answer, in the order that the rules give."""

from itertools import product

import pytest

from mssmail.base.address import Address
from mssmail.base.refusal import Reason
from mssmail.policy.access import access
from mssmail.policy.facts import AccessFacts, RecipientFacts, Standing
from mssmail.policy.receive import receive
from mssmail.policy.send import send
from mssmail.policy.verdict import ALLOW, Deny, Verdict

OWN = RecipientFacts(own_domain=True)


def said(verdict: Verdict) -> Reason | None:
    return verdict.reason if isinstance(verdict, Deny) else None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (RecipientFacts(False), Reason.OUTSIDE_TRUST),
        (RecipientFacts(False, Standing.OPEN, True, octets_left=9), Reason.OUTSIDE_TRUST),
        (RecipientFacts(True, Standing.SUSPENDED, True, octets_left=9), Reason.SUSPENDED),
        (RecipientFacts(True, Standing.SUSPENDED, False), Reason.SUSPENDED),
        (RecipientFacts(True, Standing.OPEN, False, octets_left=9), Reason.STRUCK_OFF),
        (RecipientFacts(True, Standing.CLOSED, False), Reason.STRUCK_OFF),
        (RecipientFacts(True, Standing.OPEN, True, octets_left=9), None),
        (RecipientFacts(True, Standing.OPEN, True, octets_left=9, octets_announced=9), None),
        (RecipientFacts(True, Standing.OPEN, True, octets_left=9, octets_announced=10), Reason.OVER_QUOTA),
        (RecipientFacts(True, Standing.OPEN, True, octets_left=0), Reason.OVER_QUOTA),
        (RecipientFacts(True, Standing.OPEN, False, octets_left=0), Reason.STRUCK_OFF),
        (RecipientFacts(True, Standing.CLOSED, True), Reason.NO_MAILBOX),
        (RecipientFacts(True, box_listed=True, box_holder_listed=True), Reason.NO_MAILBOX),
        (RecipientFacts(True, box_listed=True), Reason.STRUCK_OFF),
        (OWN, Reason.NOT_REGISTERED),
    ],
)
def test_receive(facts: RecipientFacts, reason: Reason | None) -> None:
    """Suspended, struck off, open, no mailbox, not registered: the first that holds."""
    assert said(receive(facts)) is reason


@pytest.mark.parametrize(
    ("own", "listed", "same", "delegated", "box", "box_listed", "reason"),
    [
        (Standing.OPEN, True, True, False, Standing.OPEN, True, None),
        (Standing.CLOSED, True, True, False, Standing.CLOSED, True, Reason.CREDENTIALS),
        (Standing.SUSPENDED, True, True, False, Standing.SUSPENDED, True, Reason.SUSPENDED),
        (Standing.OPEN, False, True, False, Standing.OPEN, False, Reason.STRUCK_OFF),
        (Standing.OPEN, True, False, True, Standing.OPEN, True, None),
        (Standing.OPEN, True, False, True, Standing.SUSPENDED, True, Reason.SUSPENDED),
        (Standing.OPEN, True, False, True, Standing.OPEN, False, Reason.STRUCK_OFF),
        (Standing.OPEN, True, False, False, Standing.OPEN, True, Reason.NOT_DELEGATED),
        (Standing.OPEN, True, False, False, Standing.SUSPENDED, True, Reason.NOT_DELEGATED),
        (Standing.OPEN, True, False, False, None, False, Reason.NOT_DELEGATED),
        (Standing.SUSPENDED, True, False, True, Standing.OPEN, True, Reason.SUSPENDED),
        (Standing.OPEN, False, False, True, Standing.OPEN, True, Reason.STRUCK_OFF),
    ],
)
def test_access(
    own: Standing,
    listed: bool,
    same: bool,
    delegated: bool,
    box: Standing | None,
    box_listed: bool,
    reason: Reason | None,
) -> None:
    """One's own standing comes first; another's box is told of only to its delegates."""
    assert said(access(AccessFacts(own, listed, same, delegated, box, box_listed))) is reason


def test_access_never_opens_by_chance() -> None:
    """Over all combinations, nobody gets in who or whose box isn't open and listed, or isn't theirs to open."""
    states, either = list(Standing), (False, True)
    for own, listed, same, delegated, box, box_listed in product(
        states, either, either, either, [*states, None], either
    ):
        if access(AccessFacts(own, listed, same, delegated, box, box_listed)) is ALLOW:
            assert own is Standing.OPEN
            assert listed
            assert same or delegated
            assert (box is Standing.OPEN and box_listed) or (box is None and same)


def test_send() -> None:
    """In one's own names alone, compared without case."""
    owned = {"claire.martin@demo.mssante.fr"}
    assert send(Address("Claire.Martin", "demo.mssante.fr"), owned) is ALLOW
    assert said(send(Address("paul", "demo.mssante.fr"), owned)) is Reason.NOT_YOUR_ADDRESS
