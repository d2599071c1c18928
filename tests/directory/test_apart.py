"""An import in a process of its own does what one in this process does, and ends when told."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory import apart
from mssmail.directory.apart import import_apart, merge_apart
from mssmail.directory.model import SnapshotInfo
from mssmail.directory.snapshot import import_extracts, read_info
from tests.support.origin import Answer, Asked, Origin

Line = Callable[..., str]
Write = Callable[..., Path]


def load(target: Path, files: list[Path], clock: FakeClock) -> SnapshotInfo:
    return import_apart(
        target, files, clock=clock, stop=Event(), allow_shrink=False, refuse_older=False, shrink_limit=0.05
    )


@pytest.fixture
def extract(write: Write, activity_header: str, person: Line) -> Callable[[int], Path]:
    return lambda n: write(f"a{n}.txt", [activity_header, *(person(f"8{k:011d}") for k in range(n))])


def test_same_outcome(target: Path, tmp_path: Path, extract: Callable[[int], Path], clock: FakeClock) -> None:
    """Counts, sources and dates are those of an import here, by this clock; so is a refusal."""
    made = load(target, [extract(30)], clock)
    here = import_extracts(tmp_path / "here.db", [extract(30)], clock=clock)
    assert (made.people, made.sources[0].sha256) == (here.people, here.sources[0].sha256)
    assert made.built_at == pytest.approx(clock.now(), abs=60.0)
    with pytest.raises(Refusal) as refused:
        load(target, [extract(3)], clock)
    assert refused.value.reason is Reason.IMPORT
    assert "3 people where the current directory has 30" in refused.value.detail
    assert read_info(target) == made


def test_stop_kills(target: Path, tmp_path: Path, clock: FakeClock) -> None:
    """Told to stop while the API keeps it waiting, the process is ended, and nothing is in service."""
    stop, release = Event(), Event()

    def answer(asked: Asked) -> Answer:
        stop.set()
        release.wait(30.0)
        return Answer(503)

    origin = Origin(tmp_path / "origin", answer)
    key = tmp_path / "key"
    key.write_text("k")
    with pytest.raises(Refusal, match="stopped"):
        merge_apart(
            target,
            f"{origin.base}/fhir",
            key,
            origin.authority,
            clock=clock,
            stop=stop,
            full=False,
            allow_shrink=False,
            shrink_limit=0.05,
        )
    release.set()
    origin.close()
    assert len(origin.asked) == 1
    assert not target.exists()


@pytest.mark.parametrize("said", [b"", b"garbage", b"[]", b'{"reason": "odd", "detail": ""}', b'{"reason": "import"}'])
def test_child_that_dies(target: Path, said: bytes) -> None:
    """A process that ends without a word is a failure for now."""
    with pytest.raises(Refusal, match="ended with status -9"):
        apart._outcome(target, said, -9)


def test_child_ends_with_its_parent() -> None:
    """A child whose parent is gone ends at once, whatever it was doing."""
    order = {"target": "/nonexistent/x", "now": 0.0, "files": [], "allow_shrink": False, "refuse_older": False}
    script = "import time; from mssmail.directory import apart; apart.do = lambda order: time.sleep(60); apart.main()"
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.write(json.dumps(order).encode() + b"\n")
    child.stdin.close()
    assert child.wait(30) == 1
    assert child.stdout is not None
    child.stdout.close()
