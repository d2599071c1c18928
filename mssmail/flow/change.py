"""Changing what stands in folders: flags, copies, moves, expunges.

Each command is one transaction and one event of the trail. Quota is checked where something is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.base.search import Flag
from mssmail.flow.house import House
from mssmail.flow.names import Names, canonical
from mssmail.flow.permit import require
from mssmail.flow.view import View
from mssmail.store import accounts, messages
from mssmail.store.interface import Transaction
from mssmail.store.messages import FlagChange

TRACED_RANGES = 1000
_DELETED = Flag.DELETED.value


@dataclass(frozen=True, slots=True)
class FlagWish:
    """What STORE asks for: add, remove, or with neither exactly these."""

    flags: int
    keywords: frozenset[str]
    mode: str
    """`add`, `remove` or `replace`."""


@dataclass(frozen=True, slots=True)
class Copied:
    """For COPYUID: the target's UIDVALIDITY, source UIDs, and the first of as many new UIDs in a row."""

    uid_validity: int
    source: list[int]
    first: int


def _details(principal: Principal, view: View, ranges: Sequence[tuple[int, int]], **more: Value) -> dict[str, Value]:
    return {
        "folder": int(view.folder),
        "uids": [list(r) for r in ranges[:TRACED_RANGES]],
        "person": int(principal.person),
        **more,
    }


class Changer:
    """The changing commands of one selected folder."""

    def __init__(self, house: House, view: View) -> None:
        self._house = house
        self._view = view

    async def store(self, indexes: Sequence[int], wish: FlagWish, unchanged_since: int | None = None) -> list[int]:
        """Change flags; the UIDs left alone since they changed after `unchanged_since`. The view is refreshed.

        Raises Refusal(KEYWORD_LIMIT, NO_RIGHT, STORAGE_FULL).
        """
        view, principal = self._view, self._view.principal
        ranges, names = view.uid_ranges(indexes), Names(self._house.keys, principal.account)

        def work(tx: Transaction) -> list[int]:
            require(tx, principal, Right.WRITE)
            bits = names.keyword_bits(tx, wish.keywords, create=wish.mode != "remove")
            change = _flag_change(wish, bits)
            left, chosen = [], ranges
            if unchanged_since is not None:
                changed_rows = messages.changed_in(tx, view.folder, ranges, unchanged_since)
                left = [row[0] for row in changed_rows if _conflicts(view, row, unchanged_since, wish, bits)]
                spared = set(left)
                chosen = view.uid_ranges([i for i in indexes if view.uids[i] not in spared]) if left else ranges
            modseq = accounts.change(tx, principal.account)
            changed = messages.store_flags(tx, view.folder, chosen, change, modseq)
            details = _details(principal, view, chosen, mode=wish.mode, flags=wish.flags, keywords=bits, count=changed)
            tx.trail(Event(Kind.FLAGGED, principal.account, details=details))
            return left

        if not indexes:
            return []
        left = await self._house.write.run(work)
        await view.refresh()
        return left

    async def copy(self, indexes: Sequence[int], target: str) -> Copied:
        """Copy messages inside the box. Raises Refusal(FOLDER_MISSING, NO_RIGHT, OVER_QUOTA)."""
        view, principal, wanted = self._view, self._view.principal, canonical(target)
        ranges, names = view.uid_ranges(indexes), Names(self._house.keys, principal.account)

        def work(tx: Transaction) -> Copied:
            require(tx, principal, Right.WRITE)
            row = names.find(tx, wanted)
            modseq = accounts.change(tx, principal.account)
            done = messages.copy(tx, view.folder, ranges, row.folder_id, modseq, int(tx.now))
            if done is None:
                raise Refusal(Reason.FOLDER_MISSING)
            accounts.take(tx, principal.account, done.source.octets)
            details = _details(
                principal, view, ranges, to=int(row.folder_id), count=done.source.count, first=done.first
            )
            tx.trail(Event(Kind.COPIED, principal.account, details=details))
            return Copied(row.uid_validity, done.uids, done.first)

        return await self._house.write.run(work)

    async def move(self, indexes: Sequence[int], target: str) -> Copied:
        """Move messages inside the box (RFC 6851): copies and expunge in one transaction. The view is refreshed.

        Raises Refusal(FOLDER_MISSING, NO_RIGHT).
        """
        view, principal, wanted = self._view, self._view.principal, canonical(target)
        ranges, names = view.uid_ranges(indexes), Names(self._house.keys, principal.account)

        def work(tx: Transaction) -> Copied:
            require(tx, principal, Right.WRITE)
            row = names.find(tx, wanted)
            modseq = accounts.change(tx, principal.account)
            done = messages.copy(tx, view.folder, ranges, row.folder_id, modseq, int(tx.now))
            if done is None:
                raise Refusal(Reason.FOLDER_MISSING)
            messages.remove(tx, view.folder, principal.account, done.source, modseq, keep_wraps=True)
            details = _details(
                principal, view, ranges, to=int(row.folder_id), count=done.source.count, first=done.first
            )
            tx.trail(Event(Kind.MOVED, principal.account, details=details))
            return Copied(row.uid_validity, done.uids, done.first)

        moved = await self._house.write.run(work)
        await view.refresh()
        return moved

    async def expunge(self, indexes: Sequence[int] | None = None) -> int:
        """Erase the messages flagged \\Deleted, of these or of all; how many. The view is refreshed.

        Raises Refusal(NO_RIGHT).
        """
        view, principal = self._view, self._view.principal
        chosen = range(len(view)) if indexes is None else indexes
        flagged = [i for i in chosen if view.flags[i] & _DELETED]
        if not flagged:
            return 0
        ranges = view.uid_ranges(flagged)

        def work(tx: Transaction) -> int:
            require(tx, principal, Right.WRITE)
            doomed = messages.with_flag(tx, view.folder, ranges, _DELETED, len(flagged))
            return _erase(tx, view, principal, doomed)

        count = await self._house.write.run(work)
        await view.refresh()
        return count


def _erase(tx: Transaction, view: View, principal: Principal, doomed: messages.Chosen) -> int:
    """Take messages out for good at their owner's word."""
    modseq = accounts.change(tx, principal.account)
    messages.remove(tx, view.folder, principal.account, doomed, modseq)
    accounts.release(tx, principal.account, doomed.octets)
    details = _details(principal, view, doomed.ranges, count=doomed.count)
    tx.trail(Event(Kind.EXPUNGED, principal.account, details=details))
    return doomed.count


def _conflicts(view: View, row: tuple[int, int, int], since: int, wish: FlagWish, bits: int) -> bool:
    """Whether a message that changed after `since` must be left alone (RFC 7162 §3.1.3).

    Not where the client knew the message as it was then, and the flags it sets or clears are as they were
    (RFC 7162 §3.1.12).
    """
    uid, flags, keywords = row
    at = view.index_of(uid)
    if at is None or wish.mode == "replace" or view.modseqs[at] > since:
        return True
    return bool((flags ^ view.flags[at]) & wish.flags or (keywords ^ view.keywords[at]) & bits)


def _flag_change(wish: FlagWish, bits: int) -> FlagChange:
    match wish.mode:
        case "add":
            return FlagChange(flags_on=wish.flags, keywords_on=bits)
        case "remove":
            return FlagChange(flags_off=wish.flags, keywords_off=bits)
        case _:
            return FlagChange(flags_on=wish.flags, keywords_on=bits, replace=True)
