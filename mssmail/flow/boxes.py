"""Folders: listing, making, renaming, deleting, subscribing, and their state."""

from collections.abc import Sequence
from dataclasses import dataclass

from mssmail.audit.events import Event, Kind
from mssmail.base.ids import AccountId, FolderId
from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import Right
from mssmail.base.search import Flag
from mssmail.flow.house import House
from mssmail.flow.names import DELIMITER, INBOX, MAX_FOLDERS, Names, canonical, makeable, superiors
from mssmail.flow.permit import require
from mssmail.store import accounts, folders, messages
from mssmail.store.folders import FolderRow
from mssmail.store.interface import Transaction

_EVERYTHING = ((1, 2**32),)


FolderState = FolderRow
"""A folder's counters, as servers see them."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as its owner sees it. `exists` is false for a level that only its inferiors show."""

    name: str
    role: str | None
    subscribed: bool
    has_children: bool
    exists: bool
    row: FolderState | None


class Boxes:
    """The use-cases of folders."""

    def __init__(self, house: House) -> None:
        self._house = house

    def names(self, principal: Principal) -> Names:
        return Names(self._house.keys, principal.account)

    async def all(self, principal: Principal) -> list[Folder]:
        """Every folder and every level above one, INBOX first, then by name. Raises Refusal(NO_RIGHT)."""
        names = self.names(principal)
        return await self._house.read.run(lambda tx: folders_in(tx, names, principal))

    async def subscriptions(self, principal: Principal) -> list[str]:
        """Subscribed names, whether or not such folders exist (RFC 3501 §6.3.6). Raises Refusal(NO_RIGHT)."""
        names = self.names(principal)
        return await self._house.read.run(lambda tx: sorted(subscriptions_in(tx, names, principal)))

    async def status(self, principal: Principal, name: str) -> FolderState:
        """A folder's counters. Raises Refusal(FOLDER_MISSING, NO_RIGHT)."""
        names, digest = self.names(principal), canonical(name)

        def work(tx: Transaction) -> FolderState:
            require(tx, principal, Right.READ)
            return names.find(tx, digest)

        return await self._house.read.run(work)

    async def confirm(self, principal: Principal, name: str) -> None:
        """Raises Refusal(FOLDER_MISSING) where there is no such folder. Tells no more, and needs no right."""
        names, wanted = self.names(principal), canonical(name)
        await self._house.read.run(lambda tx: names.find(tx, wanted))

    async def deleted_octets(self, chosen: Sequence[FolderId]) -> dict[int, int]:
        """By folder, what its messages flagged \\Deleted take."""
        return await self._house.read.run(
            lambda tx: {folder: messages.octets_with_flag(tx, folder, Flag.DELETED.value) for folder in chosen}
        )

    async def quota(self, principal: Principal) -> tuple[int, int]:
        """Octets that the account's messages take, and may take. Raises Refusal(NO_RIGHT)."""

        def work(tx: Transaction) -> tuple[int, int]:
            require(tx, principal, Right.READ)
            row = accounts.by_id(tx, principal.account)
            return row.used_octets, row.quota_octets

        return await self._house.read.run(work)

    async def create(self, principal: Principal, name: str, role: str | None = None) -> None:
        """Make a folder and the levels above it that are missing.

        Raises Refusal(FOLDER_EXISTS, FOLDER_NAME, FOLDER_LIMIT, NO_RIGHT).
        """
        wanted, names = makeable(name), self.names(principal)

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.WRITE)
            known = {names.open(row): row for row in folders.all_of(tx, principal.account)}
            if wanted in known:
                raise Refusal(Reason.FOLDER_EXISTS)
            if role is not None and any(row.role == role for row in known.values()):
                raise Refusal(Reason.FOLDER_EXISTS, f"role {role} is taken")
            missing = [level for level in [*superiors(wanted), wanted] if level not in known]
            if len(known) + len(missing) > MAX_FOLDERS:
                raise Refusal(Reason.FOLDER_LIMIT, f"{MAX_FOLDERS} folders")
            for level in missing:
                folder = add_folder(tx, names, principal.account, level, role if level == wanted else None)
                self._trace(tx, principal, Kind.FOLDER_CREATED, folder)

        await self._house.write.run(work)

    async def delete(self, principal: Principal, name: str) -> None:
        """Delete a folder and its messages; its inferiors stay (RFC 3501 §6.3.4).

        Raises Refusal(FOLDER_MISSING, FOLDER_FIXED, NO_RIGHT).
        """
        wanted, names = canonical(name), self.names(principal)
        if wanted == INBOX:
            raise Refusal(Reason.FOLDER_FIXED, "INBOX")

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.WRITE)
            row = names.find(tx, wanted)
            modseq = accounts.change(tx, principal.account)
            gone = messages.choose(tx, row.folder_id, _EVERYTHING)
            messages.remove(tx, row.folder_id, principal.account, gone, modseq)
            accounts.release(tx, principal.account, gone.octets)
            folders.remove(tx, row.folder_id)
            self._trace(tx, principal, Kind.FOLDER_DELETED, row.folder_id, messages=gone.count)

        await self._house.write.run(work)

    async def rename(self, principal: Principal, old: str, new: str) -> None:
        """Rename a folder with its inferiors; renaming INBOX moves its messages to a new folder (RFC 3501 §6.3.5).

        Raises Refusal(FOLDER_MISSING, FOLDER_EXISTS, FOLDER_NAME, NO_RIGHT).
        """
        source, target, names = canonical(old), makeable(new), self.names(principal)
        if source == INBOX:
            await self._rename_inbox(principal, target)
            return
        if target.startswith(source + DELIMITER):
            raise Refusal(Reason.FOLDER_NAME, "inside itself")

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.WRITE)
            known = {names.open(row): row for row in folders.all_of(tx, principal.account)}
            below = {n: row for n, row in known.items() if n == source or n.startswith(source + DELIMITER)}
            if not below:
                raise Refusal(Reason.FOLDER_MISSING)
            renamed = {canonical(target + n.removeprefix(source)): row for n, row in below.items()}
            if target in known or any(n in known for n in renamed):
                raise Refusal(Reason.FOLDER_EXISTS)
            for level in superiors(target):
                if level not in known:
                    add_folder(tx, names, principal.account, level, None)
            accounts.change(tx, principal.account)
            for n, row in renamed.items():
                folders.rename(tx, row.folder_id, names.digest(n), names.seal(row.folder_id, n))
                self._trace(tx, principal, Kind.FOLDER_RENAMED, row.folder_id)

        await self._house.write.run(work)

    async def _rename_inbox(self, principal: Principal, target: str) -> None:
        names = self.names(principal)
        await self.create(principal, target)

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.WRITE)
            source, new = names.find(tx, INBOX), names.find(tx, target)
            modseq = accounts.change(tx, principal.account)
            copied = messages.copy(tx, source.folder_id, _EVERYTHING, new.folder_id, modseq, int(tx.now))
            if copied is None:
                raise Refusal(Reason.FOLDER_MISSING)
            messages.remove(tx, source.folder_id, principal.account, copied.source, modseq, keep_wraps=True)
            self._trace(tx, principal, Kind.FOLDER_RENAMED, source.folder_id, messages=copied.source.count)

        await self._house.write.run(work)

    async def subscribe(self, principal: Principal, name: str) -> None:
        """Raises Refusal(FOLDER_NAME, NO_RIGHT): the list is the box's, which all who open it as theirs share."""
        wanted, names = canonical(name), self.names(principal)

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.WRITE)
            folders.subscribe(tx, principal.account, names.digest(wanted), names.seal_subscription(wanted))
            self._trace(tx, principal, Kind.FOLDER_SUBSCRIBED, 0)

        await self._house.write.run(work)

    async def unsubscribe(self, principal: Principal, name: str) -> None:
        """Raises Refusal(FOLDER_NAME, NO_RIGHT)."""
        wanted, names = canonical(name), self.names(principal)

        def work(tx: Transaction) -> None:
            require(tx, principal, Right.WRITE)
            folders.unsubscribe(tx, principal.account, names.digest(wanted))
            self._trace(tx, principal, Kind.FOLDER_UNSUBSCRIBED, 0)

        await self._house.write.run(work)

    def _trace(self, tx: Transaction, principal: Principal, kind: Kind, folder: int, **counts: int) -> None:
        details = {"folder": int(folder), "person": int(principal.person), **counts}
        tx.trail(Event(kind, principal.account, details=details))


def folders_in(tx: Transaction, names: Names, principal: Principal) -> list[Folder]:
    """As `Boxes.all`, within a transaction. Raises Refusal(NO_RIGHT)."""
    require(tx, principal, Right.READ)
    rows = {names.open(row): row for row in folders.all_of(tx, principal.account)}
    subscribed = subscriptions_in(tx, names, principal)
    above = {level for name in rows for level in superiors(name)}
    return [
        Folder(
            name,
            rows[name].role if name in rows else None,
            name in subscribed,
            name in above,
            name in rows,
            rows.get(name),
        )
        for name in sorted(above | set(rows), key=lambda n: (n != INBOX, n))
    ]


def subscriptions_in(tx: Transaction, names: Names, principal: Principal) -> set[str]:
    """Names that a box's list of subscriptions holds. Raises Refusal(NO_RIGHT)."""
    require(tx, principal, Right.READ)
    return {names.open_subscription(s) for s in folders.subscriptions_of(tx, principal.account)}


def add_folder(tx: Transaction, names: Names, account: AccountId, name: str, role: str | None) -> FolderId:
    """Insert a folder's row; its number serves as UIDVALIDITY too, since it is never given twice."""
    folder = FolderId(accounts.next_number(tx, "folder"))
    modseq = accounts.change(tx, account)
    folders.add(
        tx,
        folder=folder,
        account=account,
        digest=names.digest(name),
        sealed_name=names.seal(folder, name),
        role=role,
        uid_validity=folder,
        modseq=modseq,
        at=int(tx.now),
    )
    return folder
