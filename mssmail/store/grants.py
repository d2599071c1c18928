"""Rows of grants: a row for each code that opened or joined one. Rows of one grant share account, client and end."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select

from mssmail.base.ids import AccountId
from mssmail.store.accounts import next_number
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import failures, grants


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A code that opened or joined a grant."""

    grant_id: int
    opened_at: int
    ends_at: int
    step: int


_PUT = put(grants)
_LIVE = Statement(
    select(grants.c.grant_id, grants.c.opened_at, grants.c.ends_at, grants.c.step)
    .where(
        grants.c.account_id == bindparam("account"),
        grants.c.client == bindparam("client"),
        grants.c.ends_at > bindparam("now"),
    )
    .order_by(grants.c.grant_id)
)
_STILL = Statement(
    select(
        select(func.min(grants.c.grant_id))
        .where(
            grants.c.account_id == bindparam("account"),
            grants.c.client == bindparam("client"),
            grants.c.ends_at > bindparam("now"),
        )
        .scalar_subquery(),
        select(failures.c.until).where(failures.c.subject == bindparam("address")).scalar_subquery(),
    )
)
_FORGET_ENDED = Statement(
    delete(grants).where(grants.c.account_id == bindparam("account"), grants.c.ends_at <= bindparam("now"))
)
_END_ALL = Statement(delete(grants).where(grants.c.account_id == bindparam("account")))


def live(tx: Transaction, account: AccountId, client: bytes, now: int) -> list[GrantRow]:
    """The rows of the grant that is open for an account and a client's digest, first code first."""
    return [GrantRow(*row) for row in tx.run(_LIVE, account=account, client=client, now=now).fetchall()]


def still(tx: Transaction, account: AccountId, client: bytes, address: bytes) -> tuple[int | None, int]:
    """The grant that is live now, None for none; and until when the address is locked, 0 where it never was.

    `client` is the address's digest in rows of grants, `address` the one in rows of failures.
    """
    row = tx.run(_STILL, account=account, client=client, address=address, now=int(tx.now)).fetchone()
    assert row is not None
    return row[0], row[1] or 0


def add(tx: Transaction, account: AccountId, client: bytes, *, opened_at: int, ends_at: int, step: int) -> GrantRow:
    """Open a grant, or let a code join one: then with the times of the one it joins. Ended ones go."""
    tx.run(_FORGET_ENDED, account=account, now=int(tx.now))
    grant = next_number(tx, "grant")
    tx.run(_PUT, grant_id=grant, account_id=account, client=client, opened_at=opened_at, ends_at=ends_at, step=step)
    return GrantRow(grant, opened_at, ends_at, step)


def end_all(tx: Transaction, account: AccountId) -> int:
    """End an account's grants everywhere; how many codes were in them."""
    return tx.run(_END_ALL, account=account).rowcount
