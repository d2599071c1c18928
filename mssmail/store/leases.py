"""Leases: one holder at a time, by database time, with a fencing number that rises with each new holder."""

from dataclasses import dataclass

from sqlalchemy import bindparam, or_, update

from mssmail.base.refusal import Reason, Refusal
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import leases

_PUT = put(leases, ignore_existing=True)
_TAKE = Statement(
    update(leases)
    .where(
        leases.c.name == bindparam("which"),
        or_(leases.c.until_ms <= bindparam("now"), leases.c.holder == bindparam("me")),
    )
    .values(holder=bindparam("me"), until_ms=bindparam("until"), fence=leases.c.fence + 1)
    .returning(leases.c.fence)
)
_RENEW = Statement(
    update(leases)
    .where(leases.c.name == bindparam("which"), leases.c.fence == bindparam("mine"))
    .values(until_ms=bindparam("until"))
)
_DROP = Statement(
    update(leases).where(leases.c.name == bindparam("which"), leases.c.fence == bindparam("mine")).values(until_ms=0)
)

_DROP_OF = Statement(
    update(leases).where(leases.c.name == bindparam("which"), leases.c.holder == bindparam("me")).values(until_ms=0)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease held: check it with `hold` in each transaction that relies on it."""

    name: str
    fence: int
    term_s: int


def take(tx: Transaction, name: str, holder: str, term_s: int) -> Lease | None:
    """Take a lease that is free, expired or one's own; None where somebody else holds it."""
    now = int(tx.now * 1000)
    tx.run(_PUT, name=name, holder="", fence=0, until_ms=0)
    row = tx.run(_TAKE, which=name, now=now, me=holder, until=now + term_s * 1000).fetchone()
    return None if row is None else Lease(name, int(row[0]), term_s)


def hold(tx: Transaction, lease: Lease) -> None:
    """Renew a lease in this transaction. Raises Refusal(UNAVAILABLE) where another has taken it meanwhile."""
    until = int(tx.now * 1000) + lease.term_s * 1000
    if tx.run(_RENEW, which=lease.name, mine=lease.fence, until=until).rowcount != 1:
        raise Refusal(Reason.UNAVAILABLE, f"lease {lease.name} was lost")


def drop_of(tx: Transaction, name: str, holder: str) -> None:
    """Give up a lease where `holder` has it."""
    tx.run(_DROP_OF, which=name, me=holder)


def drop(tx: Transaction, lease: Lease) -> None:
    tx.run(_DROP, which=lease.name, mine=lease.fence)
