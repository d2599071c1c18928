"""Accounts' rows: who they are is sealed, what state they are in isn't. Also the numbers that are given out once."""

from dataclasses import dataclass
from enum import Enum, unique
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.base.ids import AccountId, FolderId
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rules import NO_RULES, Rule
from mssmail.store.interface import Row, Statement, Transaction, put
from mssmail.store.schema import accounts, counters


@unique
class State(Enum):
    """What may happen with an account."""

    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as stored."""

    account_id: AccountId
    kind: str
    state: State
    rules: Rule
    sealed: bytes
    secrets: bytes | None
    last_step: int
    epoch: int
    modseq: int
    used_octets: int
    quota_octets: int
    inbox_id: int
    created_at: int
    signed_in_at: int | None
    term_s: int | None


def _row(row: tuple[Any, ...]) -> AccountRow:
    return AccountRow(row[0], row[1], State(row[2]), Rule(row[3]) if row[3] else NO_RULES, *row[4:])


_COLUMNS = (
    accounts.c.account_id,
    accounts.c.kind,
    accounts.c.state,
    accounts.c.rules,
    accounts.c.sealed,
    accounts.c.secrets,
    accounts.c.last_step,
    accounts.c.epoch,
    accounts.c.modseq,
    accounts.c.used_octets,
    accounts.c.quota_octets,
    accounts.c.inbox_id,
    accounts.c.created_at,
    accounts.c.signed_in_at,
    accounts.c.term_s,
)


def _bump(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(counters).values(name=bindparam("name"), value=bindparam("count"))
    return clause.on_conflict_do_update(
        index_elements=[counters.c.name], set_={"value": counters.c.value + clause.excluded.value}
    ).returning(counters.c.value)


_NEXT = Statement(_bump)
_PUT = put(accounts)
_BY_ADDRESS = Statement(select(*_COLUMNS).where(accounts.c.address_digest == bindparam("digest")))
_BY_SUBJECT = Statement(
    select(*_COLUMNS).where(accounts.c.subject_digest == bindparam("digest")).order_by(accounts.c.account_id)
)
_BY_ID = Statement(select(*_COLUMNS).where(accounts.c.account_id == bindparam("account")))
_PAGE = Statement(
    select(*_COLUMNS)
    .where(accounts.c.account_id > bindparam("after"))
    .order_by(accounts.c.account_id)
    .limit(bindparam("count"))
)
_SET_STATE = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"))
    .values(state=bindparam("state"), epoch=accounts.c.epoch + 1)
)
_SET_SECRETS = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"))
    .values(secrets=bindparam("secrets"), epoch=accounts.c.epoch + bindparam("raise"))
)
_SET_DOSSIER = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"))
    .values(sealed=bindparam("content"), epoch=accounts.c.epoch + 1)
)
_USE_STEP = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"), accounts.c.last_step < bindparam("step"))
    .values(last_step=bindparam("step"))
)
_SIGNED_IN = Statement(
    update(accounts).where(accounts.c.account_id == bindparam("account")).values(signed_in_at=bindparam("at"))
)
_CHANGE = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"))
    .values(modseq=accounts.c.modseq + 1, used_octets=accounts.c.used_octets + bindparam("octets"))
    .returning(
        accounts.c.modseq,
        accounts.c.inbox_id,
        accounts.c.used_octets,
        accounts.c.quota_octets,
        accounts.c.term_s,
    )
)
_EPOCH = Statement(
    select(accounts.c.epoch, accounts.c.state, accounts.c.modseq).where(accounts.c.account_id == bindparam("account"))
)
_PRESENCE = Statement(
    select(accounts.c.epoch, accounts.c.signed_in_at).where(accounts.c.account_id == bindparam("account"))
)
_USED = Statement(
    select(accounts.c.used_octets, accounts.c.quota_octets).where(accounts.c.account_id == bindparam("account"))
)
_RELEASE = Statement(
    update(accounts)
    .where(accounts.c.account_id == bindparam("account"))
    .values(used_octets=accounts.c.used_octets - bindparam("octets"))
)
_TERM = Statement(
    update(accounts).where(accounts.c.account_id == bindparam("account")).values(term_s=bindparam("term"))
)
_RULES = Statement(
    update(accounts).where(accounts.c.account_id == bindparam("account")).values(rules=bindparam("bits"))
)
_STANDING = Statement(
    select(accounts.c.epoch, accounts.c.state, accounts.c.sealed, accounts.c.kind).where(
        accounts.c.account_id == bindparam("account")
    )
)
_QUOTA = Statement(
    update(accounts).where(accounts.c.account_id == bindparam("account")).values(quota_octets=bindparam("octets"))
)


def next_number(tx: Transaction, name: str, count: int = 1) -> int:
    """The first of `count` new numbers of a counter, from 1."""
    row = tx.run(_NEXT, name=name, count=count).fetchone()
    assert row is not None
    return int(row[0]) - count + 1


def add(tx: Transaction, **values: int | bytes | str | None) -> None:
    """Insert an account's row; the columns not given take their first values."""
    first: dict[str, int | bytes | str | None] = {
        "state": State.OPEN.value,
        "secrets": None,
        "last_step": 0,
        "epoch": 0,
        "modseq": 1,
        "used_octets": 0,
        "keywords": 0,
        "rules": 0,
        "term_s": None,
        "signed_in_at": None,
    }
    tx.run(_PUT, **(first | values))


def by_address(tx: Transaction, digest: bytes) -> AccountRow | None:
    row = tx.run(_BY_ADDRESS, digest=digest).fetchone()
    return None if row is None else _row(row)


def by_subject(tx: Transaction, digest: bytes) -> list[AccountRow]:
    """Those a certificate's subject opens, oldest first."""
    return [_row(row) for row in tx.run(_BY_SUBJECT, digest=digest).fetchall()]


def by_id(tx: Transaction, account: AccountId) -> AccountRow:
    """Raises Refusal(ACCOUNT_MISSING)."""
    row = tx.run(_BY_ID, account=account).fetchone()
    if row is None:
        raise Refusal(Reason.ACCOUNT_MISSING, f"account {account}")
    return _row(row)


def page(tx: Transaction, after: int, count: int) -> list[AccountRow]:
    """The next accounts by number."""
    return [_row(row) for row in tx.run(_PAGE, after=after, count=count).fetchall()]


def set_state(tx: Transaction, account: AccountId, state: State) -> None:
    """Also raises the epoch, so that open sessions end."""
    tx.run(_SET_STATE, account=account, state=state.value)


def set_secrets(tx: Transaction, account: AccountId, secrets: bytes | None, *, end_sessions: bool) -> None:
    tx.run(_SET_SECRETS, account=account, secrets=secrets, **{"raise": int(end_sessions)})


def set_dossier(tx: Transaction, account: AccountId, sealed: bytes) -> None:
    """Also raises the epoch, so that sessions begin anew with what it says now."""
    tx.run(_SET_DOSSIER, account=account, content=sealed)


def use_step(tx: Transaction, account: AccountId, step: int) -> bool:
    """Take a one-time code's step; False where it, or a later one, was taken before."""
    return tx.run(_USE_STEP, account=account, step=step).rowcount == 1


def signed_in(tx: Transaction, account: AccountId, at: int) -> None:
    tx.run(_SIGNED_IN, account=account, at=at)


def set_quota(tx: Transaction, account: AccountId, octets: int) -> None:
    tx.run(_QUOTA, account=account, octets=octets)


def set_term(tx: Transaction, account: AccountId, term_s: int | None) -> None:
    """The account's own retention term; None for the default."""
    tx.run(_TERM, account=account, term=term_s)


def set_rules(tx: Transaction, account: AccountId, rules: Rule) -> None:
    """What is looked up for mail that comes to the account."""
    tx.run(_RULES, account=account, bits=rules.value)


def change(tx: Transaction, account: AccountId, octets: int = 0) -> int:
    """A new mod-sequence for a change in the account that adds so many octets; wakes its sessions after the commit.

    Raises Refusal(ACCOUNT_MISSING).
    """
    return arrive(tx, account, octets)[0]


def arrive(tx: Transaction, account: AccountId, octets: int) -> tuple[int, FolderId]:
    """As `change`; also the number of the account's INBOX."""
    row = _change(tx, account, octets)
    return row[0], FolderId(row[1])


def put_in(tx: Transaction, account: AccountId, octets: int) -> tuple[int, int | None]:
    """As `change`; also the account's own term. Raises Refusal(OVER_QUOTA, ACCOUNT_MISSING)."""
    modseq, _, used, quota, term_s = _change(tx, account, octets)
    if used > quota:
        raise Refusal(Reason.OVER_QUOTA, f"account {account}")
    return modseq, term_s


def _change(tx: Transaction, account: AccountId, octets: int) -> Row:
    """As `_CHANGE` returns them."""
    row = tx.run(_CHANGE, account=account, octets=octets).fetchone()
    if row is None:
        raise Refusal(Reason.ACCOUNT_MISSING, f"account {account}")
    tx.wake(account, row[0])
    return row


def release(tx: Transaction, account: AccountId, octets: int) -> None:
    """Give octets back to the quota."""
    tx.run(_RELEASE, account=account, octets=octets)


def take(tx: Transaction, account: AccountId, octets: int) -> None:
    """Count octets against the quota. Raises Refusal(OVER_QUOTA)."""
    fits(tx, account, octets)
    release(tx, account, -octets)


def fits(tx: Transaction, account: AccountId, octets: int) -> None:
    """Raises Refusal(OVER_QUOTA) where so many octets more would pass the quota."""
    row = tx.run(_USED, account=account).fetchone()
    if row is None or row[0] + octets > row[1]:
        raise Refusal(Reason.OVER_QUOTA, f"account {account}")


def epoch(tx: Transaction, account: AccountId) -> tuple[int, State, int] | None:
    """An account's epoch, state and mod-sequence."""
    row = tx.run(_EPOCH, account=account).fetchone()
    return None if row is None else (int(row[0]), State(row[1]), int(row[2]))


def presence(tx: Transaction, account: AccountId) -> tuple[int, int]:
    """An account's epoch (-1 where there is none), and when somebody last signed in to it (0: never)."""
    row = tx.run(_PRESENCE, account=account).fetchone()
    return (-1, 0) if row is None else (int(row[0]), row[1] or 0)


def standing(tx: Transaction, account: AccountId) -> tuple[int, State, bytes, str] | None:
    """What decides whether a session may stay: epoch, state, sealed dossier, kind."""
    row = tx.run(_STANDING, account=account).fetchone()
    return None if row is None else (int(row[0]), State(row[1]), row[2], row[3])
