"""COPY and MOVE from one account's box into another's: the bodies stay, each gets a wrap for the other account.

A wrap is bound to its account, so keys are opened under the one and wrapped under the other, in the executor for such
work and before the transaction that puts the rows in. Arrival is kept; the term is the target account's. All of a
command, or none; each box's trail has its own event, with who did it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import BodyId, FolderId, Period
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.base.search import Flag
from mssmail.crypto.envelope import Unsealable
from mssmail.crypto.keystore import KeyDestroyed
from mssmail.crypto.kms.interface import KeyProviderError
from mssmail.flow.change import TRACED_RANGES, Copied
from mssmail.flow.house import House
from mssmail.flow.keep import off_loop
from mssmail.flow.names import Names, canonical
from mssmail.flow.permit import require
from mssmail.flow.view import View
from mssmail.policy.retention import period_of
from mssmail.store import accounts, folders, messages, transfers
from mssmail.store.folders import FolderRow
from mssmail.store.interface import Transaction
from mssmail.store.messages import Chosen
from mssmail.store.transfers import Arriving, Passing

MAX_MESSAGES: Final = 10_000
"""Of one command, whose keys and rows are held in memory: some 5 MB, and a second of the write lane."""

Place = tuple[BodyId, Period]


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """A body's key for the target account."""

    period: Period
    wrapped: bytes


class Transfer:
    """One command from a selected folder into a folder of another account."""

    def __init__(self, house: House, view: View, target: Principal, folder: str) -> None:
        """`target`: them, acting in the other box. Raises Refusal(FOLDER_NAME)."""
        self._house = house
        self._view = view
        self._source = view.principal
        self._target = target
        self._folder = canonical(folder)
        self._names = Names(house.keys, target.account)

    async def copy(self, indexes: Sequence[int]) -> Copied:
        """Raises Refusal(FOLDER_MISSING, NO_RIGHT, OVER_QUOTA, TERM, MESSAGE_GONE, KEYWORD_LIMIT, UNAVAILABLE)."""
        return await self._pass(indexes, Kind.COPIED)

    async def move(self, indexes: Sequence[int]) -> Copied:
        """The same, and the messages leave the selected folder in the same transaction. The view is refreshed."""
        moved = await self._pass(indexes, Kind.MOVED)
        await self._view.refresh()
        return moved

    async def _pass(self, indexes: Sequence[int], kind: Kind) -> Copied:
        view, house = self._view, self._house
        ranges = view.uid_ranges(indexes)
        found, term_s = await house.read.run(lambda tx: self._look(tx, ranges, kind))
        keys = await off_loop(house, lambda: self._wrap(found, term_s))
        return await house.write.run(lambda tx: self._put(tx, ranges, keys, kind))

    def _allowed(self, tx: Transaction, kind: Kind) -> FolderRow:
        """The target folder's row. Raises Refusal(NO_RIGHT, FOLDER_MISSING)."""
        require(tx, self._source, Right.READ | Right.WRITE if kind is Kind.MOVED else Right.READ)
        require(tx, self._target, Right.WRITE)
        return self._names.find(tx, self._folder)

    def _look(
        self, tx: Transaction, ranges: Sequence[tuple[int, int]], kind: Kind
    ) -> tuple[list[Passing], float | None]:
        """The messages, and the target account's own term."""
        self._allowed(tx, kind)
        found = transfers.passing(tx, self._view.folder, self._source.account, ranges, MAX_MESSAGES + 1)
        if len(found) > MAX_MESSAGES:
            raise Refusal(Reason.TOO_MANY_MESSAGES, f"{MAX_MESSAGES} between boxes in one command")
        accounts.fits(tx, self._target.account, sum(message.size_octets for message in found))
        return found, accounts.by_id(tx, self._target.account).term_s

    def _wrap(self, found: Sequence[Passing], term_s: float | None) -> dict[Place, _Wrapped]:
        """Wrap each key for the target; periods' keys are on disk on return. In a thread that may block."""
        retention, keys, now = self._house.settings.retention, self._house.keys, self._house.clock.now()
        term = retention.default if term_s is None else term_s
        source, target = self._source.account, self._target.account
        out: dict[Place, _Wrapped] = {}
        try:
            for message in found:
                place = (message.body_id, message.period)
                if place in out:
                    continue
                period = period_of(message.arrived_at, term, retention.period)
                if period <= now:
                    raise Refusal(Reason.TERM, "older than the target keeps mail")
                key = keys.unwrap(source, message.body_id, message.period, message.wrapped)
                out[place] = _Wrapped(period, keys.wrap(target, message.body_id, period, key))
        except (Unsealable, KeyDestroyed) as gone:
            raise Refusal(Reason.MESSAGE_GONE, type(gone).__name__) from gone
        except KeyProviderError as away:
            raise Refusal(Reason.UNAVAILABLE, "key provider") from away
        return out

    def _put(
        self, tx: Transaction, ranges: Sequence[tuple[int, int]], keys: dict[Place, _Wrapped], kind: Kind
    ) -> Copied:
        """Put in what still stands of the messages whose keys were wrapped; what was expunged meanwhile is left out."""
        row = self._allowed(tx, kind)
        source, target = self._source.account, self._target.account
        now = transfers.passing(tx, self._view.folder, source, ranges, MAX_MESSAGES + 1)
        if any((message.body_id, message.period) not in keys for message in now):
            raise Refusal(Reason.UNAVAILABLE, "the folder changed meanwhile")
        if not now:
            return Copied(row.uid_validity, [], 0)
        if not all(messages.period_is_open(tx, period) for period in {wrap.period for wrap in keys.values()}):
            raise Refusal(Reason.UNAVAILABLE, "a period was closed meanwhile")
        octets, unseen = sum(m.size_octets for m in now), sum(not m.flags & Flag.SEEN.value for m in now)
        modseq, _ = accounts.put_in(tx, target, octets)
        first = folders.count(tx, row.folder_id, modseq, uids=len(now), messages=len(now), unseen=unseen, octets=octets)
        if first is None:
            raise Refusal(Reason.FOLDER_MISSING)
        bits = self._keyword_bits(tx, now)
        new = []
        for uid, message in enumerate(now, first):
            wrap = keys[message.body_id, message.period]
            new.append(Arriving(uid, message, wrap.period, wrap.wrapped, bits[message.keywords]))
        transfers.put_in(tx, row.folder_id, target, new, modseq)
        uids = [message.uid for message in now]
        if kind is Kind.MOVED:
            self._remove(tx, Chosen(messages.ranges_of(uids), len(uids), unseen, octets))
        self._trace(tx, kind, row.folder_id, uids, first)
        return Copied(row.uid_validity, uids, first)

    def _keyword_bits(self, tx: Transaction, found: Sequence[Passing]) -> dict[int, int]:
        """The target's bits for each set of the source's: keywords have numbers of each account's own."""
        sets = {message.keywords for message in found}
        names = {number: name for name, number in Names(self._house.keys, self._source.account).keywords(tx).items()}

        def there(bits: int) -> int:
            words = frozenset(name for number, name in names.items() if bits >> number & 1)
            return self._names.keyword_bits(tx, words, create=True)

        return {bits: there(bits) for bits in sets}

    def _remove(self, tx: Transaction, gone: Chosen) -> None:
        source = self._source.account
        messages.remove(tx, self._view.folder, source, gone, accounts.change(tx, source))
        accounts.release(tx, source, gone.octets)

    def _trace(self, tx: Transaction, kind: Kind, folder: FolderId, uids: Sequence[int], first: int) -> None:
        """An event for either box."""
        person, count = int(self._source.person), len(uids)
        source, target = int(self._source.account), int(self._target.account)
        left: dict[str, Value] = {
            "folder": int(self._view.folder),
            "uids": [list(pair) for pair in messages.ranges_of(uids)[:TRACED_RANGES]],
            "person": person,
            "to": int(folder),
            "to_account": target,
            "count": count,
        }
        came: dict[str, Value] = {
            "folder": int(folder),
            "first": int(first),
            "person": person,
            "from": int(self._view.folder),
            "from_account": source,
            "count": count,
        }
        tx.trail(Event(kind, source, details=left))
        tx.trail(Event(kind, target, details=came))
