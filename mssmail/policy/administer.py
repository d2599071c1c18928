"""Which verb of the command line needs which role, and whether an administrator may give it.

The table is total: `tests/rules/test_administer.py` asks a row of every verb. Knows verbs as words, nothing of what
they do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from mssmail.base.refusal import Reason
from mssmail.base.role import Role
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
_EVERY: Final = frozenset(Role)

VERBS: Final[Mapping[str, Rule]] = {
    "account close": _OPERATOR | _SECURITY,
    "account create": _OPERATOR,
    "account enrol": _OPERATOR | _SECURITY,
    "account list": _OPERATOR | _SECURITY,
    "account otp": _OPERATOR | _SECURITY,
    "account password": _OPERATOR | _SECURITY,
    "account quota": _OPERATOR,
    "account recovery-codes": _OPERATOR | _SECURITY,
    "account resume": _OPERATOR | _SECURITY,
    "account revoke-all": _OPERATOR | _SECURITY,
    "account show": _OPERATOR | _SECURITY,
    "account signout": _OPERATOR | _SECURITY,
    "account suspend": _OPERATOR | _SECURITY,
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
    "delegation grant": _OPERATOR | _SECURITY,
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
    "grant list": _OPERATOR | _SECURITY,
    "grant revoke": _OPERATOR | _SECURITY,
    "init": Place.MACHINE,
    "keys init": Place.MACHINE,
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
