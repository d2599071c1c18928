"""The difference of two snapshots."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mssmail.base.clock import FakeClock
from mssmail.base.refusal import Reason, Refusal
from mssmail.directory.compare import Difference
from mssmail.directory.model import Profession
from mssmail.directory.snapshot import import_extracts, previous_path

Line = Callable[..., str]
Write = Callable[..., Path]


def test_difference(
    target: Path, write: Write, activity_header: str, box_header: str, person: Line, box: Line, clock: FakeClock
) -> None:
    """Who came, who is gone, whose profession changed; which boxes came, are gone, have another holder."""
    a, b, c, d = "810000000017", "810000000025", "810000000033", "810000000041"
    import_extracts(
        target,
        [
            write("a.txt", [activity_header, person(a), person(b), person(c)]),
            write("b.txt", [box_header, box("a@h.fr", a), box("b@h.fr", b), box("c@h.fr", c), box("c@h.fr", b)]),
        ],
        clock=clock,
    )
    import_extracts(
        target,
        [
            write("c.txt", [activity_header, person(a), person(c, code="21"), person(d)]),
            write("d.txt", [box_header, box("a@h.fr", d), box("c@h.fr", c), box("d@h.fr", d)]),
        ],
        clock=clock,
        allow_shrink=True,
    )
    with Difference(previous_path(target), target) as difference:
        assert list(difference.struck_off()) == [b]
        assert list(difference.registered()) == [d]
        assert list(difference.professions_changed()) == [(c, (Profession("10", "C"),), (Profession("21", "C"),))]
        assert list(difference.boxes_gone()) == ["b@h.fr"]
        assert list(difference.boxes_new()) == ["d@h.fr"]
        assert list(difference.boxes_moved()) == ["a@h.fr"]
    with Difference(target, target) as difference:
        assert list(difference.struck_off()) == list(difference.boxes_moved()) == []


def test_other_files_are_refused(
    target: Path, write: Write, activity_header: str, person: Line, clock: FakeClock
) -> None:
    """Neither side may be anything but a snapshot."""
    import_extracts(target, [write("a.txt", [activity_header, person("810000000017")])], clock=clock)
    for old, new in ((target, target.parent / "none"), (write("x", ["rubbish"]), target)):
        with pytest.raises(Refusal) as refused:
            Difference(old, new)
        assert refused.value.reason is Reason.UNAVAILABLE
