"""Which settings a running server takes anew on SIGHUP, and the configuration as it is read again.

What isn't in `LIVE` keeps its value until a restart: it is bound to a port, a worker's number, an open file, or to
what was announced beforehand. A new setting is thus safe until somebody has seen to it that it can change.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from mssmail.settings.model import BY_NAME, Settings

LIVE: Final = frozenset(
    f"{section}.{key}"
    for section, keys in {
        "server": "loopback_unlimited",
        "tls": "certificate key",
        "trust": "persons_ca organisations_ca operators_ca crls crl_sources crl_distribution_points "
        "crl_refresh_interval ocsp ocsp_responder ocsp_timeout ocsp_max_age require_client_usage allow_test_hierarchy",
        "auth": "grant_lifetime grant_bare_password max_failures failure_window lock_time never_banned notices "
        "totp_drift_steps argon2_memory argon2_time argon2_parallelism",
        "openid": "providers end_with_token",
        "delegation": "max_term notices local_list",
        "oauth": "access_lifetime refresh_lifetime authorization_lifetime device_lifetime registration",
        "web": "session_idle enrolment_lifetime max_connections_per_address",
        "sending": "messages_per_hour messages_per_day recipients_per_hour recipients_per_day mss_headers",
        "application": "messages_per_hour messages_per_day recipients_per_hour recipients_per_day "
        "recipients_per_message",
        "smtp": "timeout max_connections_per_address max_messages_per_hour",
        "imap": "idle_timeout login_timeout max_connections_per_account max_connections_per_address",
        "retention": "default period interval maximum",
        "store": "inline_max quota",
        "directory": "allowed_professions shrink_limit source source_ca refresh_interval fhir fhir_key stale_after "
        "max_age",
        "trust_list": "source source_ca signers refresh_interval shrink_limit stale_after unlisted_boxes",
        "operators": "max_connections max_messages_per_hour max_recipients",
        "patients": "domain may_answer answer_term",
        "relay": "routes certificate key port nameservers dns_timeout connect_timeout reply_timeout block_timeout "
        "end_timeout idle_timeout max_connections_per_domain",
        "queue": "lifetime first_retry longest_retry delay_notice trace concurrency",
        "audit": "retention checkpoint_interval",
        "admin": "two_persons order_lifetime",
    }.items()
    for key in keys.split()
)
"""Names of the settings that change while the server runs."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of reading the configuration again."""

    settings: Settings
    """To be in force: the new values of `LIVE`, the old ones of all else."""
    changed: tuple[str, ...]
    """Names of settings that have a new value."""
    waiting: tuple[str, ...]
    """Names of settings whose new value waits for a restart."""


def lay_over(old: Settings, new: Settings) -> Reloaded:
    """Lay the changes that can be made while running over the settings in force."""
    differing = [name for name in BY_NAME if _value(old, name) != _value(new, name)]
    changed = tuple(name for name in differing if name in LIVE)
    sections: dict[str, Any] = {}
    for name in changed:
        section, _, key = name.partition(".")
        sections[section] = replace(sections.get(section, getattr(old, section)), **{key: _value(new, name)})
    return Reloaded(replace(old, **sections), changed, tuple(name for name in differing if name not in LIVE))


def _value(settings: Settings, name: str) -> object:
    section, _, key = name.partition(".")
    return getattr(getattr(settings, section), key)


class Configuration:
    """The settings in force in this process, and where they are read again. A forked process has its own."""

    __slots__ = ("_read", "settings")

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        """`read` raises ConfigError."""
        self.settings = settings
        self._read = read

    def reread(self) -> Reloaded:
        """What the configuration says now; changes nothing. Raises ConfigError."""
        return lay_over(self.settings, self._read())
