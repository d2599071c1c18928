"""What changed between two snapshots, as streams of any length in bounded memory.

Knows two snapshot files and nothing of accounts: what a change means for a box is decided elsewhere.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.model import Profession, decode_professions
from mssmail.directory.snapshot import info_of, open_snapshot, snapshot_uri

# Both sides are keyed by what is compared, so each of these is one walk along one table with look-ups in the other.
_STRUCK_OFF = "SELECT id FROM old.people o WHERE NOT EXISTS (SELECT 1 FROM main.people n WHERE n.id = o.id) ORDER BY id"
_REGISTERED = "SELECT id FROM main.people n WHERE NOT EXISTS (SELECT 1 FROM old.people o WHERE o.id = n.id) ORDER BY id"
_CHANGED = (
    "SELECT n.id, o.professions, n.professions FROM main.people n JOIN old.people o ON o.id = n.id "
    "WHERE o.professions <> n.professions ORDER BY n.id"
)
_GONE = "SELECT DISTINCT key FROM old.boxes o WHERE NOT EXISTS (SELECT 1 FROM main.boxes n WHERE n.key = o.key)"
_NEW = "SELECT DISTINCT key FROM main.boxes n WHERE NOT EXISTS (SELECT 1 FROM old.boxes o WHERE o.key = n.key)"
_MOVED = (
    "SELECT DISTINCT key FROM main.boxes n WHERE EXISTS (SELECT 1 FROM old.boxes o WHERE o.key = n.key) AND NOT EXISTS "
    "(SELECT 1 FROM old.boxes o WHERE o.key = n.key AND o.kind = n.kind AND o.person = n.person "
    "AND o.structure = n.structure)"
)
_BY_KEY = " ORDER BY key"


class Difference:
    """From one snapshot to a newer one; a context manager that closes both.

    Each method walks anew, sorted, and its iterator must be used up or dropped before `close`. All raise
    Refusal(UNAVAILABLE) where a file can't be read.
    """

    __slots__ = ("_built", "_db", "_name")

    def __init__(self, old: Path, new: Path) -> None:
        with closing(open_snapshot(old)) as db:  # also tells a snapshot from another file
            before = info_of(db, old).built_at
        self._db = open_snapshot(new)
        self._built = (before, info_of(self._db, new).built_at)
        self._name = old.name
        self._db.execute("ATTACH ? AS old", (snapshot_uri(old),))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def dates(self) -> tuple[float, float]:
        """Epoch seconds at which the old one and the new one were built."""
        return self._built

    def close(self) -> None:
        self._db.close()

    def struck_off(self) -> Iterator[str]:
        """National ids of those who are gone."""
        return (str(row[0]) for row in self._rows(_STRUCK_OFF))

    def registered(self) -> Iterator[str]:
        """National ids of those who came."""
        return (str(row[0]) for row in self._rows(_REGISTERED))

    def professions_changed(self) -> Iterator[tuple[str, tuple[Profession, ...], tuple[Profession, ...]]]:
        """National id, professions before and now, of those who stayed and whose professions aren't the same."""
        return ((str(i), decode_professions(b), decode_professions(a)) for i, b, a in self._rows(_CHANGED))

    def boxes_gone(self) -> Iterator[str]:
        """Keys of addresses that stand on no row any more."""
        return (str(row[0]) for row in self._rows(_GONE + _BY_KEY))

    def boxes_new(self) -> Iterator[str]:
        """Keys of addresses that stood on no row before."""
        return (str(row[0]) for row in self._rows(_NEW + _BY_KEY))

    def boxes_moved(self) -> Iterator[str]:
        """Keys of addresses that stayed and have a holder or a kind they didn't have before."""
        return (str(row[0]) for row in self._rows(_MOVED + _BY_KEY))

    def _rows(self, sql: str) -> Iterator[tuple[str, ...]]:
        try:
            yield from self._db.execute(sql)
        except sqlite3.Error as e:
            raise Refusal(Reason.UNAVAILABLE, f"{self._name}: {e}") from e
