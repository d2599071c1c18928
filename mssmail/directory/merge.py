"""Lay what the API tells over the snapshot in service, into a new one, by the checks of an import.

Knows the tables and which resources make a person, a box or a structure. The new file is a copy of the one in service;
the API's active resources are kept in it (`fhir`), so that a change of one is judged beside the others of its holder:
somebody with two professions who gives one up stays registered. Memory stays within a page, whatever comes.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory import snapshot
from mssmail.directory.fhir import TYPES, Api
from mssmail.directory.model import Fault, Kind, SnapshotInfo, SourceInfo, encode_professions, search_key
from mssmail.directory.resource import Held, read
from mssmail.directory.source import Tally

_BATCH = 1_000
_TOUCHED = "CREATE TEMP TABLE touched(kind TEXT, id TEXT, PRIMARY KEY(kind, id)) WITHOUT ROWID"
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS fhir_person ON fhir(person) WHERE person <> ''",
    "CREATE INDEX IF NOT EXISTS fhir_structure ON fhir(structure) WHERE structure <> ''",
)
_OLD = "SELECT person, structure FROM fhir WHERE id = ?"
_TOUCH = "INSERT OR IGNORE INTO touched VALUES(?, ?)"
_PUT = "INSERT OR REPLACE INTO fhir VALUES(?, ?, ?, ?, ?, ?, ?)"
_OF_PERSON = (
    "SELECT id, structure, name, given, professions, boxes FROM fhir WHERE person = ? AND person <> '' ORDER BY id"
)
_OF_STRUCTURE = "SELECT id, name, boxes FROM fhir WHERE structure = ? AND structure <> '' AND person = '' ORDER BY id"
_PUT_PERSON = (
    "INSERT INTO people VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET professions = excluded.professions, "
    "name = iif(excluded.name = '', name, excluded.name), given = iif(excluded.name = '', given, excluded.given), "
    "key = iif(excluded.name = '', key, excluded.key)"
)
_PUT_BOX = "INSERT OR REPLACE INTO boxes VALUES(?, ?, ?, ?, ?, ?, ?)"
_PUT_STRUCTURE = (
    "INSERT INTO structures VALUES(?1, ?2, search_key(?2)) ON CONFLICT(id) DO UPDATE "
    "SET name = excluded.name, key = excluded.key WHERE excluded.name <> ''"
)
_EMPTY_STRUCTURES = (
    "DELETE FROM structures WHERE NOT EXISTS (SELECT 1 FROM boxes b WHERE b.structure = structures.id "
    "AND b.structure <> '')"
)


def merge(
    target: Path,
    api: Api,
    *,
    clock: Clock,
    full: bool = False,
    allow_shrink: bool = False,
    shrink_limit: float = snapshot.MAX_SHRINK,
) -> SnapshotInfo:
    """Ask the API for what changed since it was last asked, and put the snapshot made of it in service at `target`.

    The first time, and with `full`, it is asked for everything: only so is it known which boxes are red-listed. Blocks
    for minutes, the first time for hours; call it from a thread of its own.

    Raises Refusal as `import_extracts` does, and as `Api.pages`.
    """
    with snapshot.replacement(target) as new:
        current = snapshot.read_info(target) if target.exists() else None
        known = current.source(Kind.FHIR) if current is not None else None
        since = None if full or known is None else known.dated_at
        if current is not None:
            shutil.copyfile(target, new)
        else:
            snapshot.create_empty(new)
        new.chmod(0o600)
        with closing(snapshot.open_new(new)) as db:
            info = _Merging(db, api, clock).run(since, current)
        _check(api.host, info, current, None if allow_shrink else shrink_limit)
    return info


def _check(host: str, info: SnapshotInfo, current: SnapshotInfo | None, shrink_limit: float | None) -> None:
    """The guards of an import, on what the whole has become."""
    made = info.source(Kind.FHIR)
    if info.people == 0:
        raise Refusal(Reason.IMPORT, f"{host}: no people in it")
    if shrink_limit is None or made is None:
        return
    if snapshot.too_many_skipped(made.skipped, made.rows + made.skipped):
        worst = next(f for f in made.faults if not f.fault.is_doubt)
        raise Refusal(
            Reason.IMPORT, f"{host}: {made.skipped} of its resources can't be used (mostly {worst.fault.value})"
        )
    if current is not None:
        snapshot.refuse_shrink(host, "people", info.people, current.people, shrink_limit)
        snapshot.refuse_shrink(host, "boxes", info.boxes, current.boxes, shrink_limit)


class _Merging:
    """One merge into a new snapshot, in one transaction; the file is thrown away where it fails."""

    def __init__(self, db: sqlite3.Connection, api: Api, clock: Clock) -> None:
        self._db = db
        self._api = api
        self._clock = clock
        self._tally = Tally()
        self._count = 0

    def run(self, since: float | None, current: SnapshotInfo | None) -> SnapshotInfo:
        db, began = self._db, self._clock.now()
        sources = {s.kind: s for s in current.sources} if current is not None else {}
        db.execute("PRAGMA temp_store = FILE")
        db.execute("BEGIN")
        for statement in (snapshot.API_TABLE, *_INDEXES, _TOUCHED):
            db.execute(statement)
        if since is None:
            self._forget_all()
        for kind in TYPES:
            for page in self._api.pages(kind, since):
                for _ in range(page.unusable):
                    self._tally.add(Fault.BAD_ID, self._count)
                for resource in page.resources.values():
                    self._count += 1
                    held = read(resource, page.resources)
                    if isinstance(held, Fault):
                        self._tally.add(held, self._count)
                    else:
                        self._keep(held)
        for person in self._touched("person"):
            self._settle_person(person)
        for structure in self._touched("structure"):
            self._settle_structure(structure)
        db.execute(_EMPTY_STRUCTURES)
        db.execute("DROP TABLE touched")
        kept = int(db.execute("SELECT count(*) FROM fhir").fetchone()[0])
        sources[Kind.FHIR] = SourceInfo(
            Kind.FHIR, self._api.host, "", self._clock.now(), self._count, kept, self._tally.counts(), began
        )
        info = snapshot.describe(db, self._clock, sources)
        db.execute("COMMIT")
        return info

    def _forget_all(self) -> None:
        """Begin a pass over everything: who was known of the API alone, and isn't told of again, is gone."""
        self._db.execute("INSERT OR IGNORE INTO touched SELECT 'person', person FROM fhir WHERE person <> ''")
        self._db.execute("INSERT OR IGNORE INTO touched SELECT 'structure', structure FROM fhir WHERE structure <> ''")
        self._db.execute("DELETE FROM fhir")

    def _keep(self, held: Held) -> None:
        db = self._db
        old = db.execute(_OLD, (held.key,)).fetchone()
        if old is None and not held.active:
            return
        for person, structure in (old or ("", ""), (held.person, held.structure)):
            if person:
                db.execute(_TOUCH, ("person", person))
            elif structure:
                db.execute(_TOUCH, ("structure", structure))
        if held.active:
            boxes = json.dumps(held.boxes, ensure_ascii=False)
            row = (held.key, held.person, held.structure, held.name, held.given, held.professions, boxes)
            db.execute(_PUT, row)
        else:
            db.execute("DELETE FROM fhir WHERE id = ?", (held.key,))

    def _touched(self, kind: str) -> Iterator[str]:
        """Whose resources changed, in order, by batches: a cursor left open would hold what is written meanwhile."""
        after = ""
        while True:
            rows = self._db.execute(
                "SELECT id FROM touched WHERE kind = ? AND id > ? ORDER BY id LIMIT ?", (kind, after, _BATCH)
            ).fetchall()
            for (after,) in rows:
                yield after
            if len(rows) < _BATCH:
                return

    def _settle_person(self, person: str) -> None:
        """Make a person and their boxes what their active resources say together."""
        db, rows = self._db, self._db.execute(_OF_PERSON, (person,)).fetchall()
        own = [row for row in rows if row[0].startswith("Practitioner/")]
        if own:
            professions = encode_professions([word for row in own for word in str(row[4]).split()])
            _, _, name, given, _, _ = next((row for row in own if row[2]), own[0])
            key = f"{search_key(name)} {search_key(given)}" if name else ""
            db.execute(_PUT_PERSON, (person, person[:1], name, given, professions, key))
        else:
            db.execute("DELETE FROM people WHERE id = ?", (person,))
        db.execute("DELETE FROM boxes WHERE person = ? AND person <> '' AND kind IN ('PER', 'CAB')", (person,))
        for _, structure, name, _, _, boxes in rows:
            if structure and boxes != "[]":
                db.execute(_PUT_STRUCTURE, (structure, name))
            for key, kind, written, service, red in json.loads(boxes):
                db.execute(_PUT_BOX, (key, kind, person, structure, written, service, red))

    def _settle_structure(self, structure: str) -> None:
        """Make a structure's own boxes what its active resources say; those of people there are theirs."""
        db = self._db
        db.execute(
            "DELETE FROM boxes WHERE structure = ? AND structure <> '' AND (kind IN ('ORG', 'APP') OR person = '')",
            (structure,),
        )
        for _, name, boxes in db.execute(_OF_STRUCTURE, (structure,)).fetchall():
            if boxes != "[]":
                db.execute(_PUT_STRUCTURE, (structure, name))
            for key, kind, written, service, red in json.loads(boxes):
                db.execute(_PUT_BOX, (key, kind, "", structure, written, service, red))
