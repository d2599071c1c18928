"""Who may give what in whose box: a table, and over all combinations nobody's rights grow by being passed on."""

from dataclasses import replace
from itertools import product

import pytest

from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason
from mssmail.base.rights import FULL, NONE, Delegation, Right, names_of, rights_of
from mssmail.policy.access import keeps
from mssmail.policy.delegation import give, withdraw
from mssmail.policy.facts import DelegationFacts
from mssmail.policy.verdict import ALLOW, Deny, Verdict

NOW = 1_000
READ = Right.READ
OWNER = DelegationFacts(
    giver=FULL,
    owner=True,
    giver_until_at=None,
    box=BoxKind.ORG,
    delegate=BoxKind.PER,
    same_box=False,
    held=NONE,
    wanted=Delegation(READ, NOW, None),
    now=NOW,
    max_term_s=None,
)
MANAGER = replace(OWNER, giver=READ | Right.SEND | Right.MANAGE, owner=False, giver_until_at=2_000)


def said(verdict: Verdict) -> Reason | None:
    return verdict.reason if isinstance(verdict, Deny) else None


def wanting(facts: DelegationFacts, rights: Right, from_at: int = NOW, until_at: int | None = None) -> DelegationFacts:
    return replace(facts, wanted=Delegation(rights, from_at, until_at))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (OWNER, None),
        (replace(OWNER, box=BoxKind.PER), None),
        (wanting(OWNER, FULL), None),
        (replace(OWNER, box=BoxKind.APP), Reason.DELEGATION),
        (replace(OWNER, delegate=BoxKind.ORG), Reason.DELEGATION),
        (replace(OWNER, same_box=True), Reason.DELEGATION),
        (wanting(OWNER, NONE), Reason.DELEGATION),
        (wanting(OWNER, Right.WRITE), Reason.DELEGATION),
        (wanting(OWNER, Right.WRITE | Right.SEND), Reason.DELEGATION),
        (wanting(OWNER, Right.SEND), None),
        (wanting(OWNER, READ, 0, NOW), Reason.DELEGATION),
        (wanting(OWNER, READ, 3_000, 3_000), Reason.DELEGATION),
        (wanting(OWNER, READ, 3_000, 3_001), None),
        (replace(wanting(OWNER, READ), max_term_s=60), Reason.DELEGATION),
        (replace(wanting(OWNER, READ, NOW, NOW + 60), max_term_s=60), None),
        (replace(wanting(OWNER, READ, NOW, NOW + 61), max_term_s=60), Reason.DELEGATION),
        (replace(wanting(OWNER, READ, 5_000, 5_060), max_term_s=60), None),
        (replace(OWNER, giver=FULL & ~Right.MANAGE, owner=False), Reason.NO_RIGHT),
        (replace(OWNER, giver=NONE, owner=False), Reason.NO_RIGHT),
        (wanting(MANAGER, READ | Right.SEND, NOW, 2_000), None),
        (wanting(MANAGER, READ, NOW, 2_001), Reason.NO_RIGHT),
        (wanting(MANAGER, READ), Reason.NO_RIGHT),
        (wanting(MANAGER, READ | Right.WRITE, NOW, 2_000), Reason.NO_RIGHT),
        (wanting(MANAGER, READ | Right.MANAGE, NOW, 2_000), Reason.NO_RIGHT),
        (replace(wanting(MANAGER, READ, NOW, 2_000), held=READ | Right.MANAGE), Reason.NO_RIGHT),
        (replace(wanting(MANAGER, READ, NOW, 2_000), held=READ | Right.WRITE), Reason.NO_RIGHT),
        (replace(wanting(MANAGER, READ), giver_until_at=None), None),
    ],
)
def test_give(facts: DelegationFacts, reason: Reason | None) -> None:
    """Kinds, rights, term, and what the giver may pass on: the first that is wrong."""
    assert said(give(facts)) is reason


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(OWNER, held=FULL), None),
        (replace(MANAGER, held=READ), None),
        (replace(MANAGER, held=READ | Right.WRITE), Reason.NO_RIGHT),
        (replace(MANAGER, held=Right.MANAGE), Reason.NO_RIGHT),
        (replace(MANAGER, giver=READ, held=READ), Reason.NO_RIGHT),
    ],
)
def test_withdraw(facts: DelegationFacts, reason: Reason | None) -> None:
    """Its owner withdraws anything, a manager what they could have given."""
    assert said(withdraw(facts)) is reason


def test_rights_never_grow() -> None:
    """Over all combinations, what a delegate gives is within what they have, and never the right to manage."""
    every = [Right(n) for n in range(FULL.value + 1)]
    for giver, held, rights in product(every, every, every):
        facts = replace(wanting(MANAGER, rights, NOW, 2_000), giver=giver, held=held)
        if give(facts) is ALLOW:
            assert Right.MANAGE in giver
            assert (rights | held) & ~giver == NONE
            assert Right.MANAGE not in rights | held


@pytest.mark.parametrize(
    ("delegation", "at", "rights"),
    [
        (Delegation(FULL, 10, 20), 9.9, NONE),
        (Delegation(FULL, 10, 20), 10.0, FULL),
        (Delegation(FULL, 10, 20), 19.9, FULL),
        (Delegation(FULL, 10, 20), 20.0, NONE),
        (Delegation(READ, 10, None), 1e12, READ),
    ],
)
def test_term(delegation: Delegation, at: float, rights: Right) -> None:
    """Rights stand from the beginning of their term up to its end."""
    assert delegation.at(at) is rights


@pytest.mark.parametrize(
    ("opened_with", "now", "stays"),
    [(READ, READ, True), (READ, FULL, True), (FULL, READ, False), (READ, NONE, False), (Right.SEND, READ, False)],
)
def test_keeps(opened_with: Right, now: Right, stays: bool) -> None:
    """A session stays with more rights than it began with, and ends with fewer."""
    assert keeps(opened_with, now) is stays


def test_names() -> None:
    """Each right has a word, and words and rights go over into each other."""
    for number in range(FULL.value + 1):
        assert rights_of(names_of(Right(number))) == Right(number)
    with pytest.raises(ValueError, match="a right is one of read, write, send, manage"):
        rights_of(["read", "peek"])
