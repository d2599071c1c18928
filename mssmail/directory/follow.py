"""What is new at the places that extracts come from: a folder that somebody fills, addresses that are downloaded.

Knows the publisher's file names and what was seen last (`source.json` beside the snapshot, which may be lost at the
cost of a download); nothing of what stands in an extract, which the import checks.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.model import Kind
from mssmail.directory.source import dated_at
from mssmail.fetch import MAX_DOWNLOAD_S, Caller, Validators, download
from mssmail.files import swap

SETTLED_S: Final = 60.0
"""A file written to more recently may still be on its way; whoever fills the folder had better move files in."""
MAX_ENTRIES: Final = 10_000
MAX_MEMORY_OCTETS: Final = 1 << 20
_NAMES: Final = {
    Kind.ACTIVITY: re.compile(r"(?:ps_libreacces|extraction_prosanteconnect)_(?:personne_activite_)?\d{8,14}"),
    Kind.BOXES: re.compile(r"extraction_correspondance_mssante"),
}


@dataclass(slots=True)
class Memory:
    """What was seen last. Keys of `seen` are digests of addresses, which may hold a token, and kinds of extract."""

    next_at: float = 0.0
    """Epoch seconds: when to look again."""
    seen: dict[str, list[str]] = field(default_factory=dict)

    def validators(self, address: str) -> Validators:
        return Validators(*self.seen.get(_digest(address), ("", ""))[:2])


@dataclass(frozen=True, slots=True)
class News:
    """Files to import, and what to remember once they are."""

    files: tuple[Path, ...]
    seen: Mapping[str, list[str]]


def read_memory(path: Path) -> Memory:
    """What was remembered; nothing where that can't be read."""
    try:
        with path.open("rb") as file:
            read = json.loads(file.read(MAX_MEMORY_OCTETS))
        seen = {str(k): [str(v) for v in values] for k, values in read["seen"].items()}
        return Memory(float(read["next_at"]), {k: v for k, v in seen.items() if len(v) == 2})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Memory()


def write_memory(path: Path, memory: Memory) -> None:
    """Remember, atomically; what a crash loses costs a download. Raises Refusal(UNAVAILABLE)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        swap(path, json.dumps({"next_at": memory.next_at, "seen": memory.seen}).encode(), 0o666)
    except OSError as e:
        raise Refusal(Reason.UNAVAILABLE, f"{path.name}: {e.strerror}") from e


def look(
    folders: Sequence[Path],
    addresses: Sequence[str],
    memory: Memory,
    into: Path,
    *,
    clock: Clock,
    stop: Event,
    authorities: Path | None = None,
) -> News:
    """What isn't imported yet; downloads go `into`, a folder of its own that the caller removes.

    Blocks for as long as `MAX_DOWNLOAD_S`. Raises Refusal(UNAVAILABLE, STORAGE_FULL).
    """
    files: list[Path] = []
    seen: dict[str, list[str]] = {}
    for kind, (path, mark) in _newest(folders, clock.now()).items():
        if memory.seen.get(kind.value) != mark:
            files.append(path)
            seen[kind.value] = mark
    if addresses:
        _empty(into)
        with Caller(clock, stop, MAX_DOWNLOAD_S, authorities) as caller:
            for number, address in enumerate(addresses):
                place = into / str(number)
                place.mkdir()
                found = download(caller, address, place, memory.validators(address))
                if found is not None:
                    files.append(found.path)
                    seen[_digest(address)] = [found.validators.etag, found.validators.last_modified]
    return News(tuple(files), seen)


def _newest(folders: Iterable[Path], now: float) -> dict[Kind, tuple[Path, list[str]]]:
    """The newest extract of each kind, by the date in its name and then by its file's, with what marks it."""
    found: dict[Kind, tuple[tuple[float, float, str], Path, list[str]]] = {}
    for folder in folders:
        try:
            entries = [entry for entry, _ in zip(folder.iterdir(), range(MAX_ENTRIES), strict=False)]
            for entry in entries:
                kind = next((k for k, names in _NAMES.items() if names.match(entry.name.lower())), None)
                if kind is None or entry.suffix.lower() not in (".txt", ".csv", ".zip") or not entry.is_file():
                    continue
                stat = entry.stat()
                if now - stat.st_mtime < SETTLED_S:
                    continue
                rank = (dated_at(entry.name, stat.st_mtime), stat.st_mtime, entry.name)
                if kind not in found or rank > found[kind][0]:
                    found[kind] = (rank, entry, [entry.name, f"{stat.st_size}.{stat.st_mtime_ns}"])
        except OSError as e:
            raise Refusal(Reason.UNAVAILABLE, f"directory.source: {folder.name}: {e.strerror}") from e
    return {kind: (path, mark) for kind, (_, path, mark) in found.items()}


def _empty(folder: Path) -> None:
    """Make a folder anew: what a killed download left goes."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
    except OSError as e:
        raise Refusal(Reason.UNAVAILABLE, f"{folder.name}: {e.strerror}") from e


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:32]
