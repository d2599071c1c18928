"""Look-ups in the snapshot in service: who is registered, whose a box is, who may be written to.

Knows one snapshot file and takes a new one when told to look; never accounts. A look-up takes microseconds and may be
made from any thread, the event loop's included; a search reads more and belongs in an executor.

Every method raises Refusal(UNAVAILABLE) while no snapshot is in service or its file can't be read.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from mssmail.base.address import Address
from mssmail.base.clock import Clock
from mssmail.base.principal import BoxKind
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.model import (
    Box,
    Found,
    Person,
    SnapshotInfo,
    Structure,
    decode_professions,
    search_key,
)
from mssmail.directory.snapshot import info_of, open_snapshot

MAX_SHOWN = 50
"""Boxes shown for one holder found by a search."""
MAX_QUERY_WORDS = 4
MAX_QUERY_CHARS = 100
_REMEMBERED = 20_000
"""Answers of some 150 octets each; past that the memory starts anew."""

_PERSON = "SELECT id, id_type, name, given, professions FROM people WHERE id = ?"
_STRUCTURE = "SELECT id, name FROM structures WHERE id = ?"
_NAMES = "SELECT id FROM people WHERE key >= ? AND key < ?"
_STRUCTURES = "SELECT id, name FROM structures WHERE key <> ''"
_HAS_WORD = " AND instr(' ' || key, ?) > 0"
_BOX = "SELECT kind, person, structure, address, service, red FROM boxes WHERE "
# the second halves are the indexes' own conditions, without which SQLite wouldn't take them
_OF_PERSON = "person = ? AND person <> ''"
_OF_STRUCTURE = "structure = ? AND structure <> ''"


class Directory:
    """The directory in service. `close` it at the end."""

    __slots__ = ("_active", "_clock", "_current_at", "_db", "_info", "_lock", "_path", "_seen")

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open the snapshot at `path`, which may not be there yet."""
        self._path = path
        self._clock = clock
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self._info: SnapshotInfo | None = None
        self._current_at = 0.0
        self._seen: tuple[int, int, int] | None = None
        self._active: dict[tuple[str, tuple[str, ...]], bool] = {}
        """Answers of `holder_active`, of the snapshot in service alone."""
        self.reload_if_changed()

    def reload_if_changed(self) -> bool:
        """Take a new snapshot where one was swapped in; whether one was. A few microseconds when not.

        A file that can't be opened leaves the old one in service; with none in service, look-ups say so.
        """
        try:
            stat = self._path.stat()
        except OSError:
            return False
        seen = (stat.st_dev, stat.st_ino, stat.st_mtime_ns)
        if seen == self._seen:
            return False
        try:
            db = open_snapshot(self._path)
            info = info_of(db, self._path)
        except Refusal:
            return False
        with self._lock:
            old, self._db, self._info, self._seen = self._db, db, info, seen
            self._current_at, self._active = info.current_at, {}
        if old is not None:
            old.close()
        return True

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db, self._info, self._seen, self._active = None, None, None, {}

    def info(self) -> SnapshotInfo:
        """Counts and sources of the snapshot in service."""
        if self._info is None:
            raise self._unavailable()
        return self._info

    def age_s(self) -> float:
        """Seconds since the moment up to which the snapshot knows what was published. Some 100 ns."""
        self.info()
        return self._clock.now() - self._current_at

    def loaded_s(self) -> float:
        """Seconds since the snapshot in service was made, whatever the dates of what it was made of."""
        return self._clock.now() - self.info().built_at

    def person(self, national_id: str) -> Person | None:
        """The professional with this national id, if the newest extract has one."""
        row = self._one(_PERSON, national_id)
        return None if row is None else _person(row)

    def holder_active(self, national_id: str, allowed_professions: tuple[str, ...]) -> bool:
        """Whether the newest extract has this professional in one of the allowed professions (TRE_G15 codes).

        Asked at each sign-in and for each recipient: 1 µs where it was asked before.
        """
        known = self._active  # a snapshot swapped in meanwhile begins another
        active = known.get((national_id, allowed_professions))
        if active is None:
            person = self.person(national_id)
            active = person is not None and person.practises(allowed_professions)
            if len(known) >= _REMEMBERED:
                known.clear()
            known[national_id, allowed_professions] = active
        return active

    def structure(self, structure_id: str) -> Structure | None:
        row = self._one(_STRUCTURE, structure_id)
        return None if row is None else Structure(*row)

    def box(self, address_key: str) -> tuple[Box, ...]:
        """All rows of an address (`Address.key`); none where it isn't listed."""
        return tuple(map(_box, self._all(_BOX + "key = ?", address_key)))

    def boxes_of_person(self, national_id: str) -> tuple[Box, ...]:
        return tuple(map(_box, self._all(_BOX + _OF_PERSON + " ORDER BY key", national_id)))

    def boxes_of_structure(self, structure_id: str) -> tuple[Box, ...]:
        return tuple(map(_box, self._all(_BOX + _OF_STRUCTURE + " ORDER BY key", structure_id)))

    def search(self, text: str, limit: int) -> tuple[Found, ...]:
        """Find people, structures and boxes by the beginnings of names, in any order, or of an address.

        Accents and case don't count. Red-listed boxes are left out (référentiel MSSanté: they receive and are never
        found), holders without one are not. At most `limit` results, people first, sorted by name.
        """
        text = text[:MAX_QUERY_CHARS].strip()
        words = search_key(text).split()[:MAX_QUERY_WORDS]
        found: list[Found] = []
        if "@" in text or "." in text:
            found += self._search_addresses(text.lower(), limit)
        known = {f.holder for f in found}
        for search in (self._search_people, self._search_structures):
            if words and (rest := limit - len(found)) > 0:
                found += [f for f in search(words, rest) if f.holder not in known]
        return tuple(found)

    def _search_addresses(self, prefix: str, limit: int) -> Iterator[Found]:
        rows = self._all(
            _BOX + "key >= ? AND key < ? AND red IS NOT 1 ORDER BY key LIMIT ?", prefix, prefix + "\U0010ffff", limit
        )
        for box in map(_box, rows):
            holder = (box.national_id and self.person(box.national_id)) or (
                box.structure_id and self.structure(box.structure_id)
            )
            yield Found(holder or None, (box,))

    def _search_people(self, words: list[str], limit: int) -> list[Found]:
        """Scan the names that begin with one of the words, for those in which every other word begins a word."""
        ids: dict[str, None] = {}
        for head in dict.fromkeys(words):
            others = [w for w in words if w != head]
            rows = self._all(
                f"{_NAMES}{_HAS_WORD * len(others)} ORDER BY key LIMIT ?",
                head,
                head + "\U0010ffff",
                *(f" {w}" for w in others),
                limit,
            )
            ids.update(dict.fromkeys(str(row[0]) for row in rows))
        people = (self.person(national_id) for national_id in list(ids)[:limit])
        return [Found(p, self._shown(_OF_PERSON, p.national_id)) for p in people if p is not None]

    def _search_structures(self, words: list[str], limit: int) -> list[Found]:
        rows = self._all(
            f"{_STRUCTURES}{_HAS_WORD * len(words)} ORDER BY key LIMIT ?",
            *(f" {w}" for w in words),
            limit,
        )
        return [Found(Structure(*row), self._shown(_OF_STRUCTURE, row[0])) for row in rows]

    def _shown(self, of_holder: str, holder: str) -> tuple[Box, ...]:
        """A holder's boxes that may be found: no red-listed one, and a structure's own without its members'."""
        own = " AND kind <> 'PER'" if of_holder is _OF_STRUCTURE else ""
        sql = f"{_BOX}{of_holder}{own} AND red IS NOT 1 ORDER BY key LIMIT {MAX_SHOWN}"
        return tuple(map(_box, self._all(sql, holder)))

    def _one(self, sql: str, value: str) -> tuple[str, ...] | None:
        return next(iter(self._all(sql, value)), None)

    def _all(self, sql: str, *values: str | int) -> list[tuple[str, ...]]:
        with self._lock:
            if self._db is None:
                raise self._unavailable()
            try:
                return self._db.execute(sql, values).fetchall()
            except (sqlite3.Error, UnicodeEncodeError) as e:
                raise Refusal(Reason.UNAVAILABLE, f"{self._path.name}: {e}") from e

    def _unavailable(self) -> Refusal:
        return Refusal(Reason.UNAVAILABLE, f"{self._path.name}: no directory in service")


def _person(row: tuple[str, ...]) -> Person:
    national_id, id_type, name, given_name, professions = row
    return Person(national_id, id_type, name, given_name, decode_professions(professions))


def _box(row: tuple[str, ...]) -> Box:
    kind, person, structure, written, service, red = row
    local, _, domain = written.rpartition("@")
    red_listed = None if red is None else bool(red)
    return Box(Address(local, domain), BoxKind(kind), person or None, structure or None, service, red_listed)
