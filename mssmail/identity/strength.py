"""How hard a password is to guess: a deliberately low estimate in bits.

CNIL 2022-100 counts length times log2 of the alphabet, for passwords drawn at random. People don't draw at random, so
what is predictable counts less here: each character counts log2 of the alphabet in use, except that
- a character that repeats one of the two before it, or goes on a run (`abc`, `987`, a row of the keyboard), counts 1;
- a common word counts 10 bits in whole however long it is (with `4` for `a` and the like), a word of the login 3;
- a stretch of digits that reads as a date or a year counts 10 bits in whole;
- a character met before in the password counts at most 3.
"""

import math
import re
from itertools import pairwise
from typing import Final

WORD_BITS: Final = 10.0
LOGIN_WORD_BITS: Final = 3.0
RUN_BITS: Final = 1.0
SEEN_BITS: Final = 3.0

_ROWS: Final = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "azertyuiopqsdfghjklmwxcvbn", "qwertyuiopasdfghjklzxcvbnm")
_NEXT: Final = frozenset(pair for row in _ROWS for a, b in pairwise(row) for pair in (a + b, b + a))
_LEET: Final = str.maketrans("@4301!5$7", "aaeoiisst")
_WORDS: Final = frozenset(
    "password passwd motdepasse azerty qwerty admin welcome bonjour bienvenue secret soleil chocolat doudou loulou "
    "marseille paris lyon france medecin docteur pharmacie pharmacien infirmier infirmiere kine cabinet hopital "
    "clinique sante mssante mssmail health doctor nurse hospital master dragon monkey football letmein iloveyou "
    "princess sunshine shadow superman batman login changeme test demo janvier fevrier mars avril juin juillet aout "
    "septembre octobre novembre decembre printemps automne hiver dimanche lundi mardi mercredi jeudi vendredi samedi "
    "nicolas camille julien thomas marie sophie claire martin bernard dubois durand michel pierre philippe".split()
)
_DATE: Final = re.compile(r"(?:19|20)\d\d|(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)?\d\d")
_CLASSES: Final = (
    (str.islower, 26),
    (str.isupper, 26),
    (str.isdecimal, 10),
)
_OTHER_SIGNS: Final = 33
"""Printable ASCII signs that are neither letter nor digit, the space among them."""


def bits(password: str, login: str) -> float:
    """Estimate a password's entropy in bits; words of `login` (an address) count as common ones. Linear in length."""
    each = math.log2(_alphabet(password)) if password else 0.0
    lower = password.lower()
    whole = _wholes(lower, login)
    total, at, seen = 0.0, 0, set[str]()
    while at < len(lower):
        length, cost = whole.get(at, (0, 0.0))
        if length:
            total += min(cost, length * each)
        else:
            length = 1
            total += _character(lower, at, each, seen)
        seen.update(lower[at : at + length])
        at += length
    return total


def _character(lower: str, at: int, each: float, seen: set[str]) -> float:
    this, before = lower[at], lower[max(0, at - 2) : at]
    if this in before or (before and before[-1] + this in _NEXT):
        return RUN_BITS
    return min(SEEN_BITS, each) if this in seen else each


def _alphabet(password: str) -> int:
    size = sum(count for test, count in _CLASSES if any(map(test, password)))
    return size + (_OTHER_SIGNS if any(not c.isalnum() or not c.isascii() for c in password) else 0) or _OTHER_SIGNS


def _wholes(lower: str, login: str) -> dict[int, tuple[int, float]]:
    """Where a predictable stretch begins, how long it is and what it counts; the longest at each place."""
    costs = dict.fromkeys(_WORDS, WORD_BITS)
    costs |= dict.fromkeys((w for w in re.split(r"[^a-z0-9]+", login.lower()) if len(w) >= 4), LOGIN_WORD_BITS)
    plain = lower.translate(_LEET)
    found = {m.start(): (len(m[0]), WORD_BITS) for m in _DATE.finditer(lower)}
    for word, cost in costs.items():
        for text in (plain, lower):
            at = text.find(word)
            while at >= 0:
                if len(word) > found.get(at, (0, 0.0))[0]:
                    found[at] = len(word), cost
                at = text.find(word, at + 1)
    return found
