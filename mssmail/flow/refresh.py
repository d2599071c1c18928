"""Loading the health directory: a new snapshot in service, and whom it strikes off, in the trail.

Knows which accounts follow from which holders; how an extract is read and checked is in `directory`. Sessions of those
struck off end where they are held (`sessions`): every worker is told in the same transaction.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from threading import Event as Stop
from typing import Final

from mssmail.audit.events import Event, Kind, Value
from mssmail.base.ids import AccountId
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.apart import import_apart, merge_apart
from mssmail.directory.model import SnapshotInfo
from mssmail.directory.snapshot import OnProgress, Progress, import_extracts, roll_back
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.metrics.registry import counter
from mssmail.settings.model import Settings
from mssmail.store import accounts, replays
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

__all__ = ["OnProgress", "Progress", "Refresh", "SnapshotInfo", "snapshot_path"]

_PAGE: Final = 1000

_loads = counter("mssmail_directory_loads_total", "Directory loads by outcome.", labels=("outcome",))
_struck = counter("mssmail_struck_off_total", "Accounts whose holder a new directory no longer has.")


def snapshot_path(settings: Settings) -> Path:
    """Where the snapshot in service lies."""
    return settings.directory.folder / "directory.db"


class Refresh:
    """The use-case of loading a directory."""

    def __init__(self, house: House, standing: Standing, administrator: str, executor: Executor | None = None) -> None:
        """`administrator`: who does it, for the trail; `executor`: where, in the house's own if none is given."""
        self._house = house
        self._standing = standing
        self._administrator = administrator
        self._executor = executor or house.crypto_work

    async def load(
        self,
        files: Sequence[Path],
        *,
        allow_shrink: bool = False,
        on_progress: OnProgress = lambda progress: None,
    ) -> SnapshotInfo:
        """Import extracts and put them in service; `on_progress` is called from another thread.

        Raises Refusal(IMPORT, STORAGE_FULL, UNAVAILABLE), traced; the directory in service then serves on.
        """
        target = snapshot_path(self._house.settings)

        def work() -> SnapshotInfo:
            return import_extracts(
                target,
                files,
                clock=self._house.clock,
                allow_shrink=allow_shrink,
                shrink_limit=self._house.settings.directory.shrink_limit,
                on_progress=on_progress,
            )

        return await self._swap(work, {"files": [file.name for file in files], "allow_shrink": allow_shrink})

    async def load_apart(
        self, files: Sequence[Path], stop: Stop, *, allow_shrink: bool = False, refuse_older: bool = True
    ) -> SnapshotInfo:
        """The same beside a server: in a process of its own, ended where `stop` is set."""
        house = self._house

        def work() -> SnapshotInfo:
            return import_apart(
                snapshot_path(house.settings),
                files,
                clock=house.clock,
                stop=stop,
                allow_shrink=allow_shrink,
                refuse_older=refuse_older,
                shrink_limit=house.settings.directory.shrink_limit,
            )

        return await self._swap(work, {"files": [file.name for file in files], "allow_shrink": allow_shrink})

    async def merge_apart(
        self, base: str, key: Path, stop: Stop, *, full: bool = False, allow_shrink: bool = False
    ) -> SnapshotInfo:
        """Lay what the API tells over the directory, likewise. Raises and traces as `load`."""
        house = self._house
        directory = house.settings.directory

        def work() -> SnapshotInfo:
            return merge_apart(
                snapshot_path(house.settings),
                base,
                key,
                directory.source_ca,
                clock=house.clock,
                stop=stop,
                full=full,
                allow_shrink=allow_shrink,
                shrink_limit=directory.shrink_limit,
            )

        return await self._swap(work, {"fhir": True, "full": full, "allow_shrink": allow_shrink})

    async def roll_back(self) -> SnapshotInfo:
        """Put the directory before this one in service again. Raises Refusal(IMPORT, UNAVAILABLE), traced."""
        target = snapshot_path(self._house.settings)
        return await self._swap(lambda: roll_back(target), {"roll_back": True})

    async def _swap(self, work: Callable[[], SnapshotInfo], details: dict[str, Value]) -> SnapshotInfo:
        loop = asyncio.get_running_loop()
        before = await self._struck_off()
        try:
            info = await loop.run_in_executor(self._executor, work)
        except Refusal as refusal:
            await self._refused(refusal, details)
            raise
        self._house.directory.reload_if_changed()
        after = await self._struck_off()
        newly = {account: address for account, address in after.items() if account not in before}
        details["back"] = sum(account not in after for account in before)
        await self._loaded(info, newly, details)
        return info

    async def _struck_off(self) -> dict[AccountId, str]:
        """Accounts that aren't closed and whose holder the directory in service lacks; none while there is none."""
        found: dict[AccountId, str] = {}
        loop, after = asyncio.get_running_loop(), 0
        while True:
            rows = await self._house.read.run(lambda tx, after=after: accounts.page(tx, after, _PAGE))  # type: ignore[misc]
            try:
                found |= await loop.run_in_executor(self._house.crypto_work, self._struck_off_among, rows)
            except Refusal:
                return {}
            if len(rows) < _PAGE:
                return found
            after = rows[-1].account_id

    def _struck_off_among(self, rows: Sequence[AccountRow]) -> dict[AccountId, str]:
        credentials = self._standing.credentials
        dossiers = {
            row.account_id: credentials.dossier(row.account_id, row.sealed)
            for row in rows
            if row.state is not State.CLOSED
        }
        return {n: str(dossier.address) for n, dossier in dossiers.items() if self._standing.struck_off(dossier)}

    async def _loaded(self, info: SnapshotInfo, newly: dict[AccountId, str], details: dict[str, Value]) -> None:
        _loads.labels(outcome="ok").inc()
        _struck.inc(len(newly))
        summary: dict[str, Value] = {
            **details,
            "administrator": self._administrator,
            "people": info.people,
            "structures": info.structures,
            "boxes": info.boxes,
            "skipped": sum(source.skipped for source in info.sources),
            "sha256": [source.sha256 for source in info.sources],
            "struck_off": len(newly),
        }

        def write(tx: Transaction) -> None:
            tx.trail(Event(Kind.DIRECTORY_LOADED, details=summary))
            for account, address in newly.items():
                tx.trail(Event(Kind.STRUCK_OFF, account, address, Reason.STRUCK_OFF.value))
            replays.notify(tx, 0, "directory")

        await self._house.write.run(write)

    async def _refused(self, refusal: Refusal, details: dict[str, Value]) -> None:
        _loads.labels(outcome=refusal.reason.value).inc()
        more: dict[str, Value] = {**details, "administrator": self._administrator, "detail": refusal.detail}
        event = Event(Kind.DIRECTORY_REFUSED, outcome=refusal.reason.value, details=more)
        try:
            await self._house.write.run(lambda tx: tx.trail(event))
        except Refusal:
            pass  # a full disk: what the administrator hears is the import's own refusal
