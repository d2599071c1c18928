"""One running demo for all clients of this folder."""

import os
from collections.abc import Iterator

import pytest

from tests.demo_process import DemoProcess
from tests.interop.screen import Screen


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A HOME for clients that will not run without one, where the environment has none."""
    os.environ.setdefault("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A demo with some forty more accounts, so that each test has boxes of its own."""
    with DemoProcess(tmp_path_factory.mktemp("interop") / "data", "--accounts", "40") as running:
        yield running
        _, seconds = running.stop()
        assert seconds < 5
        assert running.errors() == ""


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A screen of the test's own."""
    with Screen() as running:
        yield running
