"""Preparing logins and passwords for comparison: SASLprep (RFC 4013, a profile of RFC 3454), with its own tables.

Both what is stored and what is presented pass here, so that the same password typed on two keyboards (composed or
decomposed accents, wide digits, odd spaces) compares equal. Unicode 3.2, as the profile says, from the standard
library's `stringprep` and `unicodedata`.
"""

import stringprep
import unicodedata
from collections.abc import Callable

MAX_CHARACTERS = 4096
"""Far above any login, password or code; keeps normalisation of hostile input short."""

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
"""RFC 4013 §2.3."""


def saslprep(text: str) -> str | None:
    """Return the prepared form of `text`, or None where the profile prohibits it or nothing is left.

    A "query" string: code points unassigned in Unicode 3.2 pass (RFC 4013 §2.5), on storing too, or a password with
    a newer sign could be set and never used. None means that verification fails (RFC 4616 §2).
    """
    if not text or len(text) > MAX_CHARACTERS:
        return None
    if text.isascii():
        return text if text.isprintable() else None
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )  # RFC 4013 §2.1
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)  # RFC 4013 §2.2
    if not prepared or any(prohibited(c) for c in prepared for prohibited in _PROHIBITED):
        return None
    return prepared if _reads_one_way(prepared) else None


def _reads_one_way(text: str) -> bool:
    """Check the bidirectional rules of RFC 3454 §6 (RFC 4013 §2.4)."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    if any(map(stringprep.in_table_d2, text)):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
