"""The INS matricule, by which citizens' addresses are formed: thirteen signs, and a key of two digits. Pure."""

import re
from typing import Final

_INS: Final = re.compile(r"([0-9]{5})([0-9]{2}|2[ABab])([0-9]{6})([0-9]{2})")
_CORSICA: Final = {"2A": "19", "2B": "18"}
"""The departments whose codes hold a letter, as the key counts them."""


def is_ins(text: str) -> bool:
    """Whether these are fifteen signs whose last two are the key of the others: 97 − (the number mod 97)."""
    m = _INS.fullmatch(text)
    if m is None:
        return False
    department = m[2].upper()
    return int(m[4]) == 97 - int(m[1] + _CORSICA.get(department, department) + m[3]) % 97
