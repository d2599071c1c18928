"""A folder's log of expunged UIDs, as ranges by the mod-sequence at which they went.

It has a floor: of what went at or below that mod-sequence it tells nothing, and who saw the folder last before that
compares all UIDs. Ranges may span UIDs that went earlier.
"""

from sqlalchemy import bindparam, delete, func, select

from mssmail.base.ids import FolderId
from mssmail.store import folders
from mssmail.store.interface import Ranges, Statement, Transaction, put
from mssmail.store.schema import vanished

_v = vanished.c
_OF_FOLDER = _v.folder_id == bindparam("folder")

_PUT = put(vanished)
_SINCE = Statement(
    select(_v.uid_low, _v.uid_high).where(_OF_FOLDER, _v.modseq > bindparam("since")).order_by(_v.uid_low)
)
_LONG = Statement(select(_v.folder_id).group_by(_v.folder_id).having(func.count() > bindparam("most")))
_FLOOR = Statement(select(_v.modseq).where(_OF_FOLDER).order_by(_v.modseq.desc()).limit(1).offset(bindparam("most")))
_TRIM = Statement(delete(vanished).where(_OF_FOLDER, _v.modseq <= bindparam("floor")))


def add(tx: Transaction, folder: FolderId, modseq: int, ranges: Ranges) -> None:
    """These went."""
    tx.run_many(
        _PUT, [{"folder_id": folder, "modseq": modseq, "uid_low": low, "uid_high": high} for low, high in ranges]
    )


def since(tx: Transaction, folder: FolderId, modseq: int) -> list[tuple[int, int]]:
    """UID ranges that went after a mod-sequence, which isn't below the folder's floor."""
    return [(row[0], row[1]) for row in tx.run(_SINCE, folder=folder, since=modseq).fetchall()]


def long(tx: Transaction, most: int) -> list[FolderId]:
    """Folders whose log has more than so many rows. Looks at all of the store's."""
    return [FolderId(row[0]) for row in tx.run(_LONG, most=most).fetchall()]


def trim(tx: Transaction, folder: FolderId, most: int) -> None:
    """Keep at most so many rows of a folder's log, the latest, and raise its floor to what goes."""
    row = tx.run(_FLOOR, folder=folder, most=most).fetchone()
    if row is not None:
        tx.run(_TRIM, folder=folder, floor=row[0])
        folders.raise_floor(tx, folder, row[0])
