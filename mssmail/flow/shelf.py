"""Opened records that a worker keeps in memory, so that a listing asked for again opens nothing.

Content, thus in memory only, and bounded. What is here says nothing of what still exists: who asks has found the
message's row in the same snapshot. A record goes with its period, as its key does, and with its account's keys.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from mssmail.base.ids import AccountId, BodyId, Period
from mssmail.mime.record import Record

MAX_OCTETS = 32 << 20
"""Some twenty thousand usual records: what a few clients list anew as they connect again."""
_ENTRY_OCTETS = 500
"""What an entry takes beside the record's octets."""

Place = tuple[BodyId, Period]


class Shelf:
    """Records by account, body and period. Safe for threads."""

    def __init__(self, max_octets: int = MAX_OCTETS) -> None:
        self._max_octets = max_octets
        self._records: OrderedDict[tuple[AccountId, BodyId, Period], Record] = OrderedDict()
        self._octets = 0
        self._first_end: float = float("inf")
        """Before this no period of a record here ends."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._records)

    def find(self, account: AccountId, places: Iterable[Place], now: float) -> list[Record | None]:
        """The records of these bodies, None for each that isn't here. A period that ended by `now` has none."""
        self.drop_ended(now)
        records, out = self._records, []
        with self._lock:
            for body, period in places:
                key = (account, body, period)
                record = records.get(key)
                if record is not None:
                    records.move_to_end(key)
                out.append(record)
        return out

    def put(self, account: AccountId, opened: Iterable[tuple[Place, Record]], now: float) -> None:
        """Keep records just opened; the longest unused ones go."""
        with self._lock:
            for (body, period), record in opened:
                key = (account, body, period)
                if period <= now or key in self._records:
                    continue
                self._records[key] = record
                self._octets += len(record.octets) + _ENTRY_OCTETS
                self._first_end = min(self._first_end, period)
            while self._octets > self._max_octets:
                self._forget(next(iter(self._records)))

    def _forget(self, key: tuple[AccountId, BodyId, Period]) -> None:
        self._octets -= len(self._records.pop(key).octets) + _ENTRY_OCTETS

    def drop_ended(self, now: float) -> None:
        """Forget what belongs to ended periods."""
        if now < self._first_end:
            return
        with self._lock:
            for key in [key for key in self._records if key[2] <= now]:
                self._forget(key)
            self._first_end = min((key[2] for key in self._records), default=float("inf"))

    def forget_account(self, account: AccountId) -> None:
        """Its keys were given up: so is what they opened."""
        with self._lock:
            for key in [key for key in self._records if key[0] == account]:
                self._forget(key)
