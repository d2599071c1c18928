"""The INS, by which patients are known: the matricule, its key, and patients' identifiers as messages carry them. Pure.

A matricule is thirteen signs and a key of two digits; citizens' addresses are formed by it.
"""

import re
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

_MATRICULE: Final = re.compile(r"([0-9]{5})([0-9]{2}|2[ABab])([0-9]{6})([0-9]{2})?")
_CORSICA: Final = {"2A": "19", "2B": "18"}
"""The departments whose codes hold a letter, as the key counts them."""
_CALCULATED: Final = re.compile(r"[0-9]{22}")


@unique
class Scheme(Enum):
    """Whose numbers these are; the same number of another scheme is another patient."""

    INS = "ins"
    """The national one, be it a NIR or, while that is waited for, a NIA."""
    TEST = "ins-test"
    """Of people who don't exist."""
    CALCULATED = "ins-c"
    """INS-C, the national one's predecessor, in older documents."""


AUTHORITIES: Final = {
    "1.2.250.1.213.1.4.8": Scheme.INS,  # NIR
    "1.2.250.1.213.1.4.9": Scheme.INS,  # NIA
    "1.2.250.1.213.1.4.10": Scheme.TEST,
    "1.2.250.1.213.1.4.11": Scheme.TEST,
    "1.2.250.1.213.1.4.2": Scheme.CALCULATED,
}
"""By the OID of who gives the number."""


@dataclass(frozen=True, slots=True, repr=False)
class PatientId:
    """Who a patient is, as another identifier of theirs compares. Doesn't print the number."""

    scheme: Scheme
    number: str
    """In full, in capitals: of INS and TEST fifteen signs, of CALCULATED twenty-two digits."""

    @property
    def key(self) -> str:
        """The form by which patients are hashed."""
        return f"{self.scheme.value}:{self.number}"

    def __repr__(self) -> str:
        return f"PatientId({self.scheme.value} …)"


def is_ins(text: str) -> bool:
    """Whether these are fifteen signs whose last two are the key of the others: 97 − (the number mod 97)."""
    m = _MATRICULE.fullmatch(text)
    return m is not None and m[4] is not None and int(m[4]) == _key(m)


def _key(m: re.Match[str]) -> int:
    department = m[2].upper()
    return 97 - int(m[1] + _CORSICA.get(department, department) + m[3]) % 97


def patient(authority: str, number: str) -> PatientId | None:
    """The patient of a number that an authority gave, its key added where it isn't there.

    None where the authority gives no INS, or never gave that number.
    """
    scheme = AUTHORITIES.get(authority)
    if scheme is None:
        return None
    plain = "".join(number.split()).upper()
    if scheme is Scheme.CALCULATED:
        return PatientId(scheme, plain) if _CALCULATED.fullmatch(plain) else None
    m = _MATRICULE.fullmatch(plain)
    if m is None or (m[4] is not None and int(m[4]) != _key(m)):
        return None
    return PatientId(scheme, plain if m[4] is not None else f"{plain}{_key(m):02}")
