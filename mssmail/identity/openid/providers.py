"""The trusted OpenID providers of one process: whose token it is, and what was said of it before.

A yes is remembered by the token's SHA-256 until the token ends (by introspection: for a moment), and forgotten when its
provider's keys change. So by keys alone, a provider's own revocation is heard when the token ends; who wants to hear it
sooner asks by introspection. A no isn't remembered: it costs its asker a failure.

A token goes to no other provider than the one that it names; an opaque one names none, and is shown to the provider
that introspects where there is exactly one.
"""

from dataclasses import dataclass
from hashlib import sha256
from threading import Event
from typing import Final

from mssmail.base.clock import Clock
from mssmail.base.secret import Secret
from mssmail.identity.openid.keyset import KeySet
from mssmail.identity.openid.provider import TOLD_S, Provider
from mssmail.identity.openid.token import BadToken, Unverified, looks_signed, read
from mssmail.identity.openid.verdict import Rejected, Vouched
from mssmail.settings.model import Settings

_REMEMBERED: Final = 10_000
"""Verdicts, some 500 octets each; past that the memory starts anew."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A yes."""

    vouched: Vouched
    provider: Provider
    generation: KeySet
    until: float
    """Epoch seconds."""


class Providers:
    """Safe for threads. `close` ends calls under way."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._stop = Event()
        self._taken = settings.openid
        self._professions = frozenset(settings.directory.allowed_professions)
        self._by_issuer: dict[str, Provider] = {}
        self._remembered: dict[bytes, _Remembered] = {}
        self._make()

    def _make(self) -> None:
        kept = {provider.rules: provider for provider in self._by_issuer.values()}
        made = (kept.get(rules) or Provider(rules, self._clock, self._stop) for rules in self._taken.providers)
        self._by_issuer = {provider.rules.issuer: provider for provider in made}

    def renew(self, settings: Settings) -> None:
        """Judge by other settings from now on; a provider whose own haven't changed keeps its keys."""
        professions = frozenset(settings.directory.allowed_professions)
        if settings.openid == self._taken and professions == self._professions:
            return
        self._taken, self._professions = settings.openid, professions
        self._remembered.clear()
        self._make()

    def close(self) -> None:
        self._stop.set()

    def vouch(self, presented: Secret, *, may_call: bool) -> Vouched | Rejected | None:
        """Say whom a token speaks for. Without `may_call`, on the loop: None where a provider must be called first.

        With it, in a thread. Raises Refusal(UNAVAILABLE) where a provider can't be reached.
        """
        text = presented.reveal()
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._recall(digest)
        if known is not None:
            return known
        try:
            token = read(text) if looks_signed(text) else None
        except BadToken as bad:
            return Rejected(str(bad))
        provider = self._provider_of(token)
        if provider is None:
            return Rejected("of an issuer that isn't trusted" if token else "neither ours nor a signed token")
        found = provider.vouch(text, token, self._professions, may_call=may_call)
        if isinstance(found, Vouched):
            self._remember(digest, found, provider)
        return found

    def _provider_of(self, token: Unverified | None) -> Provider | None:
        if token is not None:
            return self._by_issuer.get(token.issuer)
        asked = [provider for provider in self._by_issuer.values() if provider.introspects]
        return asked[0] if len(asked) == 1 else None

    def _recall(self, digest: bytes) -> Vouched | None:
        known = self._remembered.get(digest)
        if known is None:
            return None
        if self._clock.now() < known.until and known.provider.generation is known.generation:
            return known.vouched
        self._remembered.pop(digest, None)
        return None

    def _remember(self, digest: bytes, vouched: Vouched, provider: Provider) -> None:
        generation = provider.generation
        if generation is None:
            return
        until = vouched.expires_at
        if provider.introspects:
            until = min(until, self._clock.now() + TOLD_S)
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = _Remembered(vouched, provider, generation, until)
