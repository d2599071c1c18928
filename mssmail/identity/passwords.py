"""Passwords: their hashes (Argon2id), how strong one must be, and how one is made up.

Knows nothing of accounts. Hashing takes some 17 ms and its memory: call it in the password executor, never on the
loop. Texts are prepared (base.saslprep) by the caller.
"""

import secrets
import string
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from mssmail.identity.strength import bits
from mssmail.settings.model import KIB, Auth

LEAST_BITS: Final = 50
"""CNIL 2022-100, second case: with restriction of attempts."""
MAX_CHARACTERS: Final = 256
GENERATED_CHARACTERS: Final = 16
_ALPHABET: Final = "".join(c for c in string.ascii_letters + string.digits if c not in "0O1lI")
"""No signs that are taken for one another when a password is read aloud or from paper."""


class Passwords:
    """Argon2id with the settings' parameters. Safe for threads."""

    __slots__ = ("_dummy", "_hasher")

    def __init__(self, auth: Auth) -> None:
        self._hasher = PasswordHasher(
            time_cost=auth.argon2_time,
            memory_cost=auth.argon2_memory // KIB,
            parallelism=auth.argon2_parallelism,
        )
        self._dummy: str | None = None

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False

    def prepare(self) -> None:
        """Make what `verify_nothing` needs, so that not even the first unknown login takes another time."""
        self._dummy = self._hasher.hash(secrets.token_hex(16))

    def verify_nothing(self, password: str) -> None:
        """Take the time that `verify` takes, so that an unknown login can't be told from a wrong password."""
        assert self._dummy is not None
        self.verify(self._dummy, password)

    def needs_rehash(self, hashed: str) -> bool:
        """Whether it was made with other parameters than the settings' present ones."""
        return self._hasher.check_needs_rehash(hashed)


def too_weak(password: str, login: str) -> str | None:
    """Why a password may not be set, in words for an administrator that don't quote it; None where it may.

    `login`: the address it opens, whose words don't count.
    """
    if len(password) > MAX_CHARACTERS:
        return f"at most {MAX_CHARACTERS} characters"
    found = bits(password, login)
    if found < LEAST_BITS:
        return f"some {found:.0f} bits of entropy, at least {LEAST_BITS} are asked for (CNIL 2022-100): make it longer"
    return None


def generate() -> str:
    """A random password of 93 bits that can be read aloud; it never ends in six digits, as if a code followed."""
    while True:
        made = "".join(secrets.choice(_ALPHABET) for _ in range(GENERATED_CHARACTERS))
        if not made[-1].isdigit() and too_weak(made, "") is None:
            return made
