"""Which verb of the command line needs which role, and whether an administrator may give it.

The table is total: `tests/rules/test_administer.py` asks a row of every verb. Knows verbs as words, nothing of what
they do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from mssmail.base.refusal import Reason
from mssmail.base.role import Act, Role
from mssmail.policy.verdict import ALLOW, Deny, Verdict


@unique
class Place(Enum):
    """Where a verb runs that no role is asked for."""

    ANYWHERE = "anywhere"
    """It touches no house: whoever types it."""
    MACHINE = "machine"
    """It founds or starts a house: only who can open the data folder themselves, never over the admin socket."""


Rule = frozenset[Role] | Place
"""One of these roles is enough; or no role helps."""

_OPERATOR: Final = frozenset({Role.OPERATOR})
_DIRECTORY: Final = frozenset({Role.DIRECTORY})
_AUDITOR: Final = frozenset({Role.AUDITOR})
_SECURITY: Final = frozenset({Role.SECURITY_OFFICER})
_ORDERING: Final = _OPERATOR | _SECURITY
"""Whose acts two persons may be asked for."""
_OPENING: Final = _SECURITY
"""What opens somebody else's box, or is half of it: whoever sets passwords sets no codes."""
_EVERY: Final = frozenset(Role)

VERBS: Final[Mapping[str, Rule]] = {
    "absence clear": _OPERATOR,
    "absence set": _OPERATOR,
    "absence show": _OPERATOR | _SECURITY,
    "account close": _OPERATOR | _SECURITY,
    "account create": _OPERATOR,
    "account enrol": _OPENING,
    "account limits": _OPERATOR | _SECURITY,
    "account list": _OPERATOR | _SECURITY,
    "account otp": _OPENING,
    "account password": _OPERATOR,
    "account quota": _OPERATOR,
    "account recovery-codes": _OPENING,
    "account resume": _OPERATOR | _SECURITY,
    "account revoke-all": _OPERATOR | _SECURITY,
    "account show": _OPERATOR | _SECURITY,
    "account signout": _OPERATOR | _SECURITY,
    "account suspend": _OPERATOR | _SECURITY,
    "admin add": _SECURITY,
    "admin approve": _ORDERING,
    "admin list": _SECURITY,
    "admin pending": _ORDERING,
    "admin reject": _ORDERING,
    "admin remove": _SECURITY,
    "admin resume": _SECURITY,
    "admin roles": _SECURITY,
    "admin suspend": _SECURITY,
    "admin whoami": _EVERY,
    "audit export": _AUDITOR,
    "audit search": _AUDITOR,
    "audit tail": _AUDITOR,
    "audit verify": _AUDITOR | _SECURITY,
    "ban add": _OPERATOR | _SECURITY,
    "ban clear": _OPERATOR | _SECURITY,
    "ban list": _OPERATOR | _SECURITY,
    "cert inspect": _OPERATOR | _SECURITY,
    "cert refresh": _OPERATOR | _SECURITY,
    "cert status": _OPERATOR | _SECURITY,
    "config check": _OPERATOR | _SECURITY,
    "config reference": Place.ANYWHERE,
    "config show": _OPERATOR | _SECURITY,
    "delegation grant": _OPENING,
    "delegation list": _OPERATOR | _SECURITY,
    "delegation withdraw": _OPERATOR | _SECURITY,
    "demo": Place.MACHINE,
    "directory check": _DIRECTORY | _OPERATOR,
    "directory diff": _DIRECTORY | _OPERATOR,
    "directory import": _DIRECTORY,
    "directory refresh": _DIRECTORY,
    "directory rollback": _DIRECTORY,
    "directory search": _DIRECTORY | _OPERATOR,
    "directory show": _DIRECTORY | _OPERATOR,
    "directory status": _DIRECTORY | _OPERATOR,
    "doctor": _OPERATOR | _SECURITY,
    "forward clear": _OPERATOR | _SECURITY,
    "forward set": _OPENING,
    "forward show": _OPERATOR | _SECURITY,
    "grant list": _OPERATOR | _SECURITY,
    "grant revoke": _OPERATOR | _SECURITY,
    "init": Place.MACHINE,
    "keys init": Place.MACHINE,
    "queue drop": _OPERATOR,
    "queue hold": _OPERATOR,
    "queue list": _OPERATOR | _SECURITY,
    "queue pause-domain": _OPERATOR,
    "queue release": _OPERATOR,
    "queue resume-domain": _OPERATOR,
    "queue retry": _OPERATOR,
    "queue show": _OPERATOR | _SECURITY,
    "queue stats": _OPERATOR | _SECURITY,
    "queue tls-report": _OPERATOR | _SECURITY,
    "retention preview": _OPERATOR | _SECURITY,
    "retention run": _OPERATOR,
    "retention set": _OPERATOR,
    "retention show": _OPERATOR | _SECURITY,
    "serve": Place.MACHINE,
    "token client add": _OPERATOR | _SECURITY,
    "token client list": _OPERATOR | _SECURITY,
    "token client remove": _OPERATOR | _SECURITY,
    "token list": _OPERATOR | _SECURITY,
    "token revoke": _OPERATOR | _SECURITY,
    "trust diff": _OPERATOR | _SECURITY,
    "trust import": _OPERATOR | _SECURITY,
    "trust refresh": _OPERATOR | _SECURITY,
    "trust rollback": _OPERATOR | _SECURITY,
    "trust show": _OPERATOR | _SECURITY,
    "trust status": _OPERATOR | _SECURITY,
}
"""By the verb as it is typed after `mssmail`."""


@dataclass(frozen=True, slots=True)
class AdministratorFacts:
    """What is known of whoever gives an order."""

    roles: frozenset[Role]
    """Empty where nobody administers under that name of the operating system's."""
    suspended: bool = False


def administer(verb: str, facts: AdministratorFacts) -> Verdict:
    """Decide whether an administrator may give a verb. What the table lacks is nobody's."""
    rule = VERBS.get(verb, Place.MACHINE)
    if not facts.roles:
        return Deny(Reason.NOT_PERMITTED, "no administrator of this server")
    if facts.suspended:
        return Deny(Reason.NOT_PERMITTED, "this administrator is suspended")
    match rule:
        case Place.ANYWHERE:
            return ALLOW
        case Place.MACHINE:
            return Deny(Reason.NOT_PERMITTED, f"{verb} is only for who can open the data folder")
        case roles if roles & facts.roles:
            return ALLOW
        case roles:
            needed = " or ".join(sorted(role.value for role in roles))
            return Deny(Reason.NOT_PERMITTED, f"{verb} is for the {needed}")


ACTS: Final[Mapping[Act, str]] = {
    Act.ACCOUNT_CLOSE: "account close",
    Act.ACCOUNT_ENROL: "account enrol",
    Act.DELEGATION_GRANT: "delegation grant",
    Act.FORWARD_SET: "forward set",
    Act.RETENTION_SHRINK: "retention run",
    Act.ADMIN_ADD: "admin add",
    Act.ADMIN_ROLES: "admin roles",
    Act.ADMIN_REMOVE: "admin remove",
}
"""The verb by which each act is ordered: its roles give the order, and consent to it."""


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """What is known of an order, and of the second person who is to consent to it."""

    act: Act
    second: AdministratorFacts
    same_person: bool
    """Whether it is they who gave it."""
    first: AdministratorFacts
    """Who gave it, as they stand now."""
    expired: bool
    same_facts: bool
    """Whether what it was given upon still holds."""


def consent(facts: ConsentFacts) -> Verdict:
    """Decide whether a second person's consent carries an order out."""
    verb = ACTS[facts.act]
    second = administer(verb, facts.second)
    if second is not ALLOW:
        return second
    if facts.same_person:
        return Deny(Reason.ORDER, "it takes somebody else than who gave it")
    if facts.expired:
        return Deny(Reason.ORDER, "its time is over")
    if administer(verb, facts.first) is not ALLOW:
        return Deny(Reason.ORDER, "who gave it may not give it any more")
    if not facts.same_facts:
        return Deny(Reason.ORDER, "what it was given upon has changed since")
    return ALLOW
