"""What administrators may be and what needs two of them. An administrator is no mailbox account, and opens none."""

from enum import Enum, unique


@unique
class Role(Enum):
    """Parts of an administrator's work; one person may hold several. None of them reads mail."""

    OPERATOR = "operator"
    """Runs the server: boxes, quotas, retention, configuration."""
    DIRECTORY = "directory"
    """Loads the health directory, and asks it."""
    AUDITOR = "auditor"
    """Reads the trail, and nothing else."""
    SECURITY_OFFICER = "security-officer"
    """Says who administers; suspends, signs out, lifts bans."""


@unique
class Act(Enum):
    """Acts that two persons may be asked for (`admin.two_persons`), by the names that settings and orders give them."""

    ACCOUNT_CLOSE = "account.close"
    """A box is closed for good."""
    ACCOUNT_ENROL = "account.enrol"
    """A link is made by which whoever has it sets a box's password and code."""
    DELEGATION_GRANT = "delegation.grant"
    """Somebody is let into another's box."""
    FORWARD_SET = "forward.set"
    """A box's mail goes on to another one."""
    RETENTION_SHRINK = "retention.shrink"
    """A purge goes on although it finds far more due than expected."""
    ADMIN_ADD = "admin.add"
    ADMIN_ROLES = "admin.roles"
    ADMIN_REMOVE = "admin.remove"
