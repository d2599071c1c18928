"""Codes and tokens of the authorization server: how they are made, known again, exchanged and ended.

All are opaque: 256 random bits behind a prefix by which secret scanners and people know them; the database holds a
keyed digest (HMAC-SHA-256, cut to 128 bits). Every check reads the database, so that a revocation holds everywhere at
once. A token dies with its family (`store.tokens`), and that with its account's epoch or state.

- A code serves once, within `CODE_S`, for the client, redirect and PKCE challenge that it was given for; a second use
  revokes what the first one gave (RFC 6749 §4.1.2).
- A refresh token serves once and gives the next; a second use revokes the family (RFC 9700 §4.14.2).

Knows no protocol: what is wrong is `Reason.TOKEN`. Revoking within a refused exchange must be committed all the same,
so exchanges return what they found instead of raising.
"""

import secrets
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from mssmail.base.ids import AccountId
from mssmail.base.secret import Secret
from mssmail.crypto.keys import KeyRing
from mssmail.settings.model import OAuth
from mssmail.store import tokens
from mssmail.store.interface import Transaction
from mssmail.store.tokens import AuthorizationRow, TokenKind, TokenRow

SCOPES: Final = ("imap", "smtp")
"""What a token may be for, by the protocol that it is presented to (`Door.protocol`)."""
CODE_S: Final = 60
TOKEN_OCTETS: Final = 32
PREFIXES: Final = {TokenKind.ACCESS: "mssat_", TokenKind.REFRESH: "mssrt_", TokenKind.CODE: "mssac_"}
_CHARACTERS: Final = 43
"""Of 32 octets in base64url without padding (RFC 4648 §5)."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that is good now."""

    authorization: int
    """Its family's number: a session that it opened ends when `store.tokens.alive` denies that."""
    account: AccountId
    """Who granted it."""
    client: str
    """The program's client id."""
    scopes: frozenset[str]
    """Out of SCOPES."""
    expires_at: int
    epoch: int
    """The account's, which is the present one."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A pair of tokens, shown once."""

    access: Secret
    refresh: Secret
    lifetime_s: int
    """Of the access token."""
    of: AuthorizationRow


@unique
class Failed(Enum):
    """Why an exchange gave nothing; all of them are one answer to a peer."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    DEAD = "dead"
    """Its account isn't open, or has another epoch."""
    MISMATCH = "mismatch"
    """Another client's, or for another redirect or challenge."""
    REPLAYED = "replayed"
    """It was used before: its whole family was revoked now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An exchange that gave nothing, and whose it was, where that is known."""

    why: Failed
    of: AuthorizationRow | None = None


def is_own(presented: Secret) -> bool:
    """Whether something bears the prefix of an access or refresh token of ours, good or not."""
    return presented.reveal().startswith((PREFIXES[TokenKind.ACCESS], PREFIXES[TokenKind.REFRESH]))


class Tokens:
    """The rules over the rows; every method but `digest` inside a transaction. Safe for threads."""

    __slots__ = ("_keys",)

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def digest(self, kind: TokenKind, presented: Secret) -> bytes | None:
        """What finds a token's row; None for what is no token of that kind by its form."""
        text, prefix = presented.reveal(), PREFIXES[kind]
        if len(text) != len(prefix) + _CHARACTERS or not text.startswith(prefix) or not text.isascii():
            return None
        return self._keys.digest("token", text.encode())

    # --- judging ---

    def judge(self, tx: Transaction, presented: Secret) -> Token | None:
        """The access token that is presented, if it is good now. A read; what is presented may be anything."""
        row = self._find(tx, TokenKind.ACCESS, presented)
        if row is None or not row.alive or row.expires_at <= tx.now:
            return None
        of = row.of
        scopes = frozenset(of.scope.split())
        return Token(of.authorization_id, of.account_id, of.client_id, scopes, row.expires_at, of.epoch)

    def look(self, tx: Transaction, presented: Secret) -> TokenRow | None:
        """An access or refresh token, good now or not: whose it is, for who may ask."""
        return self._find(tx, TokenKind.ACCESS, presented) or self._find(tx, TokenKind.REFRESH, presented)

    def _find(self, tx: Transaction, kind: TokenKind, presented: Secret) -> TokenRow | None:
        digest = self.digest(kind, presented)
        row = None if digest is None else tokens.find(tx, digest)
        return None if row is None or row.kind is not kind else row

    # --- codes ---

    def binding(self, redirect: str, challenge: str) -> bytes:
        """What a code is bound to beside its client."""
        return self._keys.digest("code", redirect.encode() + b"\0" + challenge.encode())

    def give_code(
        self, tx: Transaction, account: AccountId, client: str, scope: str, *, epoch: int, binding: bytes
    ) -> Secret:
        """A code for what a user has just granted."""
        until = int(tx.now) + CODE_S
        row = tokens.authorize(tx, account, client, scope, epoch=epoch, ends_at=until)
        return self._make(tx, row.authorization_id, TokenKind.CODE, until, binding)

    def redeem(self, tx: Transaction, presented: Secret, client: str, binding: bytes, rules: OAuth) -> Issued | Refused:
        """Exchange a code for tokens."""
        found = self._take(tx, TokenKind.CODE, presented, client, binding)
        return found if isinstance(found, Refused) else self.issue(tx, found, rules)

    # --- tokens ---

    def refresh(self, tx: Transaction, presented: Secret, client: str, rules: OAuth) -> Issued | Refused:
        """Exchange a refresh token for a new pair."""
        found = self._take(tx, TokenKind.REFRESH, presented, client, None)
        return found if isinstance(found, Refused) else self.issue(tx, found, rules)

    def issue(self, tx: Transaction, of: AuthorizationRow, rules: OAuth) -> Issued:
        """A new pair in a family, which lasts as long as they do."""
        now = int(tx.now)
        last = of.created_at + rules.authorization_lifetime
        access_until = min(now + rules.access_lifetime, last)
        ends_at = max(access_until, min(now + rules.refresh_lifetime, last))
        tokens.prolong(tx, of.authorization_id, ends_at)
        access = self._make(tx, of.authorization_id, TokenKind.ACCESS, access_until)
        refresh = self._make(tx, of.authorization_id, TokenKind.REFRESH, ends_at)
        return Issued(access, refresh, access_until - now, of)

    def _take(
        self, tx: Transaction, kind: TokenKind, presented: Secret, client: str, binding: bytes | None
    ) -> AuthorizationRow | Refused:
        digest = self.digest(kind, presented)
        row = None if digest is None else tokens.find(tx, digest)
        if digest is None or row is None or row.kind is not kind:
            return Refused(Failed.UNKNOWN)
        if row.of.client_id != client:
            # whoever holds another client's code has stolen it; what it is for goes on for the one it is for
            return Refused(Failed.MISMATCH, row.of)
        if row.used:
            tokens.revoke(tx, row.of.authorization_id)
            return Refused(Failed.REPLAYED, row.of)
        if row.expires_at <= tx.now:
            return Refused(Failed.EXPIRED, row.of)
        if not row.alive:
            return Refused(Failed.DEAD, row.of)
        tokens.use(tx, digest)
        if row.binding != binding:
            # a code is used up by a wrong verifier too: nobody may try two
            tokens.revoke(tx, row.of.authorization_id)
            return Refused(Failed.MISMATCH, row.of)
        return row.of

    def _make(
        self, tx: Transaction, authorization: int, kind: TokenKind, expires_at: int, binding: bytes | None = None
    ) -> Secret:
        made = Secret(PREFIXES[kind] + secrets.token_urlsafe(TOKEN_OCTETS))
        digest = self.digest(kind, made)
        assert digest is not None
        tokens.add(tx, authorization, kind, digest, expires_at=expires_at, binding=binding)
        return made
