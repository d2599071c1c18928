"""What a provider's claims must say for its token to be taken; pure.

A claim of the wrong type is a refusal, never an error. `exp` must be there; `nbf` and `iat` count where they are.
"""

import math
from collections.abc import Collection
from typing import Any, Final

from mssmail.base.refusal import Reason
from mssmail.identity.openid.token import Claims
from mssmail.identity.openid.verdict import Rejected, Vouched
from mssmail.settings.provider import OpenIdProvider

MAX_HOLDER_CHARACTERS: Final = 100


def judge(claims: Claims, rules: OpenIdProvider, now: float, professions: Collection[str]) -> Vouched | Rejected:
    """Judge the claims of a token that its provider has signed, or said to be active.

    `professions`: those whose holders may have a box.
    """
    expires_at = _number(claims, "exp")
    refused = (
        _addressed(claims, rules)
        or _timely(claims, expires_at, rules.leeway, now)
        or _strong(claims, rules)
        or _practising(claims, rules, professions)
    )
    if refused is not None:
        return refused
    holder = claims.get(rules.identity_claim)
    if not isinstance(holder, str) or not 0 < len(holder) <= MAX_HOLDER_CHARACTERS or not holder.isprintable():
        return Rejected("names no professional", genuine=True)
    assert expires_at is not None
    return Vouched(rules.name, holder, _client(claims), expires_at)


def _addressed(claims: Claims, rules: OpenIdProvider) -> Rejected | None:
    """Whose it is and whom it is for (RFC 7519 §4.1.1 and §4.1.3)."""
    if claims.get("iss") != rules.issuer:
        return Rejected("of another issuer")
    audience = claims.get("aud")
    if not set(_texts(audience)) & set(rules.audience):
        return Rejected("for another audience", genuine=True)
    if rules.clients and _client(claims) not in rules.clients:
        return Rejected("of a program that isn't taken", genuine=True)
    kind = claims.get("typ", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        # Keycloak tells by it an access token from an ID, refresh or logout token, which the same key signs
        return Rejected("not an access token by its claims", genuine=True)
    return None


def _timely(claims: Claims, expires_at: float | None, leeway: float, now: float) -> Rejected | None:
    """RFC 7519 §4.1.4 to §4.1.6."""
    if expires_at is None:
        return Rejected("says no end", genuine=True)
    if now >= expires_at + leeway:
        return Rejected("expired", genuine=True)
    for name, words in (("nbf", "not valid yet"), ("iat", "made in the future")):
        if name in claims:
            begins_at = _number(claims, name)
            if begins_at is None or now < begins_at - leeway:
                return Rejected(words, genuine=True)
    return None


def _strong(claims: Claims, rules: OpenIdProvider) -> Rejected | None:
    acr = claims.get("acr")
    if rules.acr and (not isinstance(acr, str) or acr not in rules.acr):
        return Rejected("of a sign-in that isn't strong enough", genuine=True)
    return None


def _practising(claims: Claims, rules: OpenIdProvider, professions: Collection[str]) -> Rejected | None:
    """`SubjectRefPro.exercices[].codeProfession` (Pro Santé Connect): several, or none, and none means refused."""
    if not rules.require_practice:
        return None
    known = claims.get("SubjectRefPro")
    listed = known.get("exercices") if isinstance(known, dict) else None
    codes = [one.get("codeProfession") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if any(isinstance(code, str) and code in professions for code in codes):
        return None
    return Rejected("names no practice in an allowed profession", genuine=True, reason=Reason.NOT_ELIGIBLE)


def _client(claims: Claims) -> str:
    client = claims.get("azp", claims.get("client_id", ""))
    return client[:MAX_HOLDER_CHARACTERS] if isinstance(client, str) and client.isprintable() else ""


def _texts(value: Any) -> list[str]:
    """A text, or a list of them (RFC 7519 §4.1.3)."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _number(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 §2); None for anything else."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12 or not math.isfinite(value):
        return None
    return float(value)
