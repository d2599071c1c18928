"""How strong a password must be, and what one-time codes and hashes promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssmail.identity import otp
from mssmail.identity.passwords import LEAST_BITS, Passwords, generate, too_weak
from mssmail.identity.strength import bits
from mssmail.settings.model import Auth
from mssmail.settings.units import Octets

LOGIN = "claire.martin@demo.mssante.fr"


@pytest.mark.parametrize(
    "password",
    [
        "",
        "a",
        "password",
        "Password1!",
        "P@ssw0rd2024!",
        "azertyuiop123",
        "1234567890123456",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrstuvwxyz",
        "Claire.Martin.75012",
        "claire.martin@demo.mssante.fr",
        "Pharmacie2024",
        "Soleil75!",
        "31121999",
        "hunter2",
        "Xk9#mQ",
        "motdepassemotdepassemotdepasse",
        "x" * 257,
    ],
)
def test_too_weak(password: str) -> None:
    """Short, repeated, in a row, common or made of the login: refused, in words that don't quote it."""
    why = too_weak(password, LOGIN)
    assert why is not None
    assert not password or len(password) < 4 or password not in why


@pytest.mark.parametrize(
    "password",
    [
        "vrai-Tulipe7-Quai3-ocre",
        "Xk9#mQvT2!z",
        "le canard jaune dort sous le pont",
        "kpwvzhqdtgxrmbn",
        "Œuvre·d'art·№7·bleue",
    ],
)
def test_strong_enough(password: str) -> None:
    """Long or mixed enough: taken."""
    assert too_weak(password, LOGIN) is None


@given(st.text(max_size=60), st.text(max_size=3))
def test_longer_is_never_weaker_by_much(password: str, more: str) -> None:
    """The estimate never goes below nothing, whatever is typed, and a repeated sign adds at most a bit."""
    assert bits(password, LOGIN) >= 0
    assert bits("zz" + "z" * len(more), "") - bits("zz", "") <= len(more)


def test_generated() -> None:
    """Generated passwords differ, pass the rule by far, and never end as if a code followed."""
    made = {generate() for _ in range(50)}
    assert len(made) == 50
    assert all(bits(password, "") >= LEAST_BITS for password in made)
    assert not any(password[-6:].isdigit() for password in made)


def test_hash() -> None:
    """A hash verifies its password alone, says when its parameters are old, and a broken one verifies nothing."""
    passwords = Passwords(Auth(argon2_memory=Octets(8 << 20), argon2_time=1))
    hashed = passwords.hash("right")
    assert passwords.verify(hashed, "right")
    assert not passwords.verify(hashed, "wrong")
    assert not passwords.verify("", "right")
    assert not passwords.verify("$argon2id$broken", "right")
    assert not passwords.needs_rehash(hashed)
    assert Passwords(Auth(argon2_memory=Octets(8 << 20), argon2_time=2)).needs_rehash(hashed)


RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (2_000_000_000, "279037")],
)
def test_rfc_6238_vectors(at: int, code: str) -> None:
    """The codes of RFC 6238 appendix B, cut to six digits, with the step that they belong to."""
    assert otp.code_at(RFC_SECRET, at) == code
    assert otp.step_of(code, RFC_SECRET, at, 0) == at // 30


@pytest.mark.parametrize(
    ("late_s", "drift", "taken"),
    [(0, 0, True), (30, 0, False), (30, 1, True), (60, 1, False), (-30, 1, True), (-60, 1, False)],
)
def test_drift(late_s: int, drift: int, taken: bool) -> None:
    """A code serves as many steps off as the settings bear, either way, and is known by its own step."""
    code = otp.code_at(RFC_SECRET, 3_000_000)
    assert otp.step_of(code, RFC_SECRET, 3_000_000 + late_s, drift) == (100_000 if taken else None)


def test_secret_and_address() -> None:
    """A new secret has 160 bits, and the app's address names issuer and login."""
    secret = otp.new_secret()
    assert len(secret) == 32
    uri = otp.provisioning_uri(secret, LOGIN)
    assert uri == f"otpauth://totp/mssmail:claire.martin%40demo.mssante.fr?secret={secret}&issuer=mssmail"
