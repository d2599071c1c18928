"""The trail opened for people: events with their content, and an export that carries all that verifying needs."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from mssmail.audit.events import Kind
from mssmail.audit.trail import TrailKeys
from mssmail.base.clock import utc
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.store import trail as rows
from mssmail.store.interface import Transaction
from mssmail.store.trail import EventRow

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Opened:
    """An event as people read it."""

    chain: int
    sequence: int
    at: str
    kind: str
    account: int
    outcome: str
    subject: str | None
    details: dict[str, object]

    def as_json(self) -> dict[str, object]:
        return {
            "chain": self.chain,
            "sequence": self.sequence,
            "at": self.at,
            "kind": self.kind,
            "account": self.account,
            "outcome": self.outcome,
            "subject": self.subject,
            "details": self.details,
        }


def opened(keys: TrailKeys, row: EventRow) -> Opened:
    """An event's content; one that can't be opened says so in its outcome."""
    try:
        content = keys.open(row)
    except (Unsealable, KeyDestroyed, ValueError):
        content = {"o": "unreadable"}
    kind = Kind(row.kind).label if row.kind in set(Kind) else str(row.kind)
    return Opened(
        row.chain_id,
        row.sequence,
        _moment(row.at_ms),
        kind,
        row.account_id,
        str(content.get("o")),
        cast(str | None, content.get("s")),
        cast(dict[str, object], content.get("d", {})),
    )


def _moment(at_ms: int) -> str:
    """A time as people read it; one that was tampered with beyond any calendar as its number."""
    try:
        return utc(at_ms / 1000).isoformat(timespec="milliseconds")
    except (OverflowError, OSError, ValueError):
        return str(at_ms)


def lines(tx: Transaction, keys: TrailKeys, *, sealed_only: bool) -> Iterator[str]:
    """The whole trail as JSON lines: a head, chains, events in order, checkpoints. Enough to verify it elsewhere."""
    yield _line({"format": "mssmail-trail-1", "public_key": keys.public_octets().hex()})
    for chain in rows.all_chains(tx):
        yield _line(
            {
                "chain": chain.chain_id,
                "started_at": chain.started_at,
                "count": chain.count,
                "head": chain.head.hex(),
                "cut": chain.cut,
                "cut_head": chain.cut_head.hex(),
            }
        )
        after = chain.cut
        while page := rows.events_of(tx, chain.chain_id, after, _PAGE):
            for row in page:
                yield _line(_event(keys, row, sealed_only=sealed_only))
            after = page[-1].sequence
    after = 0
    while checkpoints := rows.checkpoints_after(tx, after, _PAGE):
        for checkpoint in checkpoints:
            yield _line(
                {
                    "checkpoint": checkpoint.number,
                    "statement": checkpoint.statement.decode(),
                    "signature": checkpoint.signature.hex(),
                }
            )
        after = checkpoints[-1].number


def _event(keys: TrailKeys, row: EventRow, *, sealed_only: bool) -> dict[str, object]:
    raw: dict[str, object] = {
        "event": row.sequence,
        "chain": row.chain_id,
        "at_ms": row.at_ms,
        "kind": row.kind,
        "account": row.account_id,
        "subject": None if row.subject is None else row.subject.hex(),
        "sealed": base64.b64encode(row.sealed).decode(),
        "hash": row.hash.hex(),
    }
    if not sealed_only:
        raw["opened"] = opened(keys, row).as_json()
    return raw


def _line(content: dict[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
