"""Build a new snapshot beside the current one, check it, swap it in by rename.

Knows the snapshot file's tables and when an import is refused; never accounts, nor what follows from a swap.

Invariants: the file at the target's path is always a whole, checked snapshot; one that was swapped in is never
written again (readers open it as immutable); a crash at any moment leaves the old or the new one, and what it leaves
beside them is removed by the next import. The snapshot before the current one is kept as `NAME.previous`.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.extract import open_rows
from mssmail.directory.model import (
    Fault,
    FaultCount,
    Kind,
    SnapshotInfo,
    SourceInfo,
    encode_professions,
    search_key,
)
from mssmail.directory.source import Source, dated_at, open_source
from mssmail.files import put_in_place, sync

VERSION = 1
APPLICATION_ID = 0x4D534449
"""Tells a snapshot from any other SQLite file ("MSDI")."""

MAX_SHRINK = 0.05
"""The part of people or of boxes by which a new extract may be smaller than the one in service."""
MAX_SKIPPED = 0.05
SKIPPED_ALWAYS_BORNE = 10
"""More than this many skipped lines, and more than MAX_SKIPPED of all, are a malformed file and not some bad rows."""

_CACHE_KIB = 160 * 1024
"""Holds the table of people of the whole country, so that its pages are written once."""

_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE people(id TEXT PRIMARY KEY, id_type TEXT NOT NULL, name TEXT NOT NULL, given TEXT NOT NULL,
    professions TEXT NOT NULL, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE structures(id TEXT PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE boxes(key TEXT NOT NULL, kind TEXT NOT NULL, person TEXT NOT NULL, structure TEXT NOT NULL,
    address TEXT NOT NULL, service TEXT NOT NULL, red INTEGER,
    PRIMARY KEY(key, kind, person, structure)) WITHOUT ROWID;
"""
# `red` is for sources that know the red list; the extract doesn't, and leaves it NULL.
_INDEXES = (
    "CREATE INDEX people_key ON people(key)",
    "CREATE INDEX boxes_person ON boxes(person) WHERE person <> ''",
    "CREATE INDEX boxes_structure ON boxes(structure) WHERE structure <> ''",
)
_CARRIED = {Kind.ACTIVITY: ("people",), Kind.BOXES: ("boxes", "structures")}
_COUNTED = {Kind.ACTIVITY: ("people", "people"), Kind.BOXES: ("boxes", "boxes")}
API_TABLE = """
CREATE TABLE IF NOT EXISTS fhir(id TEXT PRIMARY KEY, person TEXT NOT NULL, structure TEXT NOT NULL,
    name TEXT NOT NULL, given TEXT NOT NULL, professions TEXT NOT NULL, boxes TEXT NOT NULL) WITHOUT ROWID;
"""
"""The API's active resources by `Type/id`, kept so that a change of one is seen beside the others of its holder."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of one file has come."""

    name: str
    kind: Kind
    rows: int
    octets_read: int
    octets: int


OnProgress = Callable[[Progress], None]


def previous_path(target: Path) -> Path:
    """Where the snapshot before the current one is kept."""
    return target.with_name(target.name + ".previous")


def import_extracts(
    target: Path,
    files: Sequence[Path],
    *,
    clock: Clock,
    allow_shrink: bool = False,
    refuse_older: bool = False,
    shrink_limit: float = MAX_SHRINK,
    on_progress: OnProgress = lambda progress: None,
) -> SnapshotInfo:
    """Read one extract or one of each kind, and put the snapshot made of them in service at `target`.

    A kind that isn't among `files` is carried over from the current snapshot. `allow_shrink` lifts the guards on
    size and on skipped lines, not those on empty and malformed files; `refuse_older` refuses what was made before the
    extract in service, which nobody means who isn't asked. Blocks for seconds; call it from an executor.

    Raises Refusal(IMPORT) with a line for the administrator, the current snapshot serving on; STORAGE_FULL where the
    disk is full; UNAVAILABLE where it fails.
    """
    if not files:
        raise Refusal(Reason.IMPORT, "no file to import")
    with replacement(target) as new:
        guards = _Guards(None if allow_shrink else shrink_limit, refuse_older)
        return _build(new, target, files, clock, guards, on_progress)


@dataclass(frozen=True, slots=True)
class _Guards:
    """What an import refuses beside malformed files."""

    shrink_limit: float | None
    """None: any size is taken."""
    older: bool

    @property
    def lifted(self) -> bool:
        return self.shrink_limit is None

    def check(self, made: SourceInfo, current: SnapshotInfo) -> None:
        """Raise Refusal(IMPORT) where a new extract can't take the place of the one in service."""
        before = current.source(made.kind)
        if self.older and before is not None and made.dated_at < before.dated_at:
            raise Refusal(Reason.IMPORT, f"{made.name}: older than the extract in service")
        if self.shrink_limit is not None:
            check_shrink(made, current, self.shrink_limit)


@contextmanager
def replacement(target: Path) -> Iterator[Path]:
    """Where the next snapshot is to be written; put in service where the block ends well, and else removed.

    Raises Refusal(IMPORT) while another import runs, STORAGE_FULL, UNAVAILABLE.
    """
    new = target.with_name(target.name + ".new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_import(target):
            _remove_leftovers(target)
            try:
                yield new
                _swap(new, target)
            finally:
                _remove_leftovers(target)
    except sqlite3.Error as e:
        full = getattr(e, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        raise Refusal(Reason.STORAGE_FULL if full else Reason.UNAVAILABLE, f"{target.name}: {e}") from e
    except OSError as e:
        full = e.errno in (28, 122)  # ENOSPC, EDQUOT
        raise Refusal(Reason.STORAGE_FULL if full else Reason.UNAVAILABLE, f"{target.name}: {e.strerror}") from e


def roll_back(target: Path) -> SnapshotInfo:
    """Put the previous snapshot in service again; the current one becomes the previous.

    Raises Refusal(IMPORT) where there is none or it can't be read.
    """
    previous, aside = previous_path(target), target.with_name(target.name + ".new")
    with _only_import(target):
        _remove_leftovers(target)
        if not previous.exists():
            raise Refusal(Reason.IMPORT, f"{previous.name}: no previous snapshot")
        info = read_info(previous)
        os.link(previous, aside)
        _swap(aside, target)
    return info


def read_info(path: Path) -> SnapshotInfo:
    """What a snapshot file says of itself.

    Raises Refusal(UNAVAILABLE) where it isn't there or isn't a snapshot of this version.
    """
    with closing(open_snapshot(path)) as db:
        return info_of(db, path)


def open_snapshot(path: Path) -> sqlite3.Connection:
    """Open a snapshot for reading, as the immutable file it is; the caller closes it.

    Raises Refusal(UNAVAILABLE) as `read_info` does.
    """
    try:
        if not path.is_file():
            raise Refusal(Reason.UNAVAILABLE, f"{path.name}: no directory was imported yet")
        db = sqlite3.connect(snapshot_uri(path), uri=True, check_same_thread=False, isolation_level=None)
    except (OSError, sqlite3.Error) as e:
        raise Refusal(Reason.UNAVAILABLE, f"{path.name}: {e}") from e
    try:
        marks = tuple(db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    except sqlite3.Error as e:
        db.close()
        raise Refusal(Reason.UNAVAILABLE, f"{path.name}: {e}") from e
    if marks != (APPLICATION_ID, VERSION):
        db.close()
        raise Refusal(Reason.UNAVAILABLE, f"{path.name}: not a directory snapshot of version {VERSION}")
    return db


def snapshot_uri(path: Path) -> str:
    """The SQLite address under which nothing is locked, written or looked for beside the file."""
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def info_of(db: sqlite3.Connection, path: Path) -> SnapshotInfo:
    """Read the snapshot's own account of itself from an open one.

    Raises Refusal(UNAVAILABLE) where it can't be read.
    """
    try:
        return _info_from_json(str(db.execute("SELECT value FROM meta WHERE key = 'info'").fetchone()[0]))
    except (sqlite3.Error, TypeError, ValueError, KeyError) as e:
        raise Refusal(Reason.UNAVAILABLE, f"{path.name}: damaged snapshot") from e


@contextmanager
def _only_import(target: Path) -> Iterator[None]:
    """Exclude a second import. The lock dies with the process, so that a crash leaves nothing to clear."""
    handle = os.open(target.with_name(target.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(Reason.IMPORT, "another import is running") from None
        yield
    finally:
        os.close(handle)


def _remove_leftovers(target: Path) -> None:
    for suffix in (".new", ".new-journal", ".previous.new"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)


def _swap(new: Path, target: Path) -> None:
    """Put a finished file in the target's place, durably, keeping the old one as the previous."""
    sync(new)
    put_in_place(new, target, previous_path(target))


def _build(
    new: Path, target: Path, files: Sequence[Path], clock: Clock, guards: _Guards, on_progress: OnProgress
) -> SnapshotInfo:
    """Write the new snapshot, complete but for its durability."""
    allow_shrink = guards.lifted
    current = _read_current(target, allow_shrink)
    with closing(_create(new)) as db:
        sources: dict[Kind, SourceInfo] = {}
        for file in files:
            with open_source(file) as source:
                made = _load(db, source, set(sources), clock, allow_shrink, on_progress)
            if current is not None:
                guards.check(made, current)
            sources[made.kind] = made
        if current is not None:
            _carry_over(db, target, current, sources)
        for index in _INDEXES:
            db.execute(index)
        info = describe(db, clock, sources)
        db.execute("COMMIT")
    return info


def describe(db: sqlite3.Connection, clock: Clock, sources: dict[Kind, SourceInfo]) -> SnapshotInfo:
    """Write into a new snapshot what is known of it."""
    info = SnapshotInfo(
        VERSION,
        clock.now(),
        people=_count(db, "people"),
        structures=_count(db, "structures"),
        boxes=_count(db, "boxes"),
        sources=tuple(sources[kind] for kind in Kind if kind in sources),
    )
    db.execute("INSERT OR REPLACE INTO meta VALUES('info', ?)", (_info_to_json(info),))
    return info


def _read_current(target: Path, allow_shrink: bool) -> SnapshotInfo | None:
    """The snapshot in service, against which the new one is checked; an unreadable one is given up only expressly."""
    if not target.exists():
        return None
    try:
        return read_info(target)
    except Refusal as e:
        if allow_shrink:
            return None
        raise Refusal(
            Reason.IMPORT, f"{e.detail}; the current directory can't be compared, which must be allowed expressly"
        ) from e


def _create(new: Path) -> sqlite3.Connection:
    """An empty snapshot in one open transaction. Nothing is durable until the swap, so nothing is synced or logged."""
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    db = open_new(new)
    db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {_TABLES}")
    db.execute("BEGIN")
    return db


def create_empty(new: Path) -> None:
    """A snapshot that says nothing, for sources that come without an extract."""
    with closing(_create(new)) as db:
        for index in _INDEXES:
            db.execute(index)
        db.execute("COMMIT")


def open_new(new: Path) -> sqlite3.Connection:
    """Open a snapshot that isn't in service yet, for writing."""
    db = sqlite3.connect(new.absolute().as_uri(), uri=True, isolation_level=None)
    db.executescript(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
        f"PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -{_CACHE_KIB};"
    )
    db.create_function("search_key", 1, search_key, deterministic=True)
    db.create_function("joined", 2, lambda a, b: encode_professions(f"{a} {b}".split()), deterministic=True)
    return db


def _load(
    db: sqlite3.Connection,
    source: Source,
    loaded: set[Kind],
    clock: Clock,
    allow_shrink: bool,
    on_progress: OnProgress,
) -> SourceInfo:
    """Read one extract into its tables."""

    def on_block(rows: int, octets_read: int) -> None:
        on_progress(Progress(source.name, kind, rows, octets_read, source.octets))

    rows = open_rows(source, on_block)
    kind = rows.layout.kind
    if kind in loaded:
        raise Refusal(Reason.IMPORT, f"{source.name}: a second file of kind {kind.value}")
    match kind:
        case Kind.ACTIVITY:
            for people in rows.people():
                db.executemany(
                    "INSERT INTO people VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE "
                    "SET professions = joined(professions, excluded.professions) "
                    "WHERE professions <> excluded.professions",
                    people,
                )
        case _:
            for boxes, structures in rows.boxes():
                db.executemany("INSERT OR IGNORE INTO boxes VALUES(?, ?, ?, ?, ?, ?, NULL)", boxes)
                db.executemany(
                    "INSERT INTO structures VALUES(?1, ?2, search_key(?2)) ON CONFLICT(id) DO UPDATE "
                    "SET name = excluded.name, key = excluded.key WHERE name = ''",
                    structures,
                )
    table, noun = _COUNTED[kind]
    kept = _count(db, table)
    if kept == 0:
        raise Refusal(Reason.IMPORT, f"{source.name}: no {noun} in it ({_worst(source)})")
    skipped = source.tally.skipped
    if too_many_skipped(skipped, rows.lines_read + skipped) and not allow_shrink:
        raise Refusal(Reason.IMPORT, f"{source.name}: {skipped} of its lines can't be used ({_worst(source)})")
    now, faults = clock.now(), source.tally.counts()
    dated = dated_at(source.name, now)
    return SourceInfo(kind, source.name, source.sha256, now, rows.lines_read, kept, faults, dated)


def too_many_skipped(skipped: int, total: int) -> bool:
    """Whether so much can't be used that the source itself is malformed."""
    return skipped > max(SKIPPED_ALWAYS_BORNE, MAX_SKIPPED * total)


def _worst(source: Source) -> str:
    faults = [f for f in source.tally.counts() if not f.fault.is_doubt]
    return f"mostly {faults[0].fault.value}, first in line {faults[0].first_line}" if faults else "only a header"


def check_shrink(made: SourceInfo, current: SnapshotInfo, limit: float) -> None:
    """Raise Refusal(IMPORT) where a source left much less of its kind than there is now."""
    before = {Kind.ACTIVITY: current.people, Kind.BOXES: current.boxes}[made.kind]
    refuse_shrink(made.name, _COUNTED[made.kind][1], made.kept, before, limit)


def refuse_shrink(name: str, noun: str, kept: int, before: int, limit: float) -> None:
    """The same, for a count and the one before."""
    if kept < before * (1 - limit):
        raise Refusal(
            Reason.IMPORT,
            f"{name}: {kept} {noun} where the current directory has {before}: "
            f"more than {limit:.0%} fewer, which must be allowed expressly",
        )


def _carry_over(db: sqlite3.Connection, target: Path, current: SnapshotInfo, sources: dict[Kind, SourceInfo]) -> None:
    """Copy from the current snapshot the kinds that no file brought."""
    # SQLite can't attach inside a transaction; with no journal and no sync this commit costs and risks nothing
    db.execute("COMMIT")
    db.execute("ATTACH ? AS old", (snapshot_uri(target),))
    db.execute("BEGIN")
    for kept in current.sources:
        if kept.kind in _CARRIED and kept.kind not in sources:
            for table in _CARRIED[kept.kind]:
                db.execute(f"INSERT INTO {table} SELECT * FROM old.{table}")  # noqa: S608 - names from _CARRIED
            sources[kept.kind] = kept
    api = current.source(Kind.FHIR)
    if api is None:
        return
    # what the API told since the extract was made is asked for again, so that the extract takes nothing back;
    # who is red-listed the extract doesn't know, and a search must go on not finding them
    db.execute(API_TABLE)
    db.execute("INSERT INTO fhir SELECT * FROM old.fhir")
    db.execute(
        "UPDATE boxes SET red = o.red FROM (SELECT key, max(red) AS red FROM old.boxes WHERE red IS NOT NULL "
        "GROUP BY key) o WHERE boxes.key = o.key"
    )
    sources[Kind.FHIR] = replace(api, dated_at=min(api.dated_at, *(s.dated_at for s in sources.values())))


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a table of ours


def _info_to_json(info: SnapshotInfo) -> str:
    sources = [
        {
            "kind": s.kind.value,
            "name": s.name,
            "sha256": s.sha256,
            "imported_at": s.imported_at,
            "rows": s.rows,
            "kept": s.kept,
            "dated_at": s.dated_at,
            "faults": [[f.fault.value, f.count, f.first_line] for f in s.faults],
        }
        for s in info.sources
    ]
    counts = {"people": info.people, "structures": info.structures, "boxes": info.boxes}
    return json.dumps({"built_at": info.built_at, **counts, "sources": sources}, ensure_ascii=False)


def _info_from_json(text: str) -> SnapshotInfo:
    read = json.loads(text)
    sources = tuple(
        SourceInfo(
            Kind(s["kind"]),
            s["name"],
            s["sha256"],
            s["imported_at"],
            s["rows"],
            s["kept"],
            tuple(FaultCount(Fault(fault), count, line) for fault, count, line in s["faults"]),
            s.get("dated_at", s["imported_at"]),  # snapshots of the first releases lack it
        )
        for s in read["sources"]
    )
    return SnapshotInfo(VERSION, read["built_at"], read["people"], read["structures"], read["boxes"], sources)
