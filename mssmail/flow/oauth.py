"""Letting programs in on a user's behalf: consent, codes, tokens, and taking it all back (RFC 6749).

Who consents is a Principal that signed in over HTTPS; what they grant is for their own account, and for boxes delegated
to it as the mail protocols ask for them. Everything is traced: consent and its denial, tokens that were given, codes
and tokens that were known but no good (what was never issued leaves no trace, or strangers could fill the trail).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.address import Address
from mssmail.base.ids import AccountId
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.acts import account_of
from mssmail.flow.clients import Client
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.identity.tokens import SCOPES, Issued, Refused, Tokens
from mssmail.metrics.registry import counter
from mssmail.store import accounts, clients, devices, enrolments, replays, tokens, visits
from mssmail.store.accounts import State
from mssmail.store.interface import Transaction
from mssmail.store.tokens import AuthorizationRow, TokenKind, TokenRow

__all__ = ["ACCESS", "SCOPES", "Active", "Authorization", "Authorizations", "Issued", "scope_of"]

SWEEP_EVERY_S: Final = 600.0
ENDED_DEVICES_KEPT_S: Final = 600
"""How long a device that comes late hears that its time is over."""
ACCESS: Final = TokenKind.ACCESS

issued = counter("mssmail_tokens_issued_total", "Pairs of tokens given.", labels=("kind",))
_refused = counter("mssmail_tokens_refused_total", "Codes and refresh tokens that gave nothing.", labels=("reason",))


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a user granted to a program."""

    number: int
    account: AccountId
    address: Address
    client: str
    """Client id."""
    scope: str
    created_at: int
    used_at: int
    """When tokens were last got by it."""
    ends_at: int


@dataclass(frozen=True, slots=True)
class Active:
    """A token that is good, as who may ask is told (RFC 7662 §2.2)."""

    kind: TokenKind
    address: Address
    account: AccountId
    client: str
    scope: str
    expires_at: int


def scope_of(asked: str) -> str:
    """What is granted of the scope that is asked for; all of it where nothing is. Raises Refusal(SCOPE).

    Words that aren't known here are left out (RFC 6749 §3.3): programs ask for `openid` and the like by habit.
    """
    words = asked.split(" ") if asked else SCOPES
    known = [scope for scope in SCOPES if scope in words]
    if not known:
        raise Refusal(Reason.SCOPE, "nothing of it is given here")
    return " ".join(known)


class Authorizations:
    """The use-cases of consent and tokens."""

    def __init__(self, house: House, standing: Standing) -> None:
        self._house = house
        self._standing = standing
        self._tokens = Tokens(house.keys)
        self._swept_at = house.clock.monotonic()

    # --- consent ---

    async def grant(self, principal: Principal, client: Client, scope: str, redirect: str, challenge: str) -> Secret:
        """A code for what the user has just granted. Raises Refusal(CLIENT, CREDENTIALS).

        `challenge`: PKCE's, by S256 (RFC 7636 §4.2).
        """
        binding = self._tokens.binding(redirect, challenge)

        def write(tx: Transaction) -> Secret:
            epoch = self.still_in(tx, principal, client.client_id)
            code = self._tokens.give_code(tx, principal.person, client.client_id, scope, epoch=epoch, binding=binding)
            self.trace(tx, Kind.AUTHORIZED, principal, client.client_id, {"scope": scope})
            return code

        return await self._house.write.run(write)

    async def deny(self, principal: Principal, client: Client) -> None:
        """Note that the user said no."""
        await self._house.write.run(
            lambda tx: self.trace(tx, Kind.AUTHORIZATION_DENIED, principal, client.client_id, {})
        )

    def still_in(self, tx: Transaction, principal: Principal, client: str) -> int:
        """The epoch of an account that signed in, and still may act. Raises Refusal(CREDENTIALS, CLIENT)."""
        found = accounts.epoch(tx, principal.person)
        if found is None or found[1] is not State.OPEN or 2 * found[0] != principal.epoch:
            raise Refusal(Reason.CREDENTIALS, "the account changed meanwhile")
        if clients.get(tx, client) is None:
            raise Refusal(Reason.CLIENT, "removed meanwhile")
        return found[0]

    def trace(self, tx: Transaction, kind: Kind, principal: Principal, client: str, more: dict[str, Value]) -> None:
        details: dict[str, Value] = {"client": client, "from": principal.client, **more}
        tx.trail(Event(kind, principal.person, str(principal.address), details=details))

    # --- tokens ---

    async def redeem(self, client: Client, code: Secret, redirect: str, challenge: str) -> Issued:
        """Exchange a code (RFC 6749 §4.1.3). Raises Refusal(TOKEN, STRUCK_OFF)."""
        binding, rules = self._tokens.binding(redirect, challenge), self._house.settings.oauth
        return await self._exchange(
            client, TokenKind.CODE, code, lambda tx: self._tokens.redeem(tx, code, client.client_id, binding, rules)
        )

    async def refresh(self, client: Client, presented: Secret, scope: str) -> Issued:
        """Exchange a refresh token (RFC 6749 §6). `scope`: empty, or no more than was granted.

        Raises Refusal(TOKEN, STRUCK_OFF, SCOPE).
        """
        rules = self._house.settings.oauth

        def act(tx: Transaction) -> Issued | Refused:
            row = self._tokens.look(tx, presented)
            if scope and row is not None and not set(scope.split(" ")) <= set(row.of.scope.split()):
                raise Refusal(Reason.SCOPE, "more than was granted")
            return self._tokens.refresh(tx, presented, client.client_id, rules)

        return await self._exchange(client, TokenKind.REFRESH, presented, act)

    async def _exchange(
        self, client: Client, kind: TokenKind, presented: Secret, act: Callable[[Transaction], Issued | Refused]
    ) -> Issued:
        await self._check_listed(kind, presented)
        sweep = self._sweep_due()

        def write(tx: Transaction) -> Issued | Refused:
            outcome = act(tx)
            of = outcome.of
            if isinstance(outcome, Issued):
                self.trace_issued(tx, outcome.of, kind.name.lower())
            elif of is not None:
                details: dict[str, Value] = {"client": client.client_id, "kind": kind.name.lower()}
                tx.trail(Event(Kind.TOKENS_REFUSED, of.account_id, outcome=outcome.why.value, details=details))
                replays.notify(tx, of.account_id, "session")
            if sweep:
                _sweep(tx, self._house.settings.web.session_idle)
            return outcome

        outcome = await self._house.write.run(write)
        if isinstance(outcome, Refused):
            _refused.labels(reason=outcome.why.value).inc()
            raise Refusal(Reason.TOKEN, outcome.why.value)
        issued.labels(kind=kind.name.lower()).inc()
        return outcome

    def trace_issued(self, tx: Transaction, of: AuthorizationRow, kind: str) -> None:
        """`kind`: what they were given for."""
        details: dict[str, Value] = {"client": of.client_id, "authorization": of.authorization_id, "kind": kind}
        tx.trail(Event(Kind.TOKENS_ISSUED, of.account_id, details=details))

    async def _check_listed(self, kind: TokenKind, presented: Secret) -> None:
        """Raises Refusal(TOKEN) for what was never issued, which costs a stranger's try no write; STRUCK_OFF where
        whoever granted it is gone from the directory.
        """
        digest = self._tokens.digest(kind, presented)
        if digest is None:
            raise Refusal(Reason.TOKEN, "none by its form")

        def read(tx: Transaction) -> tuple[AccountId, bytes] | None:
            row = tokens.find(tx, digest)
            standing = None if row is None else accounts.standing(tx, row.of.account_id)
            return None if row is None or standing is None else (row.of.account_id, standing[2])

        found = await self._house.read.run(read)
        if found is None:
            raise Refusal(Reason.TOKEN, "unknown")
        if self._standing.struck_off(self._standing.credentials.dossier(*found)):
            raise Refusal(Reason.STRUCK_OFF)

    def _sweep_due(self) -> bool:
        now = self._house.clock.monotonic()
        if now - self._swept_at < SWEEP_EVERY_S:
            return False
        self._swept_at = now
        return True

    # --- looking and taking back ---

    async def introspect(self, presented: Secret) -> Active | None:
        """What a token is good for now; None for any that isn't. For confidential programs alone (RFC 7662 §2.1)."""

        def read(tx: Transaction) -> tuple[TokenRow, bytes] | None:
            row = self._tokens.look(tx, presented)
            if row is None or row.used or not row.alive or row.expires_at <= tx.now:
                return None
            standing = accounts.standing(tx, row.of.account_id)
            return None if standing is None else (row, standing[2])

        found = await self._house.read.run(read)
        if found is None:
            return None
        row, sealed = found
        dossier = self._standing.credentials.dossier(row.of.account_id, sealed)
        if self._standing.struck_off(dossier):
            return None
        of = row.of
        return Active(row.kind, dossier.address, of.account_id, of.client_id, of.scope, row.expires_at)

    async def revoke(self, client: Client, presented: Secret) -> None:
        """Let a program give a token back, and its whole family with it (RFC 7009 §2.1).

        Another program's token, and what is none, change nothing, and nobody is told so (§2.2).
        """

        def write(tx: Transaction) -> None:
            row = self._tokens.look(tx, presented)
            if row is not None and row.of.client_id == client.client_id:
                _revoke(tx, row.of, {"by": "client"})

        await self._house.write.run(write)

    async def of_principal(self, principal: Principal) -> list[Authorization]:
        """What a user has granted and can still be used."""
        rows = await self._house.read.run(lambda tx: tokens.of_account(tx, principal.person))
        return [_shown(row, principal.address) for row in rows]

    async def revoke_own(self, principal: Principal, number: int) -> bool:
        """Let a user take back what they granted; False where they granted no such thing."""

        def write(tx: Transaction) -> bool:
            row = tokens.get(tx, number)
            if row is None or row.account_id != principal.person:
                return False
            return _revoke(tx, row, {"by": "holder", "from": principal.client})

        return await self._house.write.run(write)

    async def list(self, address: Address | None = None) -> list[Authorization]:
        """What can still be used, of one account or all, oldest first. Raises Refusal(ACCOUNT_MISSING)."""

        def read(tx: Transaction) -> list[tuple[AuthorizationRow, bytes]]:
            rows = tokens.every(tx) if address is None else tokens.of_account(tx, self._number(tx, address))
            sealed = {a: accounts.by_id(tx, a).sealed for a in {row.account_id for row in rows}}
            return [(row, sealed[row.account_id]) for row in rows]

        found = await self._house.read.run(read)
        credentials = self._standing.credentials
        return [_shown(row, credentials.dossier(row.account_id, sealed).address) for row, sealed in found]

    async def revoke_by(self, administrator: str, *, address: Address | None = None, number: int = 0) -> int:
        """Let an administrator revoke one authorization, or all of an account's; how many that were.

        Raises Refusal(ACCOUNT_MISSING).
        """

        def write(tx: Transaction) -> int:
            if address is None:
                row = tokens.get(tx, number)
                rows = [] if row is None else [row]
            else:
                rows = tokens.of_account(tx, self._number(tx, address))
            return sum(_revoke(tx, row, {"administrator": administrator}) for row in rows)

        return await self._house.write.run(write)

    def _number(self, tx: Transaction, address: Address) -> AccountId:
        return account_of(tx, self._standing.credentials, address, closed=True).account_id


def _revoke(tx: Transaction, row: AuthorizationRow, by: dict[str, Value]) -> bool:
    """Revoke a family, trace it, and have the sessions that it opened looked at."""
    if not tokens.revoke(tx, row.authorization_id):
        return False
    replays.notify(tx, row.account_id, "session")
    details: dict[str, Value] = {"client": row.client_id, "authorization": row.authorization_id, **by}
    tx.trail(Event(Kind.AUTHORIZATION_REVOKED, row.account_id, details=details))
    return True


def _shown(row: AuthorizationRow, address: Address) -> Authorization:
    return Authorization(
        row.authorization_id,
        row.account_id,
        address,
        row.client_id,
        row.scope,
        row.created_at,
        row.used_at,
        row.ends_at,
    )


def _sweep(tx: Transaction, session_idle_s: int) -> None:
    """Forget what can serve no more, of everybody."""
    now = int(tx.now)
    tokens.expire(tx)
    devices.expire(tx, now - ENDED_DEVICES_KEPT_S)
    visits.expire(tx, now - session_idle_s)
    enrolments.expire(tx)
