"""One OpenID provider: its description and keys, kept for a while and asked for anew; or its word on each token.

- Keys are asked for again after `FRESH_S`, and when a token names a key that isn't there: rotation needs no restart.
  Never more often than every `RETRY_S`, whatever tokens name.
- While the provider can't be reached its last keys serve, `KEPT_S` at most; a key that it has withdrawn meanwhile
  serves as long. Without keys, tokens can't be judged: Refusal(UNAVAILABLE), which no client takes for its token's.
- With introspection the provider is asked about each token; its yes is remembered by `providers` for a moment.

`vouch` calls nobody unless told that it may: then it blocks, for `CALL_S` at most a call, and belongs in a thread.
"""

import base64
from collections.abc import Collection
from dataclasses import dataclass
from threading import Event, Lock
from typing import Final
from urllib.parse import quote_plus, urlencode

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.fetch import Caller
from mssmail.identity.openid import claims, keyset
from mssmail.identity.openid.keyset import KeySet
from mssmail.identity.openid.token import BadToken, Claims, Unverified, parse, verify
from mssmail.identity.openid.verdict import Rejected, Vouched
from mssmail.metrics.logs import get_logger
from mssmail.metrics.registry import counter
from mssmail.settings.provider import INTROSPECTION, OpenIdProvider

FRESH_S: Final = 900.0
RETRY_S: Final = 5.0
DOWN_S: Final = 60.0
"""How long a provider that wasn't reached is left alone while there are keys: somebody waits for each try."""
KEPT_S: Final = 6 * 3600.0
"""A night's outage: tokens made before it last no longer."""
CALL_S: Final = 5.0
"""A person waits for it."""
TOLD_S: Final = 30.0
"""How long a yes by introspection counts, hence how late a revocation there is heard."""
MAX_DOCUMENT_OCTETS: Final = 65_536

_calls = counter("mssmail_openid_calls_total", "Calls to OpenID providers.", labels=("outcome",))
_log = get_logger("identity.openid")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the provider published, as of `asked_at` (monotonic)."""

    asked_at: float
    keys: KeySet
    introspection: str


class Provider:
    """Safe for threads."""

    __slots__ = ("_clock", "_known", "_lock", "_next_at", "_stop", "rules")

    def __init__(self, rules: OpenIdProvider, clock: Clock, stop: Event) -> None:
        """`stop` ends a call that is under way."""
        self.rules = rules
        self._clock = clock
        self._stop = stop
        self._lock = Lock()
        self._known: _Known | None = None
        self._next_at = float("-inf")

    @property
    def introspects(self) -> bool:
        return self.rules.mode == INTROSPECTION

    @property
    def generation(self) -> KeySet | None:
        """What a verdict rests on: while this is the same, so is the verdict. None: nothing that serves any more."""
        known = self._known
        return None if known is None or not self._serves(known) or self._due(known) else known.keys

    def vouch(
        self, text: str, token: Unverified | None, professions: Collection[str], *, may_call: bool
    ) -> Vouched | Rejected | None:
        """Judge a token of this provider's; `token` as it was read, None for an opaque one.

        None where the provider has to be called first and `may_call` is off. Raises Refusal(UNAVAILABLE).
        """
        if self.introspects:
            return self._introspect(text, professions) if may_call else None
        assert token is not None
        if token.algorithm not in self.rules.algorithms:
            return Rejected("signed by an algorithm that isn't taken")
        known = self._known
        due = known is not None and self._due(known)
        lacks = known is None or not self._serves(known) or known.keys.find(token.key_id, token.algorithm) is None
        asks = due or (lacks and (self._lock.locked() or self._clock.monotonic() >= self._next_at))
        if asks:
            if not may_call:
                return None
            self._ask_anew(known)
        return self._check(token, professions, asked=asks)

    def _check(self, token: Unverified, professions: Collection[str], *, asked: bool) -> Vouched | Rejected:
        known = self._known
        if known is None or not self._serves(known):
            raise Refusal(Reason.UNAVAILABLE, f"{self.rules.name}: its keys can't be had")
        key = known.keys.find(token.key_id, token.algorithm)
        if key is None:
            # one that came up a moment after the keys were asked for may be good in the next
            return Rejected("signed by an unknown key", genuine=not asked)
        try:
            said = verify(token, key, self.rules.algorithms)
        except BadToken as bad:
            return Rejected(str(bad))
        return claims.judge(said, self.rules, self._clock.now(), professions)

    def _due(self, known: _Known) -> bool:
        """Whether keys are to be asked for anew, and may be."""
        now = self._clock.monotonic()
        return now >= known.asked_at + FRESH_S and now >= self._next_at

    def _serves(self, known: _Known) -> bool:
        return self._clock.monotonic() < known.asked_at + FRESH_S + KEPT_S

    # --- calls; in a thread ---

    def _ask_anew(self, seen: _Known | None) -> None:
        """Ask for description and keys, unless another thread has just done so. A failure is logged and passes."""
        with self._lock:
            now = self._clock.monotonic()
            if self._known is not seen or now < self._next_at:
                return
            self._next_at = now + CALL_S  # whose key is there goes on with it meanwhile
            pause_s = RETRY_S
            try:
                known = self._ask()
            except Refusal as refusal:
                self._failed(refusal)
                pause_s = RETRY_S if seen is None else DOWN_S
            else:
                _calls.labels(outcome="ok").inc()
                same = seen is not None and seen.keys.content == known.keys.content
                self._known = _Known(known.asked_at, seen.keys, known.introspection) if same and seen else known
            self._next_at = self._clock.monotonic() + pause_s

    def _ask(self) -> _Known:
        with self._caller() as caller:
            described = self._document(self._get(caller, self.rules.description, MAX_DOCUMENT_OCTETS))
            if described.get("issuer") != self.rules.issuer:  # OpenID Connect Discovery 1.0, 4.3
                raise Refusal(Reason.UNAVAILABLE, "its description names another issuer")
            keys = KeySet((), b"")
            if not self.introspects:
                octets = self._get(caller, _address(described, "jwks_uri"), keyset.MAX_SET_OCTETS)
                try:
                    keys = keyset.read(octets, self.rules.algorithms)
                except BadToken as bad:
                    raise Refusal(Reason.UNAVAILABLE, f"its keys: {bad}") from None
            introspection = _address(described, "introspection_endpoint") if self.introspects else ""
            return _Known(self._clock.monotonic(), keys, introspection)

    def _introspect(self, text: str, professions: Collection[str]) -> Vouched | Rejected:
        known = self._known
        if known is None or self._due(known) or not self._serves(known):
            self._ask_anew(known)
            known = self._known
        if known is None or not self._serves(known):
            raise Refusal(Reason.UNAVAILABLE, f"{self.rules.name}: it can't be asked")
        form = urlencode({"token": text, "token_type_hint": "access_token"}).encode("ascii")
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "Authorization": "Basic " + self._credentials(),
        }
        try:
            with self._caller() as caller:
                response = caller.post(known.introspection, form, headers)
                octets = b"".join(caller.read(response, MAX_DOCUMENT_OCTETS))
                if response.status != 200:
                    raise Refusal(Reason.UNAVAILABLE, f"answers {response.status}")
                said = self._document(octets)
        except Refusal as refusal:
            self._failed(refusal)
            raise Refusal(Reason.UNAVAILABLE, f"{self.rules.name}: {refusal.detail}") from None
        _calls.labels(outcome="ok").inc()
        return self._told(said, professions)

    def _told(self, said: Claims, professions: Collection[str]) -> Vouched | Rejected:
        """RFC 7662 §2.2: `active` alone must be there, and the issuer is who answers."""
        if said.get("active") is not True:
            return Rejected("its provider says that it isn't active")
        now = self._clock.now()
        return claims.judge({"iss": self.rules.issuer, "exp": now + TOLD_S, **said}, self.rules, now, professions)

    def _failed(self, refusal: Refusal) -> None:
        _calls.labels(outcome="failed").inc()
        _log.warning("openid provider not reached", provider=self.rules.name, cause=refusal.detail)

    def _caller(self) -> Caller:
        return Caller(self._clock, self._stop, CALL_S, self.rules.ca)

    def _get(self, caller: Caller, address: str, most: int) -> bytes:
        response = caller.get(address, {"Accept": "application/json"})
        octets = b"".join(caller.read(response, most))
        if response.status != 200:
            raise Refusal(Reason.UNAVAILABLE, f"answers {response.status}")
        return octets

    def _document(self, octets: bytes) -> Claims:
        try:
            return parse(octets)
        except BadToken as bad:
            raise Refusal(Reason.UNAVAILABLE, f"answers what is {bad}") from None

    def _credentials(self) -> str:
        """client_id and secret as RFC 6749 §2.3.1 encodes them. Raises Refusal(UNAVAILABLE)."""
        file = self.rules.client_secret
        try:
            secret = "" if file is None else file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Refusal(Reason.UNAVAILABLE, "its client_secret can't be read") from None
        pair = f"{quote_plus(self.rules.client_id)}:{quote_plus(secret)}"
        return base64.b64encode(pair.encode("ascii")).decode("ascii")


def _address(described: Claims, name: str) -> str:
    address = described.get(name)
    if not isinstance(address, str):
        raise Refusal(Reason.UNAVAILABLE, f"its description lacks {name}")
    return address
