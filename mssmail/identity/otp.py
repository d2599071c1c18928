"""One-time codes by time (RFC 6238) in authenticator apps: six digits, 30 seconds, SHA-1, which all of them speak.

Knows codes and steps; never whether a step was used before, which is a matter of the store.
"""

import hmac
from collections.abc import Iterable
from typing import Final

import pyotp

STEP_S: Final = 30
DIGITS: Final = 6
ISSUER: Final = "mssmail"


def new_secret() -> str:
    """A random secret in base32, of 160 bits (RFC 4226 §4, R6)."""
    return pyotp.random_base32()


def step_of(code: str, secret: str, now: float, drift: int) -> int | None:
    """The step whose code this is, at most `drift` steps from now either way; of two, the nearer. None for none.

    Always computes every code of the window, so that the time taken says nothing.
    """
    current = int(now) // STEP_S
    nearest_first = sorted(range(current - drift, current + drift + 1), key=lambda step: abs(step - current))
    return step_among(code, secret, nearest_first)


def step_among(code: str, secret: str, steps: Iterable[int]) -> int | None:
    """The first of `steps` whose code this is, or None."""
    totp = pyotp.TOTP(secret)
    found: int | None = None
    for step in steps:
        if step >= 0 and hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()) and found is None:
            found = step
    return found


def code_at(secret: str, now: float) -> str:
    """The code that an authenticator shows at that time."""
    return pyotp.TOTP(secret).generate_otp(int(now) // STEP_S)


def provisioning_uri(secret: str, login: str) -> str:
    """The `otpauth://` address that an authenticator app reads, as a QR code as a rule. It holds the secret."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)
