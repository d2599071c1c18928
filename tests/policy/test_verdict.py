"""The pure decisions: every combination has one answer, in the order that the rules give."""

from dataclasses import replace
from itertools import product

import pytest

from mssmail.base.refusal import Reason
from mssmail.base.rights import FULL, NONE, Right
from mssmail.policy.access import access
from mssmail.policy.facts import AccessFacts, RecipientFacts, SenderFacts, Standing
from mssmail.policy.receive import receive
from mssmail.policy.send import send
from mssmail.policy.verdict import ALLOW, Deny, Verdict

OWN = RecipientFacts(own_domain=True)


def said(verdict: Verdict) -> Reason | None:
    return verdict.reason if isinstance(verdict, Deny) else None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (RecipientFacts(False), Reason.UNAVAILABLE),
        (RecipientFacts(False, list_in_service=True), Reason.OUTSIDE_TRUST),
        (RecipientFacts(False, Standing.OPEN, True, octets_left=9, list_in_service=True), Reason.OUTSIDE_TRUST),
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
    ("facts", "reason"),
    [
        ({}, None),
        ({"unlisted_boxes": False}, Reason.NOT_REGISTERED),
        ({"box_listed": True, "box_holder_listed": True, "unlisted_boxes": False}, None),
        ({"box_listed": True}, Reason.STRUCK_OFF),
        ({"directory_stale": True}, Reason.DIRECTORY_STALE),
        ({"directory_stale": True, "box_listed": True}, Reason.DIRECTORY_STALE),
        ({"patient_sound": True, "directory_stale": True, "unlisted_boxes": False}, None),
        ({"patient_sound": False}, Reason.NOT_REGISTERED),
        ({"patient_sound": True, "domain_listed": False}, Reason.OUTSIDE_TRUST),
        ({"list_in_service": False}, Reason.UNAVAILABLE),
        ({"from_outside": True}, Reason.RELAY),
    ],
    ids=str,
)
def test_receive_beyond(facts: dict[str, bool], reason: Reason | None) -> None:
    """At a listed domain whoever isn't known to be gone may be written to, by this server's own people alone."""
    listed: dict[str, bool] = {"list_in_service": True, "domain_listed": True}
    assert said(receive(replace(RecipientFacts(own_domain=False), **(listed | facts)))) is reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "listed", "same", "delegated", "box", "box_listed", "reason"),
    [
        (Standing.OPEN, True, True, NONE, Standing.OPEN, True, None),
        (Standing.CLOSED, True, True, NONE, Standing.CLOSED, True, Reason.CREDENTIALS),
        (Standing.SUSPENDED, True, True, NONE, Standing.SUSPENDED, True, Reason.SUSPENDED),
        (Standing.OPEN, False, True, NONE, Standing.OPEN, False, Reason.STRUCK_OFF),
        (Standing.OPEN, True, False, Right.READ, Standing.OPEN, True, None),
        (Standing.OPEN, True, False, Right.READ, Standing.SUSPENDED, True, Reason.SUSPENDED),
        (Standing.OPEN, True, False, Right.READ, Standing.OPEN, False, Reason.STRUCK_OFF),
        (Standing.OPEN, True, False, NONE, Standing.OPEN, True, Reason.NOT_DELEGATED),
        (Standing.OPEN, True, False, NONE, Standing.SUSPENDED, True, Reason.NOT_DELEGATED),
        (Standing.OPEN, True, False, NONE, None, False, Reason.NOT_DELEGATED),
        (Standing.OPEN, True, False, FULL & ~Right.READ, Standing.OPEN, True, Reason.NOT_DELEGATED),
        (Standing.SUSPENDED, True, False, Right.READ, Standing.OPEN, True, Reason.SUSPENDED),
        (Standing.OPEN, False, False, Right.READ, Standing.OPEN, True, Reason.STRUCK_OFF),
    ],
)
def test_access(
    own: Standing,
    listed: bool,
    same: bool,
    delegated: Right,
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
        states, either, either, [NONE, Right.READ, Right.SEND, FULL], [*states, None], either
    ):
        if access(AccessFacts(own, listed, same, delegated, box, box_listed)) is ALLOW:
            assert own is Standing.OPEN
            assert listed
            assert same or Right.READ in delegated
            assert (box is Standing.OPEN and box_listed) or (box is None and same)


@pytest.mark.parametrize(
    ("standing", "reason"),
    [(Standing.OPEN, Reason.SOURCE), (Standing.SUSPENDED, Reason.SUSPENDED), (Standing.CLOSED, Reason.CREDENTIALS)],
)
def test_source(standing: Standing, reason: Reason) -> None:
    """From an address that the account isn't let in from, nobody enters; a box in a worse state says that instead."""
    facts = AccessFacts(standing, True, True, box_standing=standing, box_holder_listed=True, source_allowed=False)
    assert said(access(facts)) is reason


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (SenderFacts(own=True), None),
        (SenderFacts(own=False), Reason.NOT_YOUR_ADDRESS),
        (SenderFacts(own=False, delegated=Right.SEND), None),
        (SenderFacts(own=False, delegated=FULL), None),
        (SenderFacts(own=False, delegated=FULL & ~Right.SEND), Reason.NO_RIGHT),
        (SenderFacts(own=False, delegated=FULL, holder_listed=False), Reason.NOT_YOUR_ADDRESS),
    ],
)
def test_send(facts: SenderFacts, reason: Reason | None) -> None:
    """In one's own names, and in those of boxes delegated for that, whose holders are registered."""
    assert said(send(facts)) is reason
