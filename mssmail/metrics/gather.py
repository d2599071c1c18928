"""Metrics of several workers on one page.

Each worker's registry is its own. A worker writes a snapshot of it every few seconds (`publish`); the one process that
serves the metrics port adds them up (`render_all`). Ruled out: the port shared by SO_REUSEPORT (each scrape would
meet another worker), and prometheus_client's memory-mapped files (a write to a sparse map on a full disk is a SIGBUS,
which kills the worker that must then answer 452).

A dead worker's counts are kept (`retire`), its gauges dropped: counters never go backwards while the server runs.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from mssmail.metrics.registry import REGISTRY

FOLDER: Final = "metrics"
"""Where snapshots lie, under the run folder."""
_RETIRED: Final = "retired"

Snapshot = dict[str, Any]
"""Family name to {type, help, samples: [[name, labels, value], …]}; plain JSON."""


def snapshot() -> Snapshot:
    """This process's metrics as plain data."""
    return {
        family.name: {
            "type": family.type,
            "help": family.documentation,
            "samples": [[one.name, one.labels, one.value] for one in family.samples],
        }
        for family in REGISTRY.collect()
    }


def prepare(run_folder: Path) -> None:
    """Empty the folder of snapshots; called once, before the first worker starts. Raises OSError."""
    folder = run_folder / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()


def publish(run_folder: Path, worker: str) -> bool:
    """Write this process's snapshot; return whether it could be. A full disk makes metrics stale, no more."""
    return _write(run_folder / FOLDER, worker, snapshot())


def retire(run_folder: Path, worker: str) -> None:
    """Keep a dead worker's counts without its gauges, and drop its file."""
    folder = run_folder / FOLDER
    kept = _merged([_read(folder / f"{_RETIRED}.json"), _read(folder / f"{worker}.json")])
    kept = {name: family for name, family in kept.items() if family["type"] != "gauge"}
    if _write(folder, _RETIRED, kept):
        (folder / f"{worker}.json").unlink(missing_ok=True)


def render_all(run_folder: Path) -> bytes:
    """The sum of all workers' snapshots and of this process, in the Prometheus text format."""
    files = sorted((run_folder / FOLDER).glob("*.json"))
    merged = _merged([snapshot(), *map(_read, files)])
    registry = CollectorRegistry()
    registry.register(_Gathered(merged))
    return generate_latest(registry)


class _Gathered(Collector):
    """A merged snapshot as prometheus_client's own values."""

    def __init__(self, merged: Snapshot) -> None:
        self._merged = merged

    def collect(self) -> Iterable[Metric]:
        for name, family in sorted(self._merged.items()):
            metric = Metric(name, family["help"], family["type"])
            for sample, labels, value in family["samples"]:
                metric.add_sample(sample, labels, value)
            yield metric


def _merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Add up samples of the same name and labels. Samples keep their first order: a histogram's buckets ascend."""
    out: Snapshot = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for one in snapshots:
        for name, family in one.items():
            out.setdefault(name, {"type": family["type"], "help": family["help"]})
            into = sums.setdefault(name, {})
            for sample, labels, value in family["samples"]:
                key = (sample, tuple(sorted(labels.items())))
                into[key] = into.get(key, 0.0) + value
    for name, family in out.items():
        family["samples"] = [[sample, dict(labels), value] for (sample, labels), value in sums[name].items()]
    return out


def _read(file: Path) -> Snapshot:
    """A snapshot from disk; an unreadable one counts as empty."""
    try:
        read = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write(folder: Path, name: str, what: Snapshot) -> bool:
    new = folder / f".{name}.new"
    try:
        new.write_text(json.dumps(what), encoding="utf-8")
        new.replace(folder / f"{name}.json")
    except OSError:
        return False
    return True
