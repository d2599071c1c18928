"""How much each person sent in the present hour and day of the clock: one row a person, moved where mail is accepted.

Windows of the clock, not sliding ones: a row holds no history, and one statement moves it. Whoever sends at the end of
an hour and at the beginning of the next may send twice an hour's measure within minutes; a day's measure bounds that.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement, ColumnElement

from mssmail.base.ids import AccountId
from mssmail.store.interface import Statement, Transaction
from mssmail.store.schema import sendings

HOUR_S = 3600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Sent:
    """What a person sent in the present hour and day."""

    messages_hour: int
    recipients_hour: int
    messages_day: int
    recipients_day: int

    def with_one_more(self) -> "Sent":
        """After the least message there is."""
        return Sent(self.messages_hour + 1, self.recipients_hour + 1, self.messages_day + 1, self.recipients_day + 1)


def _count(dialect: str) -> ClauseElement:
    make = sqlite_insert if dialect == "sqlite" else pg_insert
    clause = make(sendings).values(
        account_id=bindparam("account"),
        hour=bindparam("this_hour"),
        day=bindparam("this_day"),
        messages_hour=bindparam("messages"),
        recipients_hour=bindparam("recipients"),
        messages_day=bindparam("messages"),
        recipients_day=bindparam("recipients"),
        held_at=0,
    )
    new, old = clause.excluded, sendings.c
    moved: dict[str, ColumnElement[int]] = {}
    for window in ("hour", "day"):
        for name in (f"messages_{window}", f"recipients_{window}"):
            moved[name] = case((old[window] == new[window], old[name]), else_=0) + new[name]
    return clause.on_conflict_do_update(
        index_elements=[old.account_id], set_={"hour": new.hour, "day": new.day, **moved}
    ).returning(old.messages_hour, old.recipients_hour, old.messages_day, old.recipients_day)


_COUNT = Statement(_count)
_SENT = Statement(
    select(
        sendings.c.hour,
        sendings.c.day,
        sendings.c.messages_hour,
        sendings.c.recipients_hour,
        sendings.c.messages_day,
        sendings.c.recipients_day,
    ).where(sendings.c.account_id == bindparam("account"))
)
_HELD = Statement(
    update(sendings)
    .where(sendings.c.account_id == bindparam("account"), sendings.c.held_at < bindparam("since"))
    .values(held_at=bindparam("at"))
)
_HELD_SINCE = Statement(select(func.count()).select_from(sendings).where(sendings.c.held_at >= bindparam("since")))


def count(tx: Transaction, account: AccountId, messages: int, recipients: int) -> Sent:
    """Add what is being accepted; what was sent with it."""
    now = int(tx.now)
    row = tx.run(
        _COUNT,
        account=account,
        this_hour=now // HOUR_S,
        this_day=now // DAY_S,
        messages=messages,
        recipients=recipients,
    ).fetchone()
    assert row is not None
    return Sent(*row)


def sent(tx: Transaction, account: AccountId) -> Sent:
    """What was sent in the present hour and day so far."""
    row = tx.run(_SENT, account=account).fetchone()
    now = int(tx.now)
    if row is None or row[1] != now // DAY_S:
        return Sent(0, 0, 0, 0)
    return Sent(*row[2:]) if row[0] == now // HOUR_S else Sent(0, 0, row[4], row[5])


def hold(tx: Transaction, account: AccountId) -> bool:
    """Note that a limit was reached; False where that was noted within the present hour."""
    now = int(tx.now)
    return tx.run(_HELD, account=account, since=now - now % HOUR_S, at=now).rowcount == 1


def held_since(tx: Transaction, since: int) -> int:
    """How many people reached a limit since then."""
    row = tx.run(_HELD_SINCE, since=since).fetchone()
    assert row is not None
    return int(row[0])
