"""A town for every test here, and what Argon2 was run for."""

import pytest

from mssmail.identity.authenticate import Door as PasswordDoor
from tests.support.relays import anne, post
from tests.support.town import town

__all__ = ["anne", "hashes", "post", "town"]


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The proofs that Argon2 was run for."""
    seen: list[str] = []
    prove = PasswordDoor.prove

    def spy(self: PasswordDoor, *given: object) -> object:
        found = prove(self, *given)  # type: ignore[arg-type]
        seen.append(found.proof.value)
        return found

    monkeypatch.setattr(PasswordDoor, "prove", spy)
    return seen
