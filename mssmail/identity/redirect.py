"""Where a program is sent back to after its user's consent: which addresses may be registered, and which match.

Compared to the letter (RFC 9700 §4.1.3), with one exception: of a registered `http://127.0.0.1/…` or `http://[::1]/…`
any port matches, since a native program takes one that is free at the time (RFC 8252 §7.3). `localhost` has no such
exception (§8.3): its name may lead elsewhere, but mail programs that catch the redirect within register it to the
letter.
"""

import re
from typing import Final

MAX_CHARACTERS: Final = 500
_PLAIN: Final = re.compile(r"[A-Za-z0-9(!$%&'*+,\-./:;=?@_~\[\])]+")
"""Characters of an address (RFC 3986) but `#`: a redirect has no fragment (RFC 6749 §3.1.2)."""
_LOOPBACK: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?((?:[/?].*)?)")
_HTTPS: Final = re.compile(r"https://[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?(?::[0-9]{1,5})?(?:[/?].*)?")
_LOCALHOST: Final = re.compile(r"http://localhost(?::[0-9]{1,5})?(?:[/?].*)?")
_PRIVATE: Final = re.compile(r"[a-z][a-z0-9\-]*(?:\.[a-z0-9\-]+)+:/.*")
"""A scheme in reverse domain order (RFC 8252 §7.1): the dot keeps `javascript:` and the like out."""


def may_register(redirect: str) -> bool:
    """Whether a program may name this one as its own."""
    if len(redirect) > MAX_CHARACTERS or _PLAIN.fullmatch(redirect) is None:
        return False
    return any(shape.fullmatch(redirect) for shape in (_HTTPS, _LOOPBACK, _LOCALHOST, _PRIVATE))


def matches(registered: str, presented: str) -> bool:
    """Whether a presented address is the registered one. Anything may be presented."""
    if len(presented) > MAX_CHARACTERS or _PLAIN.fullmatch(presented) is None:
        return False
    if registered == presented:
        return True
    ours, theirs = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(presented)
    if ours is None or theirs is None or (ours[1], ours[3] or "/") != (theirs[1], theirs[3] or "/"):
        return False  # no path is the same as "/" (RFC 3986 §6.2.3)
    return theirs[2] is None or 0 < int(theirs[2][1:]) < 65_536
