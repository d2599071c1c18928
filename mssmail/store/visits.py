"""Rows of signed-in browsers, by the digest of their cookie; how and from where they came is sealed."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import web_sessions


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A signed-in browser."""

    digest: bytes
    account_id: AccountId
    epoch: int
    sealed: bytes
    created_at: int
    seen_at: int


_COLUMNS = (
    web_sessions.c.digest,
    web_sessions.c.account_id,
    web_sessions.c.epoch,
    web_sessions.c.sealed,
    web_sessions.c.created_at,
    web_sessions.c.seen_at,
)
_PUT = put(web_sessions)
_GET = Statement(select(*_COLUMNS).where(web_sessions.c.digest == bindparam("which")))
_OF_ACCOUNT = Statement(
    select(*_COLUMNS)
    .where(web_sessions.c.account_id == bindparam("account"), web_sessions.c.seen_at > bindparam("since"))
    .order_by(web_sessions.c.created_at)
)
_SEEN = Statement(
    update(web_sessions).where(web_sessions.c.digest == bindparam("which")).values(seen_at=bindparam("at"))
)
_DROP = Statement(delete(web_sessions).where(web_sessions.c.digest == bindparam("which")))
_DROP_OF = Statement(delete(web_sessions).where(web_sessions.c.account_id == bindparam("account")))
_EXPIRE = Statement(delete(web_sessions).where(web_sessions.c.seen_at <= bindparam("before")))


def add(tx: Transaction, row: VisitRow) -> None:
    tx.run(
        _PUT,
        digest=row.digest,
        account_id=row.account_id,
        epoch=row.epoch,
        sealed=row.sealed,
        created_at=row.created_at,
        seen_at=row.seen_at,
    )


def get(tx: Transaction, digest: bytes) -> VisitRow | None:
    row = tx.run(_GET, which=digest).fetchone()
    return None if row is None else VisitRow(*row)


def of_account(tx: Transaction, account: AccountId, seen_since: int) -> list[VisitRow]:
    """Oldest first."""
    return [VisitRow(*row) for row in tx.run(_OF_ACCOUNT, account=account, since=seen_since).fetchall()]


def seen(tx: Transaction, digest: bytes) -> None:
    tx.run(_SEEN, which=digest, at=int(tx.now))


def drop(tx: Transaction, digest: bytes) -> bool:
    return tx.run(_DROP, which=digest).rowcount == 1


def drop_all(tx: Transaction, account: AccountId) -> int:
    return tx.run(_DROP_OF, account=account).rowcount


def expire(tx: Transaction, before: int) -> None:
    """Forget those that weren't seen since."""
    tx.run(_EXPIRE, before=before)
