"""The form of a signed token: JWS compact serialisation (RFC 7515 §7.1) with claims as JSON (RFC 7519).

Reads with bounds what anybody may have sent; verifies by joserfc with algorithms that the caller pins. Never follows
`jku`, `x5u` or `jwk`: a key is the provider's own or none. Knows no provider and no claim's meaning but `iss`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64decode

MAX_TOKEN_OCTETS: Final = 16_384
"""Pro Santé Connect's take 2 to 8 KB; SASL's lines hold 9."""
MAX_HEADER_OCTETS: Final = 4_096
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""RFC 7519 §5.1 and RFC 9068 §2.1; a logout or security event token (RFC 8417) is none that opens anything."""

Claims = Mapping[str, Any]


class BadToken(Exception):
    """It isn't a signed token that can be read; the text is fixed words."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself: enough to know whom to ask, believed by nobody."""

    text: str
    algorithm: str
    key_id: str
    """Empty where it names none."""
    issuer: str

    def __repr__(self) -> str:
        return f"Unverified({self.algorithm})"


class _Registry(jws.JWSRegistry):
    """Header parameters that aren't known are ignored (RFC 7515 §4); `crit` is refused beforehand."""

    max_header_length = MAX_HEADER_OCTETS
    max_payload_length = MAX_TOKEN_OCTETS
    max_signature_length = 2_048


def looks_signed(text: str) -> bool:
    """Whether it has the three parts of a signed token, or the five of an encrypted one."""
    return text.count(".") in (2, 4)


def read(text: str) -> Unverified:
    """Read header and issuer. Raises BadToken."""
    if len(text) > MAX_TOKEN_OCTETS:
        raise BadToken("longer than a token is")
    parts = text.encode("ascii", "replace").split(b".")
    if len(parts) == 5:
        raise BadToken("encrypted")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER_OCTETS:
        raise BadToken("not three parts")
    header, claims = _object(parts[0]), _object(parts[1])
    algorithm, key_id, issuer = header.get("alg"), header.get("kid", ""), claims.get("iss")
    if not isinstance(algorithm, str) or not isinstance(key_id, str):
        raise BadToken("alg or kid is no text")
    if "crit" in header or "b64" in header:
        raise BadToken("asks for an extension")
    kind = header.get("typ", "JWT")
    if "cty" in header or not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise BadToken("not an access token by its type")
    if not isinstance(issuer, str):
        raise BadToken("names no issuer")
    return Unverified(text, algorithm, key_id, issuer)


def verify(token: Unverified, key: Key, algorithms: Collection[str]) -> Claims:
    """Check the signature; the claims that it covers. Raises BadToken."""
    if token.algorithm not in algorithms:
        raise BadToken("signed by an algorithm that isn't taken")
    registry = _Registry(algorithms=algorithms, strict_check_header=False)
    try:
        verified = jws.deserialize_compact(token.text, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise BadToken("the signature doesn't hold") from None
    return parse(verified.payload or b"")


def parse(octets: bytes) -> Claims:
    """A JSON object: no name twice at its top, no NaN. Raises BadToken."""
    try:
        pairs = json.loads(octets, object_pairs_hook=_Pairs, parse_constant=_no_constant)
        if not isinstance(pairs, _Pairs):
            raise BadToken("not a JSON object")
        return pairs.claims
    except (ValueError, RecursionError):
        raise BadToken("not JSON") from None


class _Pairs(dict[str, Any]):
    """An object in which no name stands twice: parsers differ in which of the two counts (RFC 7519 §4)."""

    __slots__ = ()

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) < len(pairs):
            raise ValueError("a name twice")

    @property
    def claims(self) -> Claims:
        return self


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _object(segment: bytes) -> Claims:
    try:
        return parse(urlsafe_b64decode(segment))
    except ValueError:
        raise BadToken("not base64url") from None
