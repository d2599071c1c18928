"""Whatever a file holds, it is read or refused, and nothing else happens."""

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.base.address import Address
from mssmail.base.refusal import Refusal
from mssmail.directory.extract import _PLAIN_ADDRESS, open_rows
from mssmail.directory.model import Kind, search_key
from mssmail.directory.source import Source, Tally


def opened(content: bytes) -> Source:
    return Source("f", "", len(content), io.BytesIO(content), Tally())


VALUES = st.one_of(
    st.sampled_from(["", "8", "810000000017", "10", "C", "PER", "a@h.fr", "1750000001", " ", "|", "\r", "é", "\x85"]),
    st.text(max_size=20),
)


@pytest.mark.parametrize("kind", [Kind.ACTIVITY, Kind.BOXES])
@given(lines=st.lists(st.lists(VALUES, max_size=24), max_size=20))
def test_every_line_is_kept_or_counted(
    activity_header: str, box_header: str, kind: Kind, lines: Sequence[Sequence[str]]
) -> None:
    """Each line that isn't blank makes a row or is counted as skipped, or adds to a row that is there."""
    header = {Kind.ACTIVITY: activity_header, Kind.BOXES: box_header}[kind]
    texts = ["|".join(line) for line in lines]
    content = "\n".join([header, *texts]).encode("utf-8", "surrogatepass")
    source = opened(content)
    rows = open_rows(source, lambda lines, octets: None)
    assert rows.layout.kind is kind
    kept = (
        sum(len(batch) for batch in rows.people())
        if kind is Kind.ACTIVITY
        else sum(len(boxes) for boxes, _ in rows.boxes())
    )
    full = sum(not text.isspace() for text in "\n".join(texts).replace("\r\n", "\n").split("\n") if text)
    if kind is Kind.BOXES:
        assert kept + source.tally.skipped == full
    else:
        assert kept + source.tally.skipped <= full
        assert bool(kept or source.tally.skipped) == bool(full)


@given(st.binary(max_size=2000))
def test_octets_are_read_or_refused(content: bytes) -> None:
    """Arbitrary octets end in rows or in a Refusal."""
    try:
        rows = open_rows(opened(content), lambda lines, octets: None)
    except Refusal:
        return
    list(rows.people() if rows.layout.kind is Kind.ACTIVITY else rows.boxes())


@given(st.from_regex(_PLAIN_ADDRESS, fullmatch=True).filter(lambda text: len(text) <= 64))
def test_plain_address_is_its_own_key(text: str) -> None:
    """What is taken for an address without parsing parses to itself."""
    address = Address.parse(text)
    assert address is not None
    assert address.key == str(address) == text


@given(st.text(max_size=50))
def test_search_key_is_stable(text: str) -> None:
    """A search key has no leading, trailing or double space, and words compare alike in any case."""
    key = search_key(text)
    assert key == " ".join(key.split())
    assert search_key(key) == key
