"""Rows of enrolments under way: a one-time code, by its digest, with which a holder sets password and code."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import enrolments


@dataclass(frozen=True, slots=True)
class EnrolmentRow:
    """An enrolment under way."""

    account_id: AccountId
    digest: bytes
    sealed: bytes
    """The secret for one-time codes that is shown, to be confirmed by a first code."""
    epoch: int
    expires_at: int


_PUT = put(enrolments)
_GET = Statement(
    select(
        enrolments.c.account_id,
        enrolments.c.digest,
        enrolments.c.sealed,
        enrolments.c.epoch,
        enrolments.c.expires_at,
    ).where(enrolments.c.digest == bindparam("which"))
)
_DROP = Statement(delete(enrolments).where(enrolments.c.account_id == bindparam("account")))
_EXPIRE = Statement(delete(enrolments).where(enrolments.c.expires_at <= bindparam("now")))


def begin(tx: Transaction, row: EnrolmentRow) -> None:
    """In place of one that the account may have already."""
    drop(tx, row.account_id)
    tx.run(
        _PUT,
        account_id=row.account_id,
        digest=row.digest,
        sealed=row.sealed,
        epoch=row.epoch,
        expires_at=row.expires_at,
    )


def find(tx: Transaction, digest: bytes) -> EnrolmentRow | None:
    row = tx.run(_GET, which=digest).fetchone()
    return None if row is None else EnrolmentRow(*row)


def drop(tx: Transaction, account: AccountId) -> bool:
    return tx.run(_DROP, account=account).rowcount == 1


def expire(tx: Transaction) -> None:
    tx.run(_EXPIRE, now=int(tx.now))
