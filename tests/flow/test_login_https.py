"""Signing in over HTTPS: grants say nothing there, and a code serves once over all protocols."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mssmail.base.refusal import Reason, Refusal
from tests.support.town import CLAIRE, FAST, Town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    built = Town(tmp_path, replace(FAST, grant_bare_password=True))
    await built.settle_in()
    yield built
    built.close()


async def outcome(town: Town, protocol: str, code: str | None = None) -> Reason | None:
    try:
        await town.enter(CLAIRE, code=code, protocol=protocol)
    except Refusal as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize("first", ["imap", "smtp", "https"])
async def test_code_used_elsewhere(town: Town, first: str) -> None:
    """A code used anywhere, by the same client too, is refused over HTTPS; a new one is taken."""
    code = town.code()
    assert await outcome(town, first, code) is None
    assert await outcome(town, "https", code) is Reason.CREDENTIALS
    town.clock.advance(30)
    assert await outcome(town, "https") is None


@pytest.mark.parametrize("then", ["imap", "smtp"])
async def test_code_used_on_https(town: Town, then: str) -> None:
    """A code used over HTTPS opens nothing elsewhere, and opens no grant."""
    code = town.code()
    assert await outcome(town, "https", code) is None
    assert await outcome(town, then, code) is Reason.CREDENTIALS
    assert town.home.tx().driver.execute("SELECT count(*) FROM grants").fetchone()[0] == 0


async def test_grant_serves_no_https(town: Town) -> None:
    """Within a grant neither its code nor the bare password opens HTTPS, though they do elsewhere."""
    code = town.code()
    for _ in range(2):
        assert await outcome(town, "imap", code) is None
    assert await outcome(town, "imap", "") is None
    assert await outcome(town, "https", code) is Reason.CREDENTIALS
    assert await outcome(town, "https", "") is Reason.CREDENTIALS


async def test_at_once(town: Town) -> None:
    """Of many uses of one code over HTTPS at once, one gets in."""
    code = town.code()
    found = await asyncio.gather(*(outcome(town, "https", code) for _ in range(5)))
    assert sorted(found, key=str) == sorted([None, *[Reason.CREDENTIALS] * 4], key=str)
