"""Rows of authorizations (what a user granted to a program) and of the codes and tokens that come from them.

A token lies here as a digest only. Its authorization is its family: removed, it takes all of them with it, and so does
an account that is closed, suspended, or whose epoch has risen since. Used codes and refresh tokens stay until their
family ends, so that a replay is known for one.
"""

from dataclasses import dataclass
from enum import IntEnum, unique

from sqlalchemy import bindparam, delete, select, update

from mssmail.base.ids import AccountId
from mssmail.store.accounts import State, next_number
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import accounts, authorizations, tokens


@unique
class TokenKind(IntEnum):
    """What a row's token is good for; the number is what lies in the row."""

    ACCESS = 0
    REFRESH = 1
    CODE = 2


@dataclass(frozen=True, slots=True)
class AuthorizationRow:
    """What a user granted to a program."""

    authorization_id: int
    account_id: AccountId
    client_id: str
    scope: str
    epoch: int
    created_at: int
    used_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token with its authorization."""

    kind: TokenKind
    binding: bytes | None
    expires_at: int
    used: bool
    of: AuthorizationRow
    alive: bool
    """Whether its account is open, with the epoch that it was granted under."""


_AUTHORIZATION = (
    authorizations.c.authorization_id,
    authorizations.c.account_id,
    authorizations.c.client_id,
    authorizations.c.scope,
    authorizations.c.epoch,
    authorizations.c.created_at,
    authorizations.c.used_at,
    authorizations.c.ends_at,
)
_PUT_AUTHORIZATION = put(authorizations)
_PUT_TOKEN = put(tokens)
_FIND = Statement(
    select(
        tokens.c.kind, tokens.c.binding, tokens.c.expires_at, tokens.c.used, *_AUTHORIZATION,
        accounts.c.epoch, accounts.c.state,
    )
    .select_from(
        tokens.join(authorizations, authorizations.c.authorization_id == tokens.c.authorization_id).join(
            accounts, accounts.c.account_id == authorizations.c.account_id
        )
    )
    .where(tokens.c.digest == bindparam("which"))
)  # fmt: skip
_USE = Statement(update(tokens).where(tokens.c.digest == bindparam("which"), tokens.c.used == 0).values(used=1))
_PROLONG = Statement(
    update(authorizations)
    .where(authorizations.c.authorization_id == bindparam("number"))
    .values(used_at=bindparam("at"), ends_at=bindparam("ends"))
)
_GET = Statement(select(*_AUTHORIZATION).where(authorizations.c.authorization_id == bindparam("number")))
_OF_ACCOUNT = Statement(
    select(*_AUTHORIZATION)
    .where(authorizations.c.account_id == bindparam("account"), authorizations.c.ends_at > bindparam("now"))
    .order_by(authorizations.c.authorization_id)
)
_OF_CLIENT = Statement(
    select(*_AUTHORIZATION)
    .where(authorizations.c.client_id == bindparam("client"))
    .order_by(authorizations.c.authorization_id)
)
_ALL = Statement(
    select(*_AUTHORIZATION)
    .where(authorizations.c.ends_at > bindparam("now"))
    .order_by(authorizations.c.authorization_id)
)
_ALIVE = Statement(
    select(authorizations.c.authorization_id)
    .select_from(authorizations.join(accounts, accounts.c.account_id == authorizations.c.account_id))
    .where(
        authorizations.c.authorization_id == bindparam("number"),
        authorizations.c.epoch == accounts.c.epoch,
        accounts.c.state == State.OPEN.value,
    )
)
_DROP = Statement(delete(authorizations).where(authorizations.c.authorization_id == bindparam("number")))
_DROP_TOKENS = Statement(delete(tokens).where(tokens.c.authorization_id == bindparam("number")))
_ENDED = Statement(
    select(authorizations.c.authorization_id)
    .where(authorizations.c.ends_at <= bindparam("now"))
    .limit(bindparam("count"))
)
_DROP_EXPIRED = Statement(
    delete(tokens).where(tokens.c.kind == TokenKind.ACCESS.value, tokens.c.expires_at <= bindparam("now"))
)
SWEPT_AT_ONCE = 500
"""Ended authorizations taken out in one transaction."""


def authorize(
    tx: Transaction, account: AccountId, client: str, scope: str, *, epoch: int, ends_at: int
) -> AuthorizationRow:
    """Begin a family."""
    now, number = int(tx.now), next_number(tx, "authorization")
    row = AuthorizationRow(number, account, client, scope, epoch, now, now, ends_at)
    tx.run(
        _PUT_AUTHORIZATION,
        authorization_id=number,
        account_id=account,
        client_id=client,
        scope=scope,
        epoch=epoch,
        created_at=now,
        used_at=now,
        ends_at=ends_at,
    )
    return row


def add(
    tx: Transaction,
    authorization: int,
    kind: TokenKind,
    digest: bytes,
    *,
    expires_at: int,
    binding: bytes | None = None,
) -> None:
    """Put a token into its family."""
    tx.run(
        _PUT_TOKEN,
        digest=digest,
        authorization_id=authorization,
        kind=kind.value,
        binding=binding,
        expires_at=expires_at,
        used=0,
    )


def find(tx: Transaction, digest: bytes) -> TokenRow | None:
    """A token's row, used, expired or dead as it may be."""
    row = tx.run(_FIND, which=digest).fetchone()
    if row is None:
        return None
    of = AuthorizationRow(*row[4:12])
    alive = row[12] == of.epoch and row[13] == State.OPEN.value
    return TokenRow(TokenKind(row[0]), row[1], row[2], bool(row[3]), of, alive)


def use(tx: Transaction, digest: bytes) -> bool:
    """Redeem a code or a refresh token; False where that was done before."""
    return tx.run(_USE, which=digest).rowcount == 1


def prolong(tx: Transaction, authorization: int, ends_at: int) -> None:
    """Note that tokens were got, and until when more can be."""
    tx.run(_PROLONG, number=authorization, at=int(tx.now), ends=ends_at)


def get(tx: Transaction, authorization: int) -> AuthorizationRow | None:
    row = tx.run(_GET, number=authorization).fetchone()
    return None if row is None else AuthorizationRow(*row)


def alive(tx: Transaction, authorization: int) -> bool:
    """Whether a family stands: neither revoked, nor dead with its account's epoch. A session by token ends with it.

    Its end in time doesn't count here: what was begun within it may go on.
    """
    return tx.run(_ALIVE, number=authorization).fetchone() is not None


def of_account(tx: Transaction, account: AccountId) -> list[AuthorizationRow]:
    """What an account has granted and can still be used, oldest first."""
    return [AuthorizationRow(*row) for row in tx.run(_OF_ACCOUNT, account=account, now=int(tx.now)).fetchall()]


def of_client(tx: Transaction, client: str) -> list[AuthorizationRow]:
    """What was granted to a program, ended ones too."""
    return [AuthorizationRow(*row) for row in tx.run(_OF_CLIENT, client=client).fetchall()]


def every(tx: Transaction) -> list[AuthorizationRow]:
    """All that can still be used, oldest first."""
    return [AuthorizationRow(*row) for row in tx.run(_ALL, now=int(tx.now)).fetchall()]


def revoke(tx: Transaction, authorization: int) -> bool:
    """Remove a family with all its tokens; False where there was none."""
    tx.run(_DROP_TOKENS, number=authorization)
    return tx.run(_DROP, number=authorization).rowcount == 1


def expire(tx: Transaction) -> None:
    """Remove expired access tokens, and families by which nothing can be got any more, some hundred at a time."""
    now = int(tx.now)
    tx.run(_DROP_EXPIRED, now=now)
    for (number,) in tx.run(_ENDED, now=now, count=SWEPT_AT_ONCE).fetchall():
        revoke(tx, number)
