"""An import or a merge in a process of its own, so that a server beside it keeps its memory and its pace.

A whole country takes 15 s of computing and 300 MB, which a worker's sessions would wait for and its heap would keep.
Knows how the order is given and the outcome told, as one line of JSON each; what is done is in `snapshot` and `merge`.

The child ends with its parent: it watches its standard input, which the parent holds open. Run it as
`python -m mssmail.directory.apart`; it reads no settings, and no secret passes but the name of the key's file.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Final

from mssmail.base.clock import Clock, SystemClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.fhir import connected
from mssmail.directory.merge import merge
from mssmail.directory.model import SnapshotInfo
from mssmail.directory.snapshot import import_extracts, read_info

POLL_S: Final = 0.05
NICENESS: Final = 10
"""Mail goes before the directory."""

Order = Mapping[str, str | float | bool | list[str] | None]


def import_apart(
    target: Path,
    files: Sequence[Path],
    *,
    clock: Clock,
    stop: Event,
    allow_shrink: bool,
    refuse_older: bool,
    shrink_limit: float,
) -> SnapshotInfo:
    """`import_extracts` in a process of its own, ended where `stop` is set. Blocks. Raises as it does."""
    order: Order = {
        "files": [str(file) for file in files],
        "allow_shrink": allow_shrink,
        "refuse_older": refuse_older,
        "shrink_limit": shrink_limit,
    }
    return _have_done(target, order, clock, stop)


def merge_apart(
    target: Path,
    base: str,
    key: Path,
    authorities: Path | None,
    *,
    clock: Clock,
    stop: Event,
    full: bool,
    allow_shrink: bool,
    shrink_limit: float,
) -> SnapshotInfo:
    """`merge` with the API at `base` in a process of its own, ended where `stop` is set. Blocks. Raises as it does."""
    order: Order = {
        "base": base,
        "key": str(key),
        "authorities": None if authorities is None else str(authorities),
        "full": full,
        "allow_shrink": allow_shrink,
        "shrink_limit": shrink_limit,
    }
    return _have_done(target, order, clock, stop)


def _have_done(target: Path, order: Order, clock: Clock, stop: Event) -> SnapshotInfo:
    line = json.dumps({"target": str(target), "now": clock.now(), **order})
    try:
        child = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is the parent's to answer
        )
    except OSError as e:
        raise Refusal(Reason.UNAVAILABLE, f"{target.name}: no process for it: {e.strerror}") from e
    with child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(line.encode() + b"\n")
            child.stdin.flush()
            while child.poll() is None:
                if stop.wait(POLL_S):
                    raise Refusal(Reason.UNAVAILABLE, f"{target.name}: stopped")
            said = child.stdout.read()
        except OSError:
            said = b""
        finally:
            child.kill()
    return _outcome(target, said, child.returncode)


def _outcome(target: Path, said: bytes, status: int | None) -> SnapshotInfo:
    try:
        outcome = json.loads(said)
        reason = outcome["reason"] and Reason(outcome["reason"])
        detail = str(outcome["detail"])
    except (ValueError, KeyError, TypeError):
        raise Refusal(Reason.UNAVAILABLE, f"{target.name}: its process ended with status {status}") from None
    if reason:
        raise Refusal(reason, detail)
    return read_info(target)


class _Onward:
    """A clock that goes on from where the parent's stood."""

    def __init__(self, now: float) -> None:
        self._system = SystemClock()
        self._ahead = now - self._system.monotonic()

    def now(self) -> float:
        return self._ahead + self._system.monotonic()

    def monotonic(self) -> float:
        return self._system.monotonic()


def do(order: Mapping[str, object]) -> SnapshotInfo:
    """Carry out an order, in the child. Raises Refusal."""
    target, clock = Path(str(order["target"])), _Onward(float(str(order["now"])))
    allow_shrink, shrink_limit = bool(order["allow_shrink"]), float(str(order["shrink_limit"]))
    files = order.get("files")
    if isinstance(files, list):
        return import_extracts(
            target,
            [Path(file) for file in files],
            clock=clock,
            allow_shrink=allow_shrink,
            refuse_older=bool(order["refuse_older"]),
            shrink_limit=shrink_limit,
        )
    authorities = order["authorities"]
    where = None if authorities is None else Path(str(authorities))
    with connected(str(order["base"]), Path(str(order["key"])), clock, Event(), where) as api:
        return merge(
            target,
            api,
            clock=clock,
            full=bool(order["full"]),
            allow_shrink=allow_shrink,
            shrink_limit=shrink_limit,
        )


def main() -> None:
    """The child's life: an order in, an outcome out."""
    order = json.loads(sys.stdin.buffer.readline())
    Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    try:
        do(order)
        outcome = {"reason": "", "detail": ""}
    except Refusal as refusal:
        outcome = {"reason": refusal.reason.value, "detail": refusal.detail}
    sys.stdout.write(json.dumps(outcome))


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main()
