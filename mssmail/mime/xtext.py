"""What senders gave in xtext, ENVID and ORCPT, as reports show it (RFC 3461 §4, RFC 6533 §3). Pure.

Both come from outside: what doesn't decode to text is left as it was given.
"""

import re
from typing import Final

_HEXCHAR: Final = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def decode(given: str) -> str:
    """An ENVID, or the address of an ORCPT (RFC 3461 §4)."""
    return _HEXCHAR.sub(lambda m: chr(int(m[1], 16)), given)


def decode_recipient(given: str) -> str:
    """An ORCPT: its address type, a semicolon, the address; one of type utf-8 in the form of RFC 6533 §3."""
    kind, _, address = given.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{decode(address)}"
    return f"{kind};{_EMBEDDED.sub(_sign, address)}"


def _sign(found: re.Match[str]) -> str:
    point = int(found[1], 16)
    return found[0] if point > 0x10FFFF or 0xD800 <= point < 0xE000 else chr(point)
