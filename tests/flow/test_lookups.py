"""Look-ups that share reads give what each alone would have given."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason, Refusal
from mssmail.flow import lookups
from mssmail.flow.lookups import Lookups
from mssmail.store import accounts
from mssmail.store.interface import Transaction
from tests.support.houses import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    built = Home(tmp_path)
    yield built
    built.close()


def digest(home: Home, local: str) -> bytes:
    return home.house.keys.digest("address", f"{local}@demo.mssante.fr".encode())


async def test_each_its_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks, together or in turn, gets the rows asked for, in order, in few reads."""
    people = [home.add_account(f"p{n}") for n in range(5)]
    digests = [digest(home, f"p{n}") for n in range(5)]
    reads: list[int] = []
    run = home.house.read.run

    async def counted(work):  # type: ignore[no-untyped-def]
        reads.append(1)
        return await run(work)

    monkeypatch.setattr(home.house.read, "run", counted)
    monkeypatch.setattr(lookups, "MAX_SHARING", 30)
    found = Lookups(home.house)
    asked = [[digests[n % 5], None, digest(home, "nobody"), digests[(n + 1) % 5]] for n in range(50)]
    answers = await asyncio.gather(*(found.rows(each) for each in asked))
    for n, rows in enumerate(answers):
        numbers = [None if row is None else row.account_id for row in rows]
        assert numbers == [people[n % 5].account, None, None, people[(n + 1) % 5].account]
    assert len(reads) == 3
    assert await found.rows([None, None]) == [None, None]
    assert len(reads) == 3
    (row,) = await found.rows([digests[0]])
    assert row is not None


async def test_failure_is_shared(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is everybody's who shared the read, and the next one is served."""
    found = Lookups(home.house)
    wanted = [digest(home, "p")]

    def broken(tx: Transaction, asked: bytes) -> None:
        raise Refusal(Reason.UNAVAILABLE, "away")

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "by_address", broken)
        outcomes = await asyncio.gather(*(found.rows(wanted) for _ in range(4)), return_exceptions=True)
    assert [isinstance(each, Refusal) and each.reason for each in outcomes] == [Reason.UNAVAILABLE] * 4
    assert await found.rows(wanted) == [None]
