"""Metrics: closed labels, one page for several workers, and no way for a full disk to stop mail."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mssmail.metrics.gather import FOLDER, prepare, publish, render_all, retire
from mssmail.metrics.registry import counter, gauge, histogram, render

ANSWERS = counter("mssmail_test_answers", "Answers of the test.", ("outcome",))
WAITING = gauge("mssmail_test_waiting", "Waiting in the test.")
TOOK = histogram("mssmail_test_seconds", "How long the test took.", ("kind",), buckets=(0.1, 1.0))


def values(page: bytes) -> dict[str, float]:
    lines = page.decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and line[0] != "#"}


@pytest.mark.parametrize("declare", [counter, gauge, histogram])
def test_labels_closed(declare: Callable[..., object]) -> None:
    """A label outside the closed list, or a name of another house, can't be declared."""
    with pytest.raises(ValueError, match="labels outside the closed list"):
        declare("mssmail_test_bad", "Bad.", ("address",))
    with pytest.raises(ValueError, match="starts with mssmail_"):
        declare("test_bad", "Bad.")


def test_render() -> None:
    """A counter shows with its sentence and its count, and without a series for its birth."""
    before = values(render()).get('mssmail_test_answers_total{outcome="yes"}', 0)
    ANSWERS.labels("yes").inc()
    page = render()
    assert values(page)['mssmail_test_answers_total{outcome="yes"}'] == before + 1
    assert b"# HELP mssmail_test_answers_total Answers of the test." in page
    assert b"_created" not in page


def test_gather(tmp_path: Path) -> None:
    """The page of several workers is the sum of theirs; a dead worker's counts stay and its gauges go."""
    prepare(tmp_path)
    ANSWERS.labels("no").inc(3)
    WAITING.set(2)
    TOOK.labels("x").observe(0.5)
    own = values(render())
    assert publish(tmp_path, "1")
    assert publish(tmp_path, "2")
    answers = 'mssmail_test_answers_total{outcome="no"}'
    bucket = 'mssmail_test_seconds_bucket{kind="x",le="1.0"}'
    both = values(render_all(tmp_path))
    assert (both[answers], both["mssmail_test_waiting"], both[bucket]) == (3 * own[answers], 6, 3 * own[bucket])
    retire(tmp_path, "1")
    retire(tmp_path, "2")
    assert [file.name for file in (tmp_path / FOLDER).iterdir()] == ["retired.json"]
    after = values(render_all(tmp_path))
    assert (after[answers], after["mssmail_test_waiting"], after[bucket]) == (3 * own[answers], 2, 3 * own[bucket])


def test_gather_bucket_order(tmp_path: Path) -> None:
    """A gathered histogram's buckets ascend to +Inf, as scrapers want them."""
    prepare(tmp_path)
    TOOK.labels("order").observe(0.5)
    publish(tmp_path, "1")
    lines = [line for line in render_all(tmp_path).decode().splitlines() if 'bucket{kind="order"' in line]
    assert [line.split('le="')[1].split('"')[0] for line in lines] == ["0.1", "1.0", "+Inf"]


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff"])
def test_broken_snapshot(tmp_path: Path, broken: bytes) -> None:
    """A torn snapshot counts as none."""
    prepare(tmp_path)
    (tmp_path / FOLDER / "1.json").write_bytes(broken)
    assert values(render_all(tmp_path)).keys() == values(render()).keys()


def test_unwritable(tmp_path: Path) -> None:
    """Where a snapshot can't be written, the worker goes on."""
    assert publish(tmp_path / "missing", "1") is False
    retire(tmp_path / "missing", "1")


def test_prepare_empties(tmp_path: Path) -> None:
    """A start forgets the counts of the run before."""
    prepare(tmp_path)
    publish(tmp_path, "1")
    assert json.loads((tmp_path / FOLDER / "1.json").read_bytes())
    prepare(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []
