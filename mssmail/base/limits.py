"""What an account may send, and where it may sign in from, where that was said of it alone. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from ipaddress import ip_network

from mssmail.base.network import Network, within

MAX_NETWORKS = 64
"""A vendor's data centres, twice over; each is looked at in every sign-in."""


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's own limits. None: as the settings say; 0: any number."""

    messages_per_hour: int | None = None
    messages_per_day: int | None = None
    recipients_per_hour: int | None = None
    """Summed over messages, as by the day."""
    recipients_per_day: int | None = None
    recipients_per_message: int | None = None
    networks: tuple[str, ...] = ()
    """Where its sign-ins must come from, as `network` spells them; empty: from anywhere."""

    def lets_in(self, client: str) -> bool:
        """Whether a client's address lies in one of the networks; one that can't be read lies in none."""
        return not self.networks or within(client, map(_parsed, self.networks))

    def stored(self) -> dict[str, object]:
        """What isn't as the settings say, by name."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self._own()}

    def _own(self) -> Iterator[tuple[str, int | tuple[str, ...]]]:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value != ():
                yield each.name, value

    @classmethod
    def read(cls, stored: Mapping[str, object]) -> "Limits":
        """The inverse of `stored`."""
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()})  # type: ignore[arg-type]


NO_LIMITS = Limits()


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Network:
    return ip_network(text)


def network(text: str) -> str:
    """An address or a network, as 192.0.2.0/24 or 2001:db8::/32, in the form by which two are compared.

    Bits beyond the prefix are an error: 192.0.2.1/24 may have been meant as the one address. Raises ValueError.
    """
    return str(ip_network(text))
