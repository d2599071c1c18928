"""The trail's rows: chains, their sealed events, and signed checkpoints. What an event says is sealed by `audit`."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, or_, select, update

from mssmail.base.ids import ChainId
from mssmail.store.accounts import next_number
from mssmail.store.interface import Statement, Transaction, put
from mssmail.store.schema import chains, checkpoints, events

_PUT_CHAIN = put(chains)
_HEAD = Statement(select(chains.c["count"], chains.c.head).where(chains.c.chain_id == bindparam("chain")))
_SET_HEAD = Statement(
    update(chains)
    .where(chains.c.chain_id == bindparam("chain"))
    .values(count=bindparam("new_count"), head=bindparam("new_head"), batch=bindparam("new_batch"))
)
_SET_BATCH = Statement(
    update(chains).where(chains.c.chain_id == bindparam("chain")).values(batch=bindparam("new_batch"))
)
_PUT_EVENT = put(events)
_CHAIN_COLUMNS = (
    chains.c.chain_id,
    chains.c.started_at,
    chains.c["count"],
    chains.c.head,
    chains.c.cut,
    chains.c.cut_head,
)
_CHAINS = Statement(select(*_CHAIN_COLUMNS).order_by(chains.c.chain_id))
_UNTIED = Statement(
    select(*_CHAIN_COLUMNS)
    .where(or_(chains.c["count"] != chains.c.tied_count, chains.c.cut != chains.c.tied_cut))
    .order_by(chains.c.chain_id)
)
_TIE = Statement(
    update(chains)
    .where(chains.c.chain_id == bindparam("chain"))
    .values(tied_count=bindparam("tied"), tied_cut=bindparam("upto"))
)
_COLUMNS = (
    events.c.chain_id,
    events.c.sequence,
    events.c.at_ms,
    events.c.kind,
    events.c.account_id,
    events.c.subject,
    events.c.sealed,
    events.c.hash,
)
_OF_CHAIN = Statement(
    select(*_COLUMNS)
    .where(events.c.chain_id == bindparam("chain"), events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("count"))
)
_LATEST = Statement(
    select(*_COLUMNS)
    .where(events.c.at_ms >= bindparam("since"), events.c.at_ms < bindparam("until"))
    .order_by(events.c.at_ms.desc(), events.c.chain_id.desc(), events.c.sequence.desc())
    .limit(bindparam("count"))
)
_LATEST_OF = Statement(
    select(*_COLUMNS)
    .where(
        events.c.account_id == bindparam("account"),
        events.c.at_ms >= bindparam("since"),
        events.c.at_ms < bindparam("until"),
    )
    .order_by(events.c.at_ms.desc(), events.c.chain_id.desc(), events.c.sequence.desc())
    .limit(bindparam("count"))
)
_PUT_CHECKPOINT = put(checkpoints)
_LAST_CHECKPOINT = Statement(
    select(checkpoints.c.number, checkpoints.c.at_ms, checkpoints.c.statement, checkpoints.c.signature)
    .order_by(checkpoints.c.number.desc())
    .limit(1)
)
_CHECKPOINTS = Statement(
    select(checkpoints.c.number, checkpoints.c.at_ms, checkpoints.c.statement, checkpoints.c.signature)
    .where(checkpoints.c.number > bindparam("after"))
    .order_by(checkpoints.c.number)
    .limit(bindparam("count"))
)
_LAST_BEFORE = Statement(
    select(events.c.sequence, events.c.hash)
    .where(events.c.chain_id == bindparam("chain"), events.c.at_ms < bindparam("before"))
    .order_by(events.c.sequence.desc())
    .limit(1)
)
_CUT = Statement(
    update(chains)
    .where(chains.c.chain_id == bindparam("chain"))
    .values(cut=bindparam("upto"), cut_head=bindparam("hash"))
)
_DROP = Statement(delete(events).where(events.c.chain_id == bindparam("chain"), events.c.sequence <= bindparam("upto")))


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as stored."""

    chain_id: ChainId
    sequence: int
    at_ms: int
    kind: int
    account_id: int
    subject: bytes | None
    sealed: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainRow:
    """A chain as stored."""

    chain_id: ChainId
    started_at: int
    count: int
    head: bytes
    cut: int
    cut_head: bytes


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint as stored: what was signed, and the signature."""

    number: int
    at_ms: int
    statement: bytes
    signature: bytes


def register(tx: Transaction, slot: int, first_head: bytes) -> ChainId:
    """A new chain for a lane's new life."""
    chain = ChainId(next_number(tx, "chain"))
    tx.run(
        _PUT_CHAIN,
        chain_id=chain,
        slot=slot,
        started_at=int(tx.now),
        batch=0,
        count=0,
        head=first_head,
        cut=0,
        cut_head=first_head,
        tied_count=-1,
        tied_cut=-1,
    )
    return chain


def head(tx: Transaction, chain: ChainId) -> tuple[int, bytes] | None:
    """How many events the chain has, and the last one's hash; None where it isn't registered."""
    row = tx.run(_HEAD, chain=chain).fetchone()
    return None if row is None else (int(row[0]), row[1])


def set_head(tx: Transaction, chain: ChainId, count: int, new_head: bytes, batch: int) -> None:
    tx.run(_SET_HEAD, chain=chain, new_count=count, new_head=new_head, new_batch=batch)


def set_batch(tx: Transaction, chain: ChainId, batch: int) -> None:
    tx.run(_SET_BATCH, chain=chain, new_batch=batch)


def add(tx: Transaction, rows: list[EventRow]) -> None:
    tx.run_many(
        _PUT_EVENT,
        [
            {
                "chain_id": row.chain_id,
                "sequence": row.sequence,
                "at_ms": row.at_ms,
                "kind": row.kind,
                "account_id": row.account_id,
                "subject": row.subject,
                "sealed": row.sealed,
                "hash": row.hash,
            }
            for row in rows
        ],
    )


def all_chains(tx: Transaction) -> list[ChainRow]:
    return [ChainRow(*row) for row in tx.run(_CHAINS).fetchall()]


def untied(tx: Transaction) -> list[ChainRow]:
    """Chains that grew or were cut since the last checkpoint."""
    return [ChainRow(*row) for row in tx.run(_UNTIED).fetchall()]


def tie(tx: Transaction, chains_: list[ChainRow]) -> None:
    """A checkpoint signs them as they are."""
    tx.run_many(_TIE, [{"chain": c.chain_id, "tied": c.count, "upto": c.cut} for c in chains_])


def events_of(tx: Transaction, chain: ChainId, after: int, count: int) -> list[EventRow]:
    """The next events of a chain."""
    return [EventRow(*row) for row in tx.run(_OF_CHAIN, chain=chain, after=after, count=count).fetchall()]


def latest(tx: Transaction, count: int, *, since_ms: int, until_ms: int, account: int | None) -> list[EventRow]:
    """Events of [since, until), newest first."""
    if account is None:
        return [EventRow(*row) for row in tx.run(_LATEST, since=since_ms, until=until_ms, count=count).fetchall()]
    cursor = tx.run(_LATEST_OF, account=account, since=since_ms, until=until_ms, count=count)
    return [EventRow(*row) for row in cursor.fetchall()]


def add_checkpoint(tx: Transaction, row: CheckpointRow) -> None:
    tx.run(_PUT_CHECKPOINT, number=row.number, at_ms=row.at_ms, statement=row.statement, signature=row.signature)


def last_checkpoint(tx: Transaction) -> CheckpointRow | None:
    row = tx.run(_LAST_CHECKPOINT).fetchone()
    return None if row is None else CheckpointRow(*row)


def checkpoints_after(tx: Transaction, after: int, count: int) -> list[CheckpointRow]:
    return [CheckpointRow(*row) for row in tx.run(_CHECKPOINTS, after=after, count=count).fetchall()]


def cut(tx: Transaction, before_ms: int) -> Iterator[tuple[ChainId, int, int]]:
    """Delete each chain's events before a moment, keeping the last one's hash; (chain, from, to) for each cut."""
    for chain in all_chains(tx):
        row = tx.run(_LAST_BEFORE, chain=chain.chain_id, before=before_ms).fetchone()
        if row is not None and row[0] > chain.cut:
            tx.run(_CUT, chain=chain.chain_id, upto=row[0], hash=row[1])
            tx.run(_DROP, chain=chain.chain_id, upto=row[0])
            yield chain.chain_id, chain.cut + 1, int(row[0])
