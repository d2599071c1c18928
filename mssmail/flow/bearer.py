"""Signing in by token (RFC 6750): one of our own authorization server's, or of a trusted OpenID provider's.

Our own are known by their prefix and judged by the database alone; all else is taken as a provider's. Whose box a token
opens is its holder's: the account that granted it, or every box of the national id that the provider vouches for.
An authzid chooses among those, or names a box delegated to them; empty means the oldest.

What a refused peer hears: TOKEN for whatever is wrong with it, SCOPE for one of ours that is for something else, and as
with a certificate SUSPENDED, STRUCK_OFF, NOT_DELEGATED, NOT_ELIGIBLE as they are; LOCKED as with a password. What was
wrong stands in the trail, in fixed words. A failure counts for the client's address alone, and only where the token may
have been made up: an expired one, which a mail client will show until its user comes back, is no guess.

A session outlives its token, unless `openid.end_with_token` says otherwise: what ends it are its family's revocation,
suspension, strike-off. A new sign-in needs a token that is good then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.principal import Door, Mechanism, Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.house import House
from mssmail.flow.login import Asked, Login, address_of
from mssmail.flow.standing import Standing
from mssmail.identity.credentials import person_subject
from mssmail.identity.lockout import Failed, Subject, delay_s
from mssmail.identity.openid.providers import Providers
from mssmail.identity.openid.token import MAX_TOKEN_OCTETS
from mssmail.identity.openid.verdict import Rejected, Vouched
from mssmail.identity.tokens import Tokens, is_own
from mssmail.store import accounts
from mssmail.store.accounts import AccountRow
from mssmail.store.interface import Transaction
from mssmail.store.tokens import TokenKind

CALLERS: Final = 4
"""Threads that may wait for a provider at once."""
MAX_CALLING: Final = 200
"""Sign-ins that wait for one of them. Beyond, the answer is to come back later."""

_KNOWN: Final = 5_000
"""Tokens whose box is known again, some 1 KB each; past that the memory starts anew."""

_Key = tuple[bytes, str, str]
"""SHA-256 of the token, authzid, protocol."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a good token opens."""

    asked: Asked
    details: dict[str, Value]
    """For the trail."""
    expires_at: float
    authorization: int | None = None


@dataclass(frozen=True, slots=True)
class _Bad:
    """Why there is no sign-in."""

    refusal: Refusal
    genuine: bool = False
    row: AccountRow | None = None
    """Whose token it was, where that is known."""
    details: dict[str, Value] = field(default_factory=dict)


class TokenLogin(Login):
    """`Login`, and tokens. `close` it."""

    def __init__(
        self,
        house: House,
        standing: Standing,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(house, standing, pause)
        self._tokens = Tokens(house.keys)
        self._providers = Providers(house.settings, house.clock)
        self._callers = ThreadPoolExecutor(CALLERS, "mssmail-openid")
        self._calling = 0
        self.own_metadata = ""
        """Address of our own authorization server's description (RFC 8414), where it is served."""
        self._known: dict[_Key, _Found] = {}
        """What a good token opened, for the next sign-in by it. Nothing is believed of it: the token is judged again,
        and the epochs and the lock are asked for in the transaction that lets somebody in."""

    def close(self) -> None:
        """End calls under way; whoever waits for one is told to come back."""
        self._providers.close()
        self._callers.shutdown(wait=False, cancel_futures=True)

    def renew(self) -> None:
        super().renew()
        self._providers.renew(self._house.settings)

    @property
    def tokens_acceptable(self) -> bool:
        """Whether OAUTHBEARER and XOAUTH2 are offered: where tokens are given, by ourselves or by a provider."""
        settings = self._house.settings
        return settings.listen.https is not None or bool(settings.openid.providers)

    def scope(self, door: Door) -> str:
        """The scope that a token of ours needs at this door (RFC 7628 §3.2.2)."""
        return door.protocol

    @property
    def discovery(self) -> str:
        """Where a client finds an OpenID provider's description; empty where there is no one provider.

        Our own authorization server is none: its description is for OAuth alone (RFC 8414).
        """
        providers = self._house.settings.openid.providers
        if not providers:
            return self.own_metadata
        return providers[0].description if len(providers) == 1 else ""

    async def by_token(self, door: Door, authzid: str, token: Secret) -> Principal:
        """SASL OAUTHBEARER and XOAUTH2. An empty token only asks what is wanted: refused, and not counted.

        Raises Refusal(TOKEN, SCOPE, LOCKED, NOT_DELEGATED, NOT_ELIGIBLE, SUSPENDED, STRUCK_OFF, UNAVAILABLE), traced.
        """
        client = self._door.lockout.client(door.client)
        key = (sha256(token.reveal().encode("utf-8", "surrogatepass")).digest(), authzid, door.protocol)
        known = await self._by_known_token(door, client, token, key)
        if known is not None:
            return known
        if is_own(token):
            found = await self._house.read.run(lambda tx: self._own(tx, door, client, authzid, token))
        else:
            found = await self._provided(client, authzid, token)
        if isinstance(found, Subject):
            raise await self._keep_out(door, Mechanism.TOKEN, None, found)
        if isinstance(found, _Found):
            refused = self._access(door, found.asked)
            if refused is None:
                principal = await self._enter(door, client, token, found)
                if principal is None:
                    raise Refusal(Reason.UNAVAILABLE, "the account or the token changed meanwhile")
                if found.asked.same_box:  # rights in another's may be others the next time
                    if len(self._known) >= _KNOWN:
                        self._known.clear()
                    self._known[key] = found
                return principal
            found = _Bad(refused, True, found.asked.person, found.details)
        raise await self._turn_away(door, client, found)

    async def _by_known_token(self, door: Door, client: Subject, token: Secret, key: _Key) -> Principal | None:
        """What was let in before with the same token, in one transaction and no other; None: look at it anew."""
        found = self._known.get(key)
        if found is None or self._access(door, found.asked) is not None:
            return None
        try:
            if found.authorization is None and not isinstance(self._providers.vouch(token, may_call=False), Vouched):
                return None
        except Refusal:
            return None
        principal = await self._enter(door, client, token, found)
        if principal is None:
            self._known.pop(key, None)
        return principal

    async def _enter(self, door: Door, client: Subject, token: Secret, found: _Found) -> Principal | None:
        """Let in; None where the token, the account or the client's lock isn't any more what was found."""
        until = found.expires_at if self._house.settings.openid.end_with_token else None
        principal = self._principal(door, Mechanism.TOKEN, found.asked)
        principal = replace(principal, authorization=found.authorization, until=until)

        def write(tx: Transaction) -> bool:
            if self._door.lockout.is_locked(tx, client):
                return False
            own = found.authorization is not None
            return (not own or self._tokens.judge(tx, token) is not None) and self._entered(
                tx, principal, found.details
            )

        if not await self._house.write.run(write):
            return None
        self._welcome(door, principal)
        return principal

    # --- our own tokens ---

    def _own(
        self, tx: Transaction, door: Door, client: Subject, authzid: str, token: Secret
    ) -> "_Found | _Bad | Subject":
        if self._door.lockout.is_locked(tx, client):
            return client
        judged = self._tokens.judge(tx, token)
        if judged is None:
            return self._why_not(tx, token)
        row = accounts.by_id(tx, judged.account)
        details: dict[str, Value] = {"program": judged.client, "authorization": judged.authorization}
        if door.protocol not in judged.scopes:
            return _Bad(Refusal(Reason.SCOPE, "for another protocol"), True, row, details)
        return _Found(self._ask(tx, row, authzid), details, judged.expires_at, judged.authorization)

    def _why_not(self, tx: Transaction, token: Secret) -> _Bad:
        """What is wrong with a token of ours, for the trail."""
        row = self._tokens.look(tx, token)
        if row is None:
            return _Bad(Refusal(Reason.TOKEN, "unknown or revoked"))
        words = "expired" if row.expires_at <= tx.now else "its account has changed or is closed"
        if row.kind is not TokenKind.ACCESS:
            words = "not an access token"
        details: dict[str, Value] = {"program": row.of.client_id, "authorization": row.of.authorization_id}
        return _Bad(Refusal(Reason.TOKEN, words), True, accounts.by_id(tx, row.of.account_id), details)

    # --- providers' tokens ---

    async def _provided(self, client: Subject, authzid: str, token: Secret) -> "_Found | _Bad | Subject":
        if await self._house.read.run(lambda tx: self._door.lockout.is_locked(tx, client)):
            return client
        if not len(token):
            return _Bad(Refusal(Reason.TOKEN, "none was shown"), True)
        if len(token) > MAX_TOKEN_OCTETS:
            return _Bad(Refusal(Reason.TOKEN, "longer than a token is"))
        try:
            vouched = self._providers.vouch(token, may_call=False) or await self._call(token)
        except Refusal as refusal:
            return _Bad(refusal, True)
        if isinstance(vouched, Rejected):
            return _Bad(Refusal(vouched.reason, vouched.detail), vouched.genuine)
        digest = self._standing.credentials.subject_digest(person_subject(vouched.holder))
        wanted = address_of(authzid)
        asked = await self._house.read.run(lambda tx: self._ask_by_subject(tx, digest, authzid, wanted))
        details: dict[str, Value] = {"provider": vouched.provider, "program": vouched.client}
        if asked is None:
            return _Bad(Refusal(Reason.TOKEN, "names nobody here"), True, None, details)
        return _Found(asked, details, vouched.expires_at)

    async def _call(self, token: Secret) -> Vouched | Rejected:
        """Judge a token for which its provider must be called. Raises Refusal(UNAVAILABLE)."""
        if self._calling >= MAX_CALLING:
            raise Refusal(Reason.UNAVAILABLE, "too many sign-ins wait for a provider")
        self._calling += 1
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._callers, lambda: self._providers.vouch(token, may_call=True))
        except RuntimeError:
            raise Refusal(Reason.UNAVAILABLE, "stopped") from None
        finally:
            self._calling -= 1
        assert found is not None
        return found

    # --- refusals ---

    async def _turn_away(self, door: Door, client: Subject, bad: _Bad) -> Refusal:
        """Count and trace a refusal, and hold it back where it counts as a failure."""
        reason = bad.refusal.reason
        self._count(door, Mechanism.TOKEN, reason)
        details = {"detail": bad.refusal.detail, **bad.details}

        def write(tx: Transaction) -> Failed | None:
            tx.trail(self._refused_event(door, Mechanism.TOKEN, bad.row, reason, details))
            if bad.genuine:
                return None
            failed = self._door.lockout.fail_client(tx, client)
            for subject in failed.newly_locked:
                until = int(tx.now) + self._house.settings.auth.lock_time
                tx.trail(Event(Kind.BANNED, 0, subject.shown, Reason.LOCKED.value, {"until": until}))
            return failed

        failed = await self._house.write.run(write)
        if failed is not None:
            await self._pause(delay_s(failed.before))
        return Refusal(reason)
