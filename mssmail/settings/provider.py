"""What is set of one OpenID provider whose tokens are taken; defaults are Pro Santé Connect's where it has any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mssmail.settings import kind
from mssmail.settings.field import required, setting
from mssmail.settings.units import Seconds

JWKS: Final = "jwks"
INTROSPECTION: Final = "introspection"
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Of RFC 7518 §3.1 those with a public key; `none` and the HMACs, whose key would be the public one, can't be set."""


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    name: str = required(kind.text(), "", "What the trail and the log call it.")
    issuer: str = required(kind.text(), "", "Its issuer, https://…, to the letter as `iss` has it.")
    discovery: str = setting(
        kind.text(),
        "/.well-known/openid-configuration",
        "Address of its description, or the path of it behind the issuer; "
        "Pro Santé Connect's is /.well-known/wallet-openid-configuration.",
    )
    mode: str = setting(
        kind.one_of(JWKS, INTROSPECTION),
        JWKS,
        "Whether tokens are checked by the provider's published keys, or by asking it about each (RFC 7662).",
    )
    audience: tuple[str, ...] = required(
        kind.many(kind.text()), (), "Audiences; a token's `aud` must hold one of them."
    )
    clients: tuple[str, ...] = setting(
        kind.many(kind.text()), (), "Programs, by `azp` or `client_id`, whose tokens are taken; empty: any."
    )
    acr: tuple[str, ...] = setting(
        kind.many(kind.text()), ("eidas1",), "Values of `acr` that are strong enough; empty: it isn't looked at."
    )
    algorithms: tuple[str, ...] = setting(
        kind.many(kind.one_of(*ALGORITHMS)), ("RS256",), "Signature algorithms that are taken (RFC 7518)."
    )
    leeway: Seconds = setting(
        kind.duration(0, 300), Seconds(30), "How far its clock and ours may be apart, either way."
    )
    identity_claim: str = setting(kind.text(), "SubjectNameID", "Claim that holds the professional's national id.")
    require_practice: bool = setting(
        kind.switch(),
        True,
        "Whether `SubjectRefPro.exercices` must name an allowed profession; a token that names none is refused.",
    )
    client_id: str = setting(kind.text(), "", "Who this server is to the provider, for introspection.")
    client_secret: Path | None = setting(
        kind.optional_path(), None, "File that holds the secret of `client_id`, readable by this server alone."
    )
    ca: Path | None = setting(
        kind.optional_path(), None, "PEM file of the authorities it is trusted by over HTTPS; empty: the system's own."
    )

    @property
    def description(self) -> str:
        """The address of its description."""
        return self.issuer.rstrip("/") + self.discovery if self.discovery.startswith("/") else self.discovery
