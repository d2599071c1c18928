"""The Date header: read tolerantly, written strictly (RFC 5322 §3.3, §4.3). Knows no clock."""

import re
from datetime import UTC, datetime, timedelta, timezone

from mssmail.mime.comments import uncomment

_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DAY_NAMES = "Mon Tue Wed Thu Fri Sat Sun".split()
_ZONES = {
    b"ut": 0, b"utc": 0, b"gmt": 0, b"z": 0, b"edt": -4, b"est": -5, b"cdt": -5, b"cst": -6, b"mdt": -6, b"mst": -7,
    b"pdt": -7, b"pst": -8, b"cet": 1, b"cest": 2, b"bst": 1, b"wet": 0, b"west": 1, b"eet": 2, b"eest": 3,
}  # fmt: skip
"""RFC 5322 §4.3, and the European names that senders write; any other name means -0000, as §4.3 says."""
_DATE = re.compile(
    rb"\s*(?:[A-Za-z]{2,12}\.?\s*,?\s*)?(\d{1,2})[\s\-]+([A-Za-z]{3})[a-z]*\.?[\s\-]+(\d{2,4})"
    rb"(?:,?\s+(\d{1,2})\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2}))?(?:\.\d+)?(?:\s*([+\-]\d{4})|\s+([A-Za-z]{1,5}))?)?"
)
_MAX_OCTETS = 256
"""A date is some thirty octets; comments may follow."""


def parse(value: bytes) -> datetime | None:
    """The aware time of a Date header, in its own zone; None where it can't be made out.

    Two-digit years below 50 are of this century, three-digit ones count from 1900 (RFC 5322 §4.3); a second 60 is 59.
    """
    if len(value) > _MAX_OCTETS:
        return None
    if (m := _DATE.match(uncomment(value) if b"(" in value else value)) is None:
        return None
    day, month_name, year_digits, hour, minute, second, offset, zone = m.groups()
    if (month := _MONTHS.get(month_name.lower())) is None:
        return None
    year = int(year_digits)
    if len(year_digits) < 4:
        year += 2000 if year < 50 and len(year_digits) == 2 else 1900
    try:
        return datetime(
            year, month, int(day), int(hour or 0), int(minute or 0), min(59, int(second or 0)), 0, _zone(offset, zone)
        )
    except (ValueError, OverflowError):
        return None


def _zone(offset: bytes | None, name: bytes | None) -> timezone:
    if offset is not None and offset not in (b"+0000", b"-0000"):
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        return timezone(timedelta(minutes=-minutes if offset[:1] == b"-" else minutes))
    if name is not None and (hours := _ZONES.get(name.lower(), 0)):
        return timezone(timedelta(hours=hours))
    return UTC


def format_date(at: datetime) -> bytes:
    """Spell an aware time as a Date header, `Mon, 05 Jan 2026 12:00:00 +0100`, whatever the locale."""
    offset = at.utcoffset()
    if offset is None:
        raise ValueError("a naive time has no zone to write")
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    return (
        f"{_DAY_NAMES[at.weekday()]}, {at.day:02d} {_MONTH_NAMES[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} {sign}{hours:02d}{minutes:02d}"
    ).encode()
