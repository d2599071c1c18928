"""What an OpenID provider or its would-be user sends, under fuzz: tokens, sets of keys, claims."""

import base64
import json
from functools import lru_cache

from joserfc.jwk import RSAKey

from mssmail.identity.openid import claims, keyset
from mssmail.identity.openid.token import BadToken, looks_signed, parse, read, verify
from mssmail.identity.openid.verdict import Rejected, Vouched
from mssmail.settings.model import PROFESSIONS
from mssmail.settings.provider import ALGORITHMS, OpenIdProvider
from tests.fuzz.target import Target

_RULES = OpenIdProvider(name="psc", issuer="https://id.example", audience=("me",))
_NOW = 1_790_000_000.0


@lru_cache
def _key() -> RSAKey:
    return RSAKey.generate_key(2048)


def _part(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def token(data: bytes) -> None:
    """Any text is read or refused; nothing that we didn't sign is ever verified."""
    header, _, payload = data.partition(b"\n")
    for text in (data.decode("utf-8", "surrogateescape"), f"{_part(header)}.{_part(payload)}.{_part(header)}"):
        looks_signed(text)
        try:
            found = read(text)
            verify(found, _key(), ALGORITHMS)
        except BadToken as bad:
            assert str(bad)
        else:
            raise AssertionError("a forged token was verified")


def keys(data: bytes) -> None:
    """Any set is read or refused; what is left of it is fit for what it is taken for."""
    for octets in (data, b'{"keys":[' + data + b"]}"):
        try:
            found = keyset.read(octets, ALGORITHMS)
        except BadToken:
            continue
        for one in found.keys:
            assert one.algorithms <= set(ALGORITHMS)
            assert not one.key.is_private


def said(data: bytes) -> None:
    """Any claims are judged; who is vouched for is named, and for a time to come."""
    for octets in (data, b'{"iss":"https://id.example","aud":"me","exp":1790000100,"acr":"eidas1",' + data + b"}"):
        try:
            found = claims.judge(parse(octets), _RULES, _NOW, PROFESSIONS)
        except BadToken:
            continue
        if isinstance(found, Vouched):
            assert found.holder.isprintable()
            assert found.expires_at + _RULES.leeway > _NOW
        else:
            assert isinstance(found, Rejected)
            assert found.detail


_JSON_WORDS = tuple(b'{ } [ ] , : " "a" 1 -1 1e999 NaN true null "\\ud800" "\xc3\xa9" {} []'.split())
_TOKEN_WORDS = (b'"alg"', b'"RS256"', b'"none"', b'"kid"', b'"iss"', b'"crit"', b'"b64"', b'"typ"', b"\n", b".")
_KEY_WORDS = tuple(
    json.dumps(word).encode()
    for word in "kty RSA EC oct n e crv P-256 x y kid use sig enc alg RS256 key_ops verify d keys AQAB".split()
)
_CLAIM_WORDS = tuple(
    json.dumps(word).encode()
    for word in "iss aud exp nbf iat acr azp typ Bearer SubjectNameID SubjectRefPro exercices codeProfession 10".split()
)
TARGETS = (
    Target("token", token, (*_JSON_WORDS, *_TOKEN_WORDS), 1024),
    Target("key-set", keys, (*_JSON_WORDS, *_KEY_WORDS), 2048),
    Target("claims", said, (*_JSON_WORDS, *_CLAIM_WORDS), 1024),
)
