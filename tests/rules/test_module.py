"""Every module says what it is, and none grows beyond what one idea needs."""

import ast

from tests.rules.source import PRODUCT, ROOT, modules, parsed, place

MAX_LINES = 600
"""The house style asks for about 400; from here on a file is surely two."""
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def test_docstring() -> None:
    """Each module of product and tests opens with a docstring."""
    bare = [place(file) for file in modules(PRODUCT, ROOT / "tests") if not ast.get_docstring(parsed(file))]
    assert bare == []


def test_docstring_says_something() -> None:
    """A room's docstring is a sentence."""
    short = [place(file) for file in modules() if len(ast.get_docstring(parsed(file)) or "") < 25]
    assert short == []


def test_length() -> None:
    """No file is longer than 600 lines."""
    lengths = {
        place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in modules(PRODUCT, ROOT / "tests")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_names() -> None:
    """No file or folder is a drawer."""
    assert [place(file) for file in modules() if DRAWERS & {file.stem, *file.relative_to(ROOT).parts[:-1]}] == []


def test_tests_say_what_must_hold() -> None:
    """Each test has a docstring."""
    bare = [
        place(file, node.lineno)
        for file in modules(ROOT / "tests")
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and file.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert bare == []
