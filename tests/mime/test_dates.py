"""Dates are read as senders write them and written as RFC 5322 says."""

import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.mime import dates

PARIS = timezone(timedelta(hours=1))
NEW_YORK = timezone(timedelta(hours=-5))
READ: list[tuple[bytes, datetime | None]] = [
    (b"Mon, 05 Jan 2026 12:00:00 +0100", datetime(2026, 1, 5, 12, tzinfo=PARIS)),
    (b"5 Jan 2026 12:00 +0100", datetime(2026, 1, 5, 12, tzinfo=PARIS)),
    (b"Mon,5 jan 2026 12:00:00 +0100 (CET)", datetime(2026, 1, 5, 12, tzinfo=PARIS)),
    (b"Mon (day), 5 (x) Jan 2026 12:00:00 +0100", datetime(2026, 1, 5, 12, tzinfo=PARIS)),
    (b"Tue, 05 January 2026 12:00:00 EST", datetime(2026, 1, 5, 12, tzinfo=NEW_YORK)),
    (b"05 Jan 26 12:00:00 GMT", datetime(2026, 1, 5, 12, tzinfo=UTC)),
    (b"05 Jan 97 12:00:00 UT", datetime(1997, 1, 5, 12, tzinfo=UTC)),
    (b"05 Jan 126 12:00:00 Z", datetime(2026, 1, 5, 12, tzinfo=UTC)),
    (b"05-Jan-2026 12:00:00 -0500", datetime(2026, 1, 5, 12, tzinfo=NEW_YORK)),
    (b"05 Jan 2026 12:00:60 A", datetime(2026, 1, 5, 12, 0, 59, tzinfo=UTC)),
    (b"05 Jan 2026 12:00:00", datetime(2026, 1, 5, 12, tzinfo=UTC)),
    (b"05 Jan 2026", datetime(2026, 1, 5, tzinfo=UTC)),
    (b"", None),
    (b"yesterday", None),
    (b"32 Jan 2026 12:00:00 +0000", None),
    (b"05 Foo 2026 12:00:00 +0000", None),
    (b"05 Jan 2026 25:00:00 +0000", None),
    (b"05 Jan 2026 12:00:00 +9999", None),
    (b"05 Jan 0000 12:00:00 +0000", None),
    (b"05 Jan 2026 12:00:00 +0000" + b" " * 1000, None),
]


@pytest.mark.parametrize(("value", "expected"), READ)
def test_parse(value: bytes, expected: datetime | None) -> None:
    """The moment and its zone are read; what can't be a date is none."""
    found = dates.parse(value)
    assert found == expected
    if found is not None and expected is not None:
        assert found.utcoffset() == expected.utcoffset()


_NAIVE = st.datetimes(datetime(1900, 1, 1), datetime(9999, 1, 1))  # noqa: DTZ001 - each gets a zone below
TIMES = _NAIVE.flatmap(
    lambda at: st.integers(-14 * 60, 14 * 60).map(
        lambda minutes: at.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    )
)


@given(TIMES)
def test_what_is_written_is_read(at: datetime) -> None:
    """A written date is what the standard library writes, and reads back as the same moment in the same zone."""
    written = dates.format_date(at)
    assert written.decode() == email.utils.format_datetime(at)
    found = dates.parse(written)
    assert found == at
    assert found.utcoffset() == at.utcoffset()


def test_a_naive_time_is_refused() -> None:
    """Without a zone there is nothing to write."""
    with pytest.raises(ValueError, match="naive"):
        dates.format_date(datetime(2026, 1, 5))  # noqa: DTZ001 - that is the case


@given(st.binary(max_size=60))
def test_any_octets(value: bytes) -> None:
    """Nothing fails."""
    found = dates.parse(value)
    assert found is None or found.tzinfo is not None
