"""Mail addresses as this server takes them: strict, and compared without case.

Departs from RFC 5321 §2.4 (local parts are case-sensitive) because no operator of the trust space tells boxes apart
by case, and a gate that did could be walked around. Quoted local parts and address literals are not boxes here.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_LOCAL_OCTETS = 64
MAX_DOMAIN_OCTETS = 255
MAX_ADDRESS_OCTETS = 254
"""RFC 5321 §4.5.3.1.1-3: 64, 255, and 256 for a path with its angle brackets."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LABEL = r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\-\u0080-\U0010ffff]*[A-Za-z0-9\u0080-\U0010ffff])?"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")


@dataclass(frozen=True, slots=True)
class Address:
    """A mail address: local part and domain as written, and `key`, by which two are the same box."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> "Address | None":
        """Read `local@domain` (RFC 5321 §4.1.2 Dot-string, RFC 6531 §3.3 for UTF-8); None where it isn't one.

        The domain is kept in lower case. Linear in the length, which is bounded first.
        """
        return _parse(text) if len(text) <= MAX_ADDRESS_OCTETS else None

    @property
    def key(self) -> str:
        """The form by which addresses are compared, indexed and hashed."""
        return f"{self.local.lower()}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        return self.local.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    """Remembered, since one mail names its sender twice and a busy server the same people all day."""
    if (m := _ADDRESS.fullmatch(text)) is None:
        return None
    local, domain = m[1], m[2].lower()
    if len(local.encode()) > MAX_LOCAL_OCTETS or len(text.encode()) > MAX_ADDRESS_OCTETS:
        return None
    if any(len(label) > 63 for label in domain.split(".")):
        return None
    return Address(local, domain)
