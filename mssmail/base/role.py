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
