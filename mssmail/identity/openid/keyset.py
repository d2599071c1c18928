"""A provider's published keys (JWK Set, RFC 7517 §5): those that can check a signature, by their `kid`.

What is odd is left out, not mended: private or symmetric keys, RSA under 2048 bits, keys for encryption, other curves.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import urlsafe_b64decode

from mssmail.identity.openid.token import BadToken, parse

MAX_SET_OCTETS: Final = 262_144
MAX_KEYS: Final = 100
"""Providers publish two or three; those that publish more don't publish hundreds."""
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""A check with more takes milliseconds."""
MAX_EXPONENT_OCTETS: Final = 4
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class Published:
    """A key with the algorithms that it may be used by."""

    key_id: str
    algorithms: frozenset[str]
    key: Key


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys as they were published; two of the same content are equal."""

    keys: tuple[Published, ...]
    content: bytes
    """What it was read from."""

    def find(self, key_id: str, algorithm: str) -> Key | None:
        """The key of that name for that algorithm; without a name, the only one for it (RFC 7515 §4.1.4)."""
        fit = [one for one in self.keys if algorithm in one.algorithms and key_id in ("", one.key_id)]
        if len(fit) != 1 and not key_id:
            return None
        return fit[0].key if fit else None


def read(octets: bytes, wanted: Collection[str]) -> KeySet:
    """The usable keys of a JWK Set for the algorithms wanted. Raises BadToken where it is no set at all."""
    listed = parse(octets).get("keys")
    if not isinstance(listed, list):
        raise BadToken("not a set of keys")
    return KeySet(tuple(_usable(listed[:MAX_KEYS], frozenset(wanted))), octets)


def _usable(listed: list[object], wanted: frozenset[str]) -> Iterator[Published]:
    for one in listed:
        if not isinstance(one, dict) or _PRIVATE & one.keys() or one.get("use", "sig") != "sig":
            continue
        operations, key_id = one.get("key_ops", ["verify"]), one.get("kid", "")
        if not isinstance(operations, list) or "verify" not in operations or not isinstance(key_id, str):
            continue
        try:
            key, fit = _key(one)
        except (JoseError, ValueError, TypeError, KeyError, OverflowError):
            continue
        algorithms = fit & wanted
        if "alg" in one:
            algorithms &= {one["alg"]} if isinstance(one["alg"], str) else set()
        if algorithms:
            yield Published(key_id, algorithms, key)


def _key(one: Mapping[str, Any]) -> tuple[Key, frozenset[str]]:
    """The key and what it can check. Raises what joserfc and cryptography raise."""
    match one.get("kty"):
        case "RSA":
            modulus, exponent = (urlsafe_b64decode(str(one[part]).encode()) for part in ("n", "e"))
            bits = int.from_bytes(modulus[: MAX_RSA_BITS // 8 + 1]).bit_length()
            if len(modulus) > MAX_RSA_BITS // 8 + 1 or bits < MIN_RSA_BITS or len(exponent) > MAX_EXPONENT_OCTETS:
                raise ValueError("size")
            rsa = RSAKey.import_key({"kty": "RSA", "n": one["n"], "e": one["e"]})
            return rsa, frozenset(f"{kind}S{size}" for kind in "RP" for size in (256, 384, 512))
        case "EC":
            algorithm = _CURVES[one["crv"]]
            ec = ECKey.import_key({"kty": "EC", "crv": one["crv"], "x": one["x"], "y": one["y"]})
            return ec, frozenset({algorithm})
    raise ValueError("kty")
