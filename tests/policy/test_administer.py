"""Which administrator may give which verb."""

import pytest

from mssmail.base.refusal import Reason
from mssmail.base.role import Role
from mssmail.policy.administer import ACTS, VERBS, AdministratorFacts, Place, administer
from mssmail.policy.verdict import ALLOW, Deny, Verdict

OPERATOR, DIRECTORY, AUDITOR, SECURITY = (
    Role.OPERATOR,
    Role.DIRECTORY,
    Role.AUDITOR,
    Role.SECURITY_OFFICER,
)


def decided(verb: str, *roles: Role, suspended: bool = False) -> Verdict:
    return administer(verb, AdministratorFacts(frozenset(roles), suspended))


@pytest.mark.parametrize(
    ("verb", "allowed"),
    [
        ("account create", {OPERATOR}),
        ("account suspend", {OPERATOR, SECURITY}),
        ("account close", {OPERATOR, SECURITY}),
        ("directory import", {DIRECTORY}),
        ("directory status", {DIRECTORY, OPERATOR}),
        ("audit tail", {AUDITOR}),
        ("audit export", {AUDITOR}),
        ("config reference", set(Role)),
        ("serve", set()),
        ("init", set()),
        ("keys init", set()),
        ("no such verb", set()),
    ],
)
def test_one_role_is_enough(verb: str, allowed: set[Role]) -> None:
    """A verb is given by who holds one of its roles, whatever else they hold, and by nobody else."""
    for role in Role:
        assert (decided(verb, role) is ALLOW) is (role in allowed), role
    assert (decided(verb, *Role) is ALLOW) is bool(allowed)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_strangers_and_the_suspended(verb: str) -> None:
    """Who is no administrator, or is suspended, gives no verb at all."""
    for verdict in (decided(verb), decided(verb, *Role, suspended=True)):
        assert isinstance(verdict, Deny)
        assert verdict.reason is Reason.NOT_PERMITTED


def test_auditors_read_the_trail_alone() -> None:
    """An auditor's role opens the trail's verbs and nothing else of the house."""
    opened = {verb for verb, rule in VERBS.items() if not isinstance(rule, Place) and decided(verb, AUDITOR) is ALLOW}
    assert {verb.split()[0] for verb in opened - {"admin whoami"}} == {"audit"}


def test_no_role_opens_a_box() -> None:
    """Who sets passwords gives no codes and lets nobody in; what opens a box alone can be made to take two persons."""
    passwords = VERBS["account password"]
    assert not isinstance(passwords, Place)
    for verb in ("account otp", "account recovery-codes", "account enrol", "delegation grant", "forward set"):
        rule = VERBS[verb]
        assert not isinstance(rule, Place)
        assert not rule & passwords, verb
    assert {"account enrol", "delegation grant", "forward set"} <= set(ACTS.values())


def test_directory_role_changes_the_directory_alone() -> None:
    """The directory's role opens no verb of another noun."""
    opened = {verb for verb, rule in VERBS.items() if not isinstance(rule, Place) and decided(verb, DIRECTORY) is ALLOW}
    assert {verb.split()[0] for verb in opened - {"admin whoami"}} == {"directory"}
