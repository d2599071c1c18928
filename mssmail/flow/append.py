"""Messages that their owner puts into a folder: all of a command, or none (RFC 3502).

Each is sealed as its octets come. What small ones keep in memory is bounded: past `HELD_OCTETS` they go to the body
store as large ones do, where those of a command that fails are swept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import Uid
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.base.search import Flag
from mssmail.flow.deliver import store_bodies
from mssmail.flow.house import House
from mssmail.flow.keep import Keeper, Kept, Wrap, wrap_for
from mssmail.flow.names import Names, canonical
from mssmail.flow.permit import require
from mssmail.store import accounts, folders, messages
from mssmail.store.interface import Transaction
from mssmail.store.messages import NewMessage

HELD_OCTETS = 8 << 20
"""Sealed octets of one command kept in memory: hundreds of usual mails, a few commands at a time in a worker."""
MAX_TARGETS = 64
"""Folders that a session's memory holds; clients put what they send into one or two."""
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


class _OtherTerm(Exception):
    """The account's term isn't the one that the wraps were made for."""

    def __init__(self, term_s: int | None) -> None:
        super().__init__()
        self.term_s = term_s


class Targets:
    """Where a session has put messages. Its next one needs no look at the folder before it comes: a folder that is gone
    meanwhile is noticed when the message is put in, as one that goes while the message comes.
    """

    __slots__ = ("_names", "house", "principal", "term_s")

    def __init__(self, house: House, principal: Principal) -> None:
        self.house = house
        self.principal = principal
        self._names: dict[str, bytes] = {}
        """Folders that were there, and their names' digests."""
        self.term_s: int | None = None
        """The account's own term, as last seen."""

    async def look(self, folder: str) -> bytes:
        """The digest of the canonical name of a folder that is there.

        Raises Refusal(FOLDER_NAME, FOLDER_MISSING, NO_RIGHT).
        """
        known = self._names.get(folder)
        if known is not None:
            return known
        principal, wanted = self.principal, canonical(folder)
        names = Names(self.house.keys, principal.account)

        def work(tx: Transaction) -> int | None:
            require(tx, principal, Right.WRITE)
            names.find(tx, wanted)
            return accounts.by_id(tx, principal.account).term_s

        self.term_s = await self.house.read.run(work)
        if len(self._names) >= MAX_TARGETS:
            self._names.clear()
        digest = self._names[folder] = names.digest(wanted)
        return digest

    def forget(self, folder: str) -> None:
        self._names.pop(folder, None)


class Append:
    """`look`; for each message `begin`, `write` and `end`; then `finish`, or at any time `abort`."""

    def __init__(self, targets: Targets, folder: str) -> None:
        self._targets = targets
        self._house = targets.house
        self._folder = folder
        self._digest = b""
        self._taken: list[_Taken] = []
        self._held_octets = 0
        self._keeper: Keeper | None = None

    async def look(self) -> None:
        """Before anything is taken: raises Refusal(FOLDER_NAME, FOLDER_MISSING, NO_RIGHT)."""
        self._digest = await self._targets.look(self._folder)

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
        """Put them in. Durable on return.

        Raises Refusal(FOLDER_MISSING, NO_RIGHT, OVER_QUOTA, KEYWORD_LIMIT, STORAGE_FULL).
        """
        house, targets = self._house, self._targets
        account, now = targets.principal.account, house.clock.now()
        while True:
            wraps = [await wrap_for(house, t.kept, account, targets.term_s, now) for t in self._taken]
            try:
                done = await house.write.run(lambda tx, w=wraps: self._put(tx, w, int(now)))  # type: ignore[misc]
                for t, wrap in zip(self._taken, wraps, strict=True):
                    house.fresh.add(t.kept.fresh, [(wrap.account, wrap.period)])
                return done
            except _OtherTerm as other:
                targets.term_s = other.term_s
            except Refusal as refusal:
                if refusal.reason is Reason.FOLDER_MISSING:
                    targets.forget(self._folder)
                raise

    def _put(self, tx: Transaction, wraps: Sequence[Wrap], now: int) -> Appended:
        principal, taken = self._targets.principal, self._taken
        require(tx, principal, Right.WRITE)
        account, octets = principal.account, sum(t.kept.size_octets for t in taken)
        modseq, term_s = accounts.put_in(tx, account, octets)
        if term_s != self._targets.term_s:
            raise _OtherTerm(term_s)
        unseen = sum(not t.flags & Flag.SEEN.value for t in taken)
        place = folders.count_named(
            tx, account, self._digest, modseq, messages=len(taken), unseen=unseen, octets=octets
        )
        if place is None:
            raise Refusal(Reason.FOLDER_MISSING)
        folder, uid_validity, first = place
        store_bodies(tx, [(t.kept, (wrap,)) for t, wrap in zip(taken, wraps, strict=True)])
        bits = self._keyword_bits(tx)
        new = []
        for uid, (t, wrap) in enumerate(zip(taken, wraps, strict=True), first):
            body, size, (at, zone) = t.kept.body, t.kept.size_octets, t.internal_date or (now, 0)
            row = Uid(uid), modseq, account, body, wrap.period, now, at, zone, size, t.flags, bits[t.keywords]
            new.append(NewMessage(folder, *row))
        messages.add(tx, new)
        details: dict[str, Value] = {
            "folder": int(folder),
            "uid": int(first),
            "count": len(new),
            "octets": octets,
            "person": int(principal.person),
        }
        tx.trail(Event(Kind.APPENDED, account, details=details))
        return Appended(uid_validity, first, len(new))

    def _keyword_bits(self, tx: Transaction) -> dict[frozenset[str], int]:
        """For each set of keywords its bits. Raises Refusal(KEYWORD_LIMIT)."""
        names = Names(self._house.keys, self._targets.principal.account)
        return {words: names.keyword_bits(tx, words, create=True) for words in {t.keywords for t in self._taken}}
