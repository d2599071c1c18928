"""SASL OAUTHBEARER (RFC 7628) and XOAUTH2 (as Google and Microsoft document it): a token, and whose box it is for.

Both send one message. Where the token isn't taken, both want an error as JSON in a challenge, whose answer means
nothing, before the failure: `report` makes it. An empty `auth` asks which scope is needed (RFC 7628 §4.3) and comes out
as an empty token, to be refused like any other.
"""

import json
import re
from enum import Enum, unique
from typing import Final

from mssmail.base.secret import Secret
from mssmail.wire.sasl.exchange import Carrier, Challenge, Done, Failed, Failure, Step, Token, identity

KVSEP: Final = b"\x01"
_PAIR: Final = re.compile(rb"([A-Za-z]+)=([\t\n\r\x20-\x7e]*)", re.ASCII)
_TOKEN: Final = re.compile(rb"[\x21-\x7e]+")
"""RFC 6750 §2.1 has b64token; some issuers' tokens hold other visible signs, and what judges them is strict anyway."""
_SCHEME: Final = b"bearer"


@unique
class Fault(Enum):
    """Why a token isn't taken, in the words of the OAuth registry (RFC 6750 §3.1)."""

    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a word of the registry
    INSUFFICIENT_SCOPE = "insufficient_scope"


class OAuthBearer:
    """client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep ; kvpair = key "=" value kvsep

    Departs from RFC 7628 §3.2 (host and port must match) because a server is known by several names and ports, behind
    a proxy others than its own, and a bearer token is bound to none of them: they are ignored, like unknown keys.
    """

    __slots__ = ()

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        header, *pairs = response.split(KVSEP)
        authzid = _gs2_authzid(header)
        if authzid is None or len(pairs) < 3 or pairs[-2:] != [b"", b""]:
            return Failed(Failure.MALFORMED)
        token = None
        for pair in pairs[:-2]:
            found = _PAIR.fullmatch(pair)
            if found is None:
                return Failed(Failure.MALFORMED)
            if found[1].lower() == b"auth":
                if token is not None:
                    return Failed(Failure.MALFORMED)
                token = _bearer(found[2])
                if token is None:
                    return Failed(Failure.MALFORMED)
        return Failed(Failure.MALFORMED) if token is None else Done(Token(authzid, token, Carrier.OAUTHBEARER))


class XOAuth2:
    """ "user=" user kvsep "auth=Bearer " token kvsep kvsep"""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        parts = response.split(KVSEP)
        if len(parts) != 4 or parts[2:] != [b"", b""] or not parts[0].startswith(b"user="):
            return Failed(Failure.MALFORMED)
        user = identity(parts[0].removeprefix(b"user="))
        token = _bearer(parts[1].removeprefix(b"auth=")) if parts[1].startswith(b"auth=") else None
        if user is None or token is None:
            return Failed(Failure.MALFORMED)
        return Done(Token(user, token, Carrier.XOAUTH2))


def report(carrier: Carrier, fault: Fault, scope: str, discovery: str = "") -> Challenge:
    """The error that goes before a failure; whatever the client answers, the exchange has failed.

    `scope`: one that would do; `discovery`: the address of an OpenID provider's description; empty where there is none.
    """
    if carrier is Carrier.OAUTHBEARER:  # RFC 7628 §3.2.2
        told = {"status": fault.value, "scope": scope, "openid-configuration": discovery}
    else:  # as Google tells it: the status is what HTTP would have had
        told = {"status": "401" if fault is Fault.INVALID_TOKEN else "403", "schemes": "Bearer", "scope": scope}
    return Challenge(json.dumps({k: v for k, v in told.items() if v}, separators=(",", ":")).encode("ascii"))


def _gs2_authzid(header: bytes) -> str | None:
    """gs2-header = [gs2-nonstd-flag ","] gs2-cb-flag "," ["a=" saslname] "," (RFC 5801 §4); None where it isn't one.

    There is no channel to bind to, so that `p=` is refused; `y` means that the client thinks the same.
    """
    flag, comma, rest = header.partition(b",")
    name, last, nothing = rest.partition(b",")
    if not comma or not last or nothing or flag not in (b"n", b"y"):
        return None
    if not name:
        return ""
    if not name.startswith(b"a=") or name == b"a=":
        return None
    return _saslname(name.removeprefix(b"a="))


def _saslname(octets: bytes) -> str | None:
    """saslname = 1*(UTF8-char-safe / "=2C" / "=3D")"""
    pieces = octets.split(b"=")
    for piece in pieces[1:]:
        if not piece.startswith((b"2C", b"3D")):
            return None
    plain = pieces[0] + b"".join((b"," if piece[:2] == b"2C" else b"=") + piece[2:] for piece in pieces[1:])
    return identity(plain)


def _bearer(value: bytes) -> Secret | None:
    """The token of `Bearer TOKEN`, the scheme in any case; empty for an empty value, None for another scheme."""
    scheme, _, token = value.strip(b" ").partition(b" ")
    if not scheme:
        return Secret("")
    token = token.lstrip(b" ")
    if scheme.lower() != _SCHEME or (token and _TOKEN.fullmatch(token) is None):
        return None
    return Secret(token.decode("ascii"))
