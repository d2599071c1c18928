"""One host that takes a domain's mail, as `destination` finds it, or why there is none. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from mssmail.base.relay import Cause, Outcome

MAX_HOSTS: Final = 10
"""Addresses that one attempt tries (RFC 5321 §5.1: at least two)."""
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*", re.IGNORECASE)


class Unroutable(Exception):
    """A domain's mail can't be sent anywhere; `outcome` says why."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(cause.value)
        self.outcome = Outcome(cause, detail=detail)


@dataclass(frozen=True, slots=True)
class Host:
    """One address to try."""

    name: str
    address: str
    """IP address."""
    port: int

    @property
    def server_name(self) -> str | None:
        """What TLS may be told that is looked for: never an address, and nothing that is no host's name."""
        return self.name if self.name != self.address and _HOST.fullmatch(self.name) else None

    def __str__(self) -> str:
        return f"{'' if self.name == self.address else self.name}[{self.address}]:{self.port}"
