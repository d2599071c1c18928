"""A portal with two browsers: one with Claire's certificate, one without any."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.servers.web.portal import Portal
from tests.support.town import CLAIRE


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    opened = await Portal(tmp_path).open()
    yield opened
    await opened.close()


@pytest.fixture
async def browser(portal: Portal) -> AsyncIterator[httpx.AsyncClient]:
    """Without a certificate."""
    async with portal.browser() as one:
        yield one


@pytest.fixture
async def claire(portal: Portal) -> AsyncIterator[httpx.AsyncClient]:
    """Claire's browser, signed in by her certificate."""
    async with portal.browser(CLAIRE) as one:
        entered = await portal.sign_in_by_certificate(one)
        assert entered.status_code == 303, entered.text
        yield one
