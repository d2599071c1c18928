"""Rows of grants: a row for each code that opened or joined one. Rows of one grant share account, client and end.

Those that have ended stay for `KEPT_S`, so that a code that one of them took is known for what it is.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, select, update

from mssmail.base.ids import AccountId
from mssmail.store.accounts import next_number
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import failures, grants

KEPT_S: Final = 30 * 86_400
PAST_CODES: Final = 40
"""Codes of ended grants that are looked at, the latest: computing each takes 10 µs."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A code that opened or joined a grant."""

    grant_id: int
    opened_at: int
    ends_at: int
    step: int


@dataclass(frozen=True, slots=True)
class LiveGrant:
    """A grant that lasts, for a list."""

    number: int
    client: bytes
    opened_at: int
    ends_at: int
    codes: int


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
    delete(grants).where(grants.c.account_id == bindparam("account"), grants.c.ends_at < bindparam("before"))
)
_PAST = Statement(
    select(grants.c.step)
    .where(
        grants.c.account_id == bindparam("account"),
        grants.c.client == bindparam("client"),
        grants.c.ends_at <= bindparam("now"),
    )
    .order_by(grants.c.grant_id.desc())
    .limit(bindparam("count"))
)
_ALL_LIVE = Statement(
    select(
        func.min(grants.c.grant_id),
        grants.c.client,
        func.min(grants.c.opened_at),
        func.max(grants.c.ends_at),
        func.count(),
    )
    .where(grants.c.account_id == bindparam("account"), grants.c.ends_at > bindparam("now"))
    .group_by(grants.c.client)
    .order_by(func.min(grants.c.grant_id))
)
_END = Statement(
    update(grants)
    .where(
        grants.c.account_id == bindparam("account"),
        grants.c.client == bindparam("which"),
        grants.c.ends_at > bindparam("now"),
    )
    .values(ends_at=bindparam("now"))
)
_END_ALL = Statement(
    update(grants)
    .where(grants.c.account_id == bindparam("account"), grants.c.ends_at > bindparam("now"))
    .values(ends_at=bindparam("now"))
)


def live(tx: Transaction, account: AccountId, client: bytes, now: int) -> list[GrantRow]:
    """The rows of the grant that is open for an account and a client's digest, first code first."""
    return [GrantRow(*row) for row in tx.run(_LIVE, account=account, client=client, now=now).fetchall()]


def past(tx: Transaction, account: AccountId, client: bytes) -> tuple[int, ...]:
    """The steps of codes that ended grants of an account and a client's digest took, the latest first."""
    rows = tx.run(_PAST, account=account, client=client, now=int(tx.now), count=PAST_CODES).fetchall()
    return tuple(int(row[0]) for row in rows)


def all_live(tx: Transaction, account: AccountId) -> list[LiveGrant]:
    """An account's grants that last, the oldest first."""
    return [LiveGrant(*row) for row in tx.run(_ALL_LIVE, account=account, now=int(tx.now)).fetchall()]


def end(tx: Transaction, account: AccountId, client: bytes) -> int:
    """End an account's grant of one client's digest; how many codes were in it."""
    return tx.run(_END, account=account, which=client, now=int(tx.now)).rowcount


def still(tx: Transaction, account: AccountId, client: bytes, address: bytes) -> tuple[int | None, int]:
    """The grant that is live now, None for none; and until when the address is locked, 0 where it never was.

    `client` is the address's digest in rows of grants, `address` the one in rows of failures.
    """
    row = tx.run(_STILL, account=account, client=client, address=address, now=int(tx.now)).fetchone()
    assert row is not None
    return row[0], row[1] or 0


def add(tx: Transaction, account: AccountId, client: bytes, *, opened_at: int, ends_at: int, step: int) -> GrantRow:
    """Open a grant, or let a code join one: then with the times of the one it joins. Long ended ones go."""
    tx.run(_FORGET_ENDED, account=account, before=int(tx.now) - KEPT_S)
    grant = next_number(tx, "grant")
    tx.run(_PUT, grant_id=grant, account_id=account, client=client, opened_at=opened_at, ends_at=ends_at, step=step)
    return GrantRow(grant, opened_at, ends_at, step)


def end_all(tx: Transaction, account: AccountId) -> int:
    """End an account's grants everywhere; how many codes were in them."""
    return tx.run(_END_ALL, account=account, now=int(tx.now)).rowcount
