"""Both event loops for every test here, and a port to talk to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from mssmail.servers.smtp.roles import SUBMITTING
from tests.servers.smtp.harbour import Harbour
from tests.servers.smtp.quay import quay
from tests.support.houses import Home
from tests.support.town import town

__all__ = ["harbour", "home", "quay", "town"]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    built = Home(tmp_path)
    yield built
    built.close()


@pytest.fixture
async def harbour(home: Home) -> AsyncIterator[Harbour]:
    """Both ports over one house."""
    built = Harbour(home)
    await built.open(*SUBMITTING)
    yield built
    await built.close()
