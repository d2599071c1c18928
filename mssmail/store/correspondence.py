"""Which accounts wrote to which patient, by a keyed digest of the patient's address: these may be answered."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction
from mssmail.store.schema import correspondence

_c = correspondence.c


def _wrote(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(correspondence).values(
        patient_digest=bindparam("patient"), account_id=bindparam("account"), at=bindparam("now")
    )
    return clause.on_conflict_do_update(
        index_elements=["patient_digest", "account_id"], set_={"at": clause.excluded.at}
    )


_WROTE = Statement(_wrote)
_SINCE = Statement(
    select(_c.account_id).where(
        _c.patient_digest == bindparam("patient"), _c.account_id == bindparam("account"), _c.at >= bindparam("since")
    )
)
_FORGET = Statement(delete(correspondence).where(_c.at < bindparam("before")))


def wrote(tx: Transaction, patient: bytes, account: AccountId) -> None:
    """Note that an account writes to a patient."""
    tx.run(_WROTE, patient=patient, account=account, now=int(tx.now))


def wrote_since(tx: Transaction, patient: bytes, accounts: Sequence[AccountId], since: int) -> frozenset[AccountId]:
    """Those of the accounts that wrote to a patient since then."""
    return frozenset(
        account
        for account in accounts
        if tx.run(_SINCE, patient=patient, account=account, since=since).fetchone() is not None
    )


def forget(tx: Transaction, before: int) -> int:
    """Forget what lies further back; how many rows."""
    return tx.run(_FORGET, before=before).rowcount
