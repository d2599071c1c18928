"""Time is read in one place, the environment in one, and metrics are declared through one."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rules.source import PRODUCT, modules, parsed, place

CLOCK = PRODUCT / "base" / "clock.py"
LOAD = PRODUCT / "settings" / "load.py"
METRICS = PRODUCT / "metrics"

TIME = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "gmtime"}
DATETIME = {"now", "utcnow", "today"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv"}


def reads_time(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="time"), attr=attr):
            return attr in TIME
        case ast.Attribute(value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"), attr=attr):
            return attr in DATETIME
        case ast.ImportFrom(module="time", names=names):
            return any(name.name in TIME for name in names)
    return False


def reads_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=attr):
            return attr in ENVIRONMENT
        case ast.ImportFrom(module="os", names=names):
            return any(name.name in ENVIRONMENT for name in names)
    return False


def imports_prometheus(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module=str(module)):
            return module.split(".")[0] == "prometheus_client"
        case ast.Import(names=names):
            return any(name.name.split(".")[0] == "prometheus_client" for name in names)
    return False


def found(rule: Callable[[ast.AST], bool], but: Path) -> Iterator[str]:
    for file in modules():
        if file != but and but not in file.parents:
            yield from (place(file, getattr(node, "lineno", None)) for node in ast.walk(parsed(file)) if rule(node))


def test_time() -> None:
    """Only base.clock reads the time."""
    assert list(found(reads_time, CLOCK)) == []


def test_environment() -> None:
    """Only settings.load reads the environment."""
    assert list(found(reads_environment, LOAD)) == []


def test_metrics() -> None:
    """Only the metrics room knows the library, so that no label goes unchecked."""
    assert list(found(imports_prometheus, METRICS)) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (reads_time, "time.time()"),
        (reads_time, "from time import monotonic"),
        (reads_time, "datetime.now(UTC)"),
        (reads_time, "datetime.datetime.utcnow()"),
        (reads_time, "date.today()"),
        (reads_environment, "os.environ['X']"),
        (reads_environment, "from os import getenv"),
        (imports_prometheus, "import prometheus_client.metrics"),
        (imports_prometheus, "from prometheus_client import Counter"),
    ],
)
def test_rule_finds(rule: Callable[[ast.AST], bool], text: str) -> None:
    """The rule finds what it is there for."""
    assert any(map(rule, ast.walk(ast.parse(text))))


@pytest.mark.parametrize("rule", [reads_time, reads_environment, imports_prometheus])
def test_rule_spares(rule: Callable[[ast.AST], bool]) -> None:
    """Time handed in, and words that only sound alike, pass."""
    text = "clock.now(); self.time; loop.time(); os.path; time.sleep; datetime.fromtimestamp(0, UTC)"
    assert not any(map(rule, ast.walk(ast.parse(text))))
