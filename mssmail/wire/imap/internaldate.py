"""INTERNALDATE on its way out: epoch seconds as IMAP's date-time, in the zone kept beside, asking no locale."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from mssmail.wire.imap.fetch import Rendered

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DAY_S = 86_400
_FIRST_DAY = -719_162
_LAST_DAY = 2_932_896
"""0001-01-01 and 9999-12-31, the days that date-time can spell."""


def item(at_s: int, zone_minutes: int = 0) -> Rendered:
    """`INTERNALDATE "dd-Mon-yyyy hh:mm:ss +zzzz"` of seconds since the epoch; what is out of range is clamped.

    In the zone that APPEND gave, so that the day is the one that SEARCH compares (RFC 3501 §6.4.4).
    """
    day, second = divmod(at_s + 60 * zone_minutes, _DAY_S)
    clamped = min(max(day, _FIRST_DAY), _LAST_DAY)
    hour, rest = divmod(second, 3600)
    return Rendered(
        b'INTERNALDATE "%b %02d:%02d:%02d %b"' % (_day(clamped), hour, *divmod(rest, 60), _zone(zone_minutes))
    )


@lru_cache(maxsize=4096)
def _day(day: int) -> bytes:
    """date-day-fixed "-" date-month "-" date-year"""
    at = _EPOCH + timedelta(days=day)
    return f"{at.day:2d}-{_MONTHS[at.month - 1]}-{at.year:04d}".encode()


@lru_cache(maxsize=256)
def _zone(minutes: int) -> bytes:
    """zone = ("+" / "-") 4DIGIT"""
    hours, rest = divmod(abs(minutes), 60)
    return b"%c%02d%02d" % (b"-" if minutes < 0 else b"+", hours % 100, rest)
