"""Sequence sets and UID sets as IMAP spells them, to and from base.ranges. Bounded: a set's cost is its ranges'."""

import re

from mssmail.base.ranges import Ranges, merge
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import UINT32_MAX

MAX_RANGES = 16_384
"""A 64 KiB line of scattered five-digit UIDs has about 11,000."""

_ELEMENT = re.compile(rb"(?:\*|[1-9][0-9]{0,9})(?::(?:\*|[1-9][0-9]{0,9}))?\Z")


def parse(octets: bytes) -> Ranges:
    """Read a whole sequence-set, in any order, overlapping or not.

    sequence-set = (seq-number / seq-range) *("," sequence-set)
    seq-range = seq-number ":" seq-number
    seq-number = nz-number / "*"

    Raises ProtocolError: SYNTAX, TOO_MANY.
    """
    if octets.count(b",") >= MAX_RANGES:
        raise ProtocolError(Fault.TOO_MANY, "too many ranges in a sequence set")
    return merge(_element(element) for element in octets.split(b","))


def _element(octets: bytes) -> tuple[int, int]:
    if _ELEMENT.match(octets) is None:
        raise ProtocolError(Fault.SYNTAX, "not a sequence set")
    first, colon, second = octets.partition(b":")
    low = _number(first)
    high = _number(second) if colon else low
    if low == 0 or high == 0:
        return max(low, high), 0  # `*:5` is `5:*`, `*:*` is `*`
    return (low, high) if low <= high else (high, low)


def _number(octets: bytes) -> int:
    if octets == b"*":
        return 0
    number = int(octets)
    if number > UINT32_MAX:
        raise ProtocolError(Fault.SYNTAX, "a number exceeds 32 bits")
    return number


def encode(ranges: Ranges) -> bytes:
    """Spell ranges, one at least, as `parse` reads them."""
    return ",".join(_spell(low, high) for low, high in ranges).encode()


def _spell(low: int, high: int) -> str:
    if low == high:
        return str(low) if low else "*"
    return f"{low}:{high or '*'}"
