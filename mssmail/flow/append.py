"""Messages that their owner puts into a folder: all of a command, or none (RFC 3502).

Each is sealed as its octets come. What small ones keep in memory is bounded: past `HELD_OCTETS` they go to the body
store as large ones do, where those of a command that fails are swept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import AccountId, Uid
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.deliver import store_body
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper, Kept, Wrap, wrap_for
from mssmail.flow.names import Names, canonical
from mssmail.store import accounts, messages
from mssmail.store.interface import Transaction
from mssmail.store.messages import NewMessage

HELD_OCTETS = 8 << 20
"""Sealed octets of one command kept in memory: hundreds of usual mails, a few commands at a time in a worker."""
MAX_MESSAGES = 4_096
"""Of one command: its transaction holds the write lane for a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Appended:
    """For APPENDUID: the first of as many new UIDs in a row."""

    uid_validity: int
    first: Uid
    count: int


@dataclass(frozen=True, slots=True)
class _Taken:
    """A message that has come whole, and how it shall stand in the folder."""

    kept: Kept
    flags: int
    keywords: frozenset[str]
    internal_date: tuple[int, int] | None


class Append:
    """For each message `begin`, `write` and `end`; then `finish`, or at any time `abort`."""

    def __init__(self, house: House, principal: Principal, folder: str) -> None:
        """Raises Refusal(FOLDER_NAME)."""
        self._house = house
        self._principal = principal
        self._folder = canonical(folder)
        self._names = Names(house.keys, principal.account)
        self._term_s: int | None = None
        self._taken: list[_Taken] = []
        self._held_octets = 0
        self._keeper: Keeper | None = None

    async def look(self) -> None:
        """Before anything is taken: raises Refusal(FOLDER_MISSING)."""
        names, wanted, account = self._names, self._folder, self._principal.account

        def work(tx: Transaction) -> int | None:
            names.find(tx, wanted)
            return accounts.by_id(tx, account).term_s

        self._term_s = await self._house.read.run(work)

    def begin(self) -> None:
        """One more message. Raises Refusal(TOO_MANY_MESSAGES)."""
        if len(self._taken) >= MAX_MESSAGES:
            raise Refusal(Reason.TOO_MANY_MESSAGES, f"{MAX_MESSAGES} in one command")
        self._keeper = Keeper(self._house)

    async def write(self, data: bytes) -> None:
        """Raises Refusal(STORAGE_FULL, UNAVAILABLE)."""
        keeper = self._keeper
        assert keeper is not None
        keeper.write(data)
        if keeper.is_full:
            await keeper.flush()

    async def end(self, flags: int, keywords: frozenset[str], internal_date: tuple[int, int] | None) -> None:
        """The message is whole; `internal_date` is epoch seconds and the zone's minutes. Raises as `write`."""
        keeper = self._keeper
        assert keeper is not None
        if self._held_octets >= HELD_OCTETS:
            await keeper.flush()
        kept = await keeper.finish()
        self._keeper = None
        self._held_octets += len(kept.record) + len(kept.data or b"")
        self._taken.append(_Taken(kept, flags, keywords, internal_date))

    async def abort(self) -> None:
        """Forget all of it; bodies that lie in the body store already are swept there, having no row."""
        self._taken.clear()
        if self._keeper is not None:
            keeper, self._keeper = self._keeper, None
            await keeper.abort()

    async def finish(self) -> Appended:
        """Put them in. Durable on return. Raises Refusal(FOLDER_MISSING, OVER_QUOTA, KEYWORD_LIMIT, STORAGE_FULL)."""
        house, principal, taken = self._house, self._principal, self._taken
        now = house.clock.now()
        wraps = [await wrap_for(house, t.kept, principal.account, self._term_s, now) for t in taken]
        return await house.write.run(lambda tx: self._put(tx, wraps, int(now)))

    def _put(self, tx: Transaction, wraps: Sequence[Wrap], now: int) -> Appended:
        account, taken = AccountId(self._principal.account), self._taken
        row = self._names.find(tx, self._folder)
        octets = sum(t.kept.size_octets for t in taken)
        accounts.fits(tx, account, octets)
        bits = {words: self._names.keyword_bits(tx, words, create=True) for words in {t.keywords for t in taken}}
        new = []
        for t, wrap in zip(taken, wraps, strict=True):
            store_body(tx, t.kept, [wrap])
            at, zone = t.internal_date or (now, 0)
            size = t.kept.size_octets
            new.append(NewMessage(account, t.kept.body, wrap.period, now, at, zone, size, t.flags, bits[t.keywords]))
        first = messages.add_all(tx, row.folder_id, new, accounts.change(tx, account, octets), now)
        if first is None:
            raise Refusal(Reason.FOLDER_MISSING)
        details: dict[str, Value] = {
            "folder": int(row.folder_id),
            "uid": int(first),
            "count": len(new),
            "octets": octets,
            "person": int(self._principal.person),
        }
        tx.trail(Event(Kind.APPENDED, account, details=details))
        return Appended(row.uid_validity, first, len(new))
