"""An OpenID provider of the shape of Pro Santé Connect over real HTTPS: description, keys, tokens, introspection.

It issues whatever a test asks for, and can be slow, silent, wrong or away. Its keys are made once a process.
"""

import base64
import hashlib
import hmac
import json
import threading
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, RSAKey

from mssmail.base.clock import Clock
from mssmail.base.secret import Secret
from mssmail.settings.provider import OpenIdProvider
from tests.support.origin import Answer, Asked, Origin

DESCRIPTION = "/.well-known/wallet-openid-configuration"
REALM = "/auth/realms/esante-wallet"
AUDIENCE = "mssmail-demo"
PROGRAM = "client-lps"
LIFETIME_S = 120
"""What Pro Santé Connect gives an access token."""
SigningKey = RSAKey | ECKey


@lru_cache
def rsa_key(name: str, bits: int = 2048) -> RSAKey:
    """A private key, the same for a name throughout a process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the size, which is meant
        return RSAKey.import_key(rsa.generate_private_key(65537, bits), {"kid": name})


@lru_cache
def ec_key(name: str) -> ECKey:
    return ECKey.import_key(ec.generate_private_key(ec.SECP256R1()), {"kid": name})


def published(key: SigningKey, **more: object) -> dict[str, Any]:
    """A key as a JWK Set shows it."""
    return {**key.as_dict(private=False), "use": "sig", **more}


def b64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def forged(header: Mapping[str, object], claims: Mapping[str, object] | bytes, signature: bytes = b"") -> str:
    """Three parts, whatever they hold."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"{b64url(json.dumps(header).encode())}.{b64url(body)}.{b64url(signature)}"


def hs256(claims: Mapping[str, object], secret: bytes, kid: str) -> str:
    """A token signed by HMAC, as if a public key were a shared secret."""
    unsigned = forged({"alg": "HS256", "kid": kid}, claims).rpartition(".")[0]
    return f"{unsigned}.{b64url(hmac.digest(secret, unsigned.encode(), hashlib.sha256))}"


class PlayedProvider:
    """The provider. `close` it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self.folder = folder
        self.origin = Origin(folder, self._answer)
        self.keys: list[dict[str, Any]] = []
        self.key: SigningKey = rsa_key("k1")
        """What tokens are signed by."""
        self.publish(self.key)
        self.active: dict[str, Mapping[str, object]] = {}
        """What introspection knows, by token."""
        self.instead: Callable[[Asked], Answer] | None = None
        """Answers in the provider's stead."""
        self.secret = folder / "client-secret"
        self.secret.write_text("s3cret&é\n", encoding="utf-8")
        self.go_on = threading.Event()
        """What a slow answer waits for."""
        self.go_on.set()

    @property
    def issuer(self) -> str:
        return self.origin.base + REALM

    @property
    def now(self) -> int:
        return int(self._clock.now())

    def rules(self, **more: Any) -> OpenIdProvider:
        """The settings that a server trusts it by."""
        given: dict[str, Any] = {
            "name": "psc",
            "issuer": self.issuer,
            "discovery": DESCRIPTION,
            "audience": (AUDIENCE,),
            "ca": self.origin.authority,
            "client_id": "mssmail",
            "client_secret": self.secret,
        }
        return OpenIdProvider(**(given | more))

    def publish(self, *keys: SigningKey) -> None:
        """Have these keys, and none but these, in the JWK Set."""
        self.keys = [published(key) for key in keys]

    def rotate(self, name: str) -> None:
        """Sign by a new key, published alone."""
        self.key = rsa_key(name)
        self.publish(self.key)

    def claims(self, holder: str | None = "810000000001", **more: object) -> dict[str, object]:
        """What Pro Santé Connect says of a professional; None takes a claim away."""
        now = self.now
        said: dict[str, object] = {
            "iss": self.issuer,
            "aud": [AUDIENCE, "account"],
            "azp": PROGRAM,
            "sub": "f:1:2",
            "typ": "Bearer",
            "iat": now,
            "exp": now + LIFETIME_S,
            "acr": "eidas1",
            "SubjectNameID": holder,
            "SubjectRole": ["10^1.2.250.1.71.1.2.7"],
            "SubjectRefPro": {"exercices": [{"codeProfession": "10"}, {"codeProfession": "86"}]},
        }
        return {name: value for name, value in (said | more).items() if value is not None}

    def token(
        self,
        holder: str | None = "810000000001",
        *,
        key: SigningKey | None = None,
        alg: str = "RS256",
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        """A signed access token."""
        signer = key or self.key
        told = {"alg": alg, "typ": "JWT", "kid": signer.kid, **(header or {})}
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(told, self.claims(holder, **claims), signer, [alg], default_type=None)

    def encrypted(self) -> str:
        """A token that only the holder of a private key can read (JWE)."""
        return jwe.encrypt_compact(
            {"alg": "RSA-OAEP", "enc": "A256GCM"}, self.token().encode(), rsa_key("enc"), ["RSA-OAEP", "A256GCM"]
        )

    def opaque(self, token: str, **claims: object) -> Secret:
        """A token that only introspection can judge."""
        self.active[token] = {"active": True, **self.claims(**claims)}  # type: ignore[arg-type]
        return Secret(token)

    def calls(self, path: Literal["description", "keys", "introspection"]) -> int:
        """How often it was asked for that."""
        wanted = {"description": DESCRIPTION, "keys": "/certs", "introspection": "/introspect"}[path]
        return sum(asked.path == REALM + wanted for asked in self.origin.asked)

    def away(self) -> None:
        """Answer nobody any more."""
        self.instead = lambda asked: Answer(503)

    def _answer(self, asked: Asked) -> Answer:
        self.go_on.wait(20)
        if self.instead is not None:
            return self.instead(asked)
        return self.usual(asked)

    def usual(self, asked: Asked) -> Answer:
        """What it says when all is well."""
        match asked.path.removeprefix(REALM):
            case "/.well-known/wallet-openid-configuration":
                return _json(
                    {
                        "issuer": self.issuer,
                        "jwks_uri": f"{self.issuer}/certs",
                        "introspection_endpoint": f"{self.issuer}/introspect",
                        "token_endpoint": f"{self.issuer}/token",
                    }
                )
            case "/certs":
                return _json({"keys": self.keys})
            case "/introspect":
                return self._introspect(asked)
        return Answer(404)

    def _introspect(self, asked: Asked) -> Answer:
        expected = base64.b64encode(b"mssmail:s3cret%26%C3%A9").decode()
        if asked.headers.get("Authorization") != f"Basic {expected}":
            return Answer(401)
        (token,) = parse_qs(asked.body.decode())["token"]
        return _json(self.active.get(token, {"active": False}))

    def close(self) -> None:
        self.go_on.set()
        self.origin.close()


def _json(said: object) -> Answer:
    return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})
