"""Verify the trail: every chain followed, every checkpoint's signature checked, every signed head found in its chain.

Found: an edited, removed, added or swapped event, a truncated tail, a removed chain, a removed or altered checkpoint,
and a chain recomputed by somebody without the signing key. What came after the last checkpoint is covered by the
chains' own rows, the events' sealing, and the note in the key store, up to a rollback of all three.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature

from mssmail.audit.trail import TrailKeys, checkpoint_hash, event_hash, first_head
from mssmail.base.ids import ChainId
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.store import trail as rows
from mssmail.store.interface import Transaction
from mssmail.store.trail import ChainRow, CheckpointRow, EventRow

_PAGE = 5000
_MAX_FAULTS = 100


@dataclass(slots=True)
class Report:
    """What verification found."""

    events: int = 0
    chains: int = 0
    checkpoints: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.faults

    def fault(self, text: str) -> None:
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append(text)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A head that a checkpoint vouches for."""

    checkpoint: int
    count: int
    head: str


def verify(tx: Transaction, keys: TrailKeys, progress: Callable[[int], None] = lambda _: None) -> Report:
    """Read all of the trail once, in one snapshot, in constant memory but for the checkpoints' heads."""
    report = Report()
    # before the transaction's first read, at which its snapshot begins: a running server notes newer ones meanwhile
    noted = keys.noted_checkpoint()
    chains = rows.all_chains(tx)
    signed, cuts, last = _checkpoints(tx, keys, report)
    _noted(noted, last, report)
    for number, chain in enumerate(chains, start=1):
        if chain.chain_id != number:
            report.fault(f"chain {number} is missing")
            break
    known = {chain.chain_id for chain in chains}
    for missing in sorted(set(signed) - known):
        report.fault(f"chain {missing}, signed by a checkpoint, is missing")
    for chain in chains:
        report.chains += 1
        if chain.cut != cuts.get(chain.chain_id, 0):
            report.fault(f"chain {chain.chain_id}: cut at {chain.cut}, but {cuts.get(chain.chain_id, 0)} was signed")
        _follow(tx, keys, chain, signed.get(chain.chain_id, []), report, progress)
    return report


def _checkpoints(
    tx: Transaction, keys: TrailKeys, report: Report
) -> tuple[dict[int, list[_Signed]], dict[int, int], CheckpointRow | None]:
    """Check the checkpoints' own chain; the heads they sign by chain, each chain's last signed cut, the last of all."""
    public = keys.public()
    signed: dict[int, list[_Signed]] = {}
    cuts: dict[int, int] = {}
    last: CheckpointRow | None = None
    while page := rows.checkpoints_after(tx, 0 if last is None else last.number, _PAGE):
        for row in page:
            report.checkpoints += 1
            try:
                public.verify(row.signature, row.statement)
                said = json.loads(row.statement)
            except (InvalidSignature, ValueError):
                report.fault(f"checkpoint {row.number}: signature doesn't hold")
                last = row
                continue
            expected = 1 if last is None else last.number + 1
            previous = "" if last is None else checkpoint_hash(last).hex()
            if row.number != expected or said["number"] != row.number or said["previous"] != previous:
                report.fault(f"checkpoint {row.number}: doesn't follow the one before")
            for chain, count, head, cut, _ in said["chains"]:
                heads = signed.setdefault(chain, [])
                if not heads or heads[-1].count != count or heads[-1].head != head:
                    heads.append(_Signed(row.number, count, head))
                cuts[chain] = cut
            last = row
    return signed, cuts, last


def _noted(noted: tuple[int, bytes] | None, last: CheckpointRow | None, report: Report) -> None:
    """Compare with what the key store remembers of the last checkpoint."""
    if noted is None:
        return
    if last is None or last.number < noted[0]:
        report.fault(f"checkpoint {noted[0]}, noted in the key store, is missing: the trail was cut or rolled back")
    elif last.number == noted[0] and checkpoint_hash(last) != noted[1]:
        report.fault(f"checkpoint {noted[0]} isn't the one noted in the key store")


def _follows(head: bytes, row: EventRow) -> bool:
    """Whether an event is the one that was written behind that head."""
    try:
        return event_hash(head, row) == row.hash
    except Unsealable:
        return False


def _follow(
    tx: Transaction,
    keys: TrailKeys,
    chain: ChainRow,
    signed: list[_Signed],
    report: Report,
    progress: Callable[[int], None],
) -> None:
    """Follow one chain from its cut to its head."""
    head, sequence = (chain.cut_head, chain.cut) if chain.cut else (first_head(), 0)
    at = {s.count: s for s in signed if s.count > chain.cut}
    where = f"chain {chain.chain_id}"
    while page := rows.events_of(tx, ChainId(chain.chain_id), sequence, _PAGE):
        for row in page:
            report.events += 1
            if row.sequence != sequence + 1:
                report.fault(f"{where}: events {sequence + 1} to {row.sequence - 1} are missing")
            if not _follows(head, row):
                report.fault(f"{where}: event {row.sequence} was altered, moved, or follows one that was")
            try:
                keys.open(row)
            except (Unsealable, ValueError):
                report.fault(f"{where}: event {row.sequence} doesn't open: it was altered or forged")
            except KeyDestroyed:
                pass  # past its term, and about to be cut
            head, sequence = row.hash, row.sequence
            if (vouched := at.pop(row.sequence, None)) is not None and vouched.head != row.hash.hex():
                report.fault(f"{where}: event {row.sequence} isn't the one that checkpoint {vouched.checkpoint} signed")
        progress(report.events)
    if sequence != chain.count or head != chain.head:
        report.fault(f"{where}: ends at event {sequence}, its row says {chain.count}: the tail was cut or added to")
    for vouched in sorted(at.values(), key=lambda s: s.count):
        if vouched.count:
            report.fault(f"{where}: event {vouched.count}, signed by checkpoint {vouched.checkpoint}, is missing")
