"""Recovery codes: each stands once for a code of the authenticator that was lost, over HTTPS alone.

Ten of them, 60 bits each, in consonants that are taken for no digit and spell no word. What is kept of one is a keyed
digest bound to its account, within the account's sealed secrets.
"""

import secrets
from typing import Final

from mssmail.base.ids import AccountId
from mssmail.crypto.keys import KeyRing

COUNT: Final = 10
SIGNS: Final = "BCDFGHJKLMNPQRSTVWXZ"
CHARACTERS: Final = 14
MARK: Final = "\x1f"
"""Stands between a password and a recovery code where both are presented as one text: no password has it in it."""
_GROUPS: Final = ((0, 4), (4, 9), (9, 14))


def generate() -> tuple[str, ...]:
    """New codes, as people read them: `BCDF-GHJKL-MNPQR`."""
    return tuple(_shown("".join(secrets.choice(SIGNS) for _ in range(CHARACTERS))) for _ in range(COUNT))


def _shown(code: str) -> str:
    return "-".join(code[start:end] for start, end in _GROUPS)


def read(typed: str) -> str | None:
    """The code in what was typed, however it was grouped; None where there is none."""
    if len(typed) > 4 * CHARACTERS:
        return None
    code = "".join(c for c in typed.upper() if not c.isspace() and c != "-")
    return code if len(code) == CHARACTERS and all(c in SIGNS for c in code) else None


def digest(keys: KeyRing, account: AccountId, code: str) -> str:
    """For `Secrets.recovery`. `code` as `read` gave it, or as `generate` shows it."""
    plain = code.replace("-", "")
    return keys.digest("recovery", b"%d\0%b" % (account, plain.encode())).hex()
