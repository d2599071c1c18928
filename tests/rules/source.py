"""The repository's own files, for the rules to read."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "mssmail"
SHARED = Path(os.environ.get("MSSMAIL_SHARED") or ROOT.parent / "shared")
"""Where data shared between checkouts lies; rules that read it are content without."""

_NOT_OURS = {".git", ".venv", "var", "dist", "build", "__pycache__"}
_CACHES = {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"}
_TEXTS = {".py", ".md", ".toml", ".lock", ".sh", ".cfg", ".ini", ".yml", ".yaml", ".json", ".txt", ".service", ""}


@cache
def modules(*folders: Path) -> tuple[Path, ...]:
    """All Python files below the folders (the product where none is named)."""
    return tuple(sorted(file for folder in folders or (PRODUCT,) for file in folder.rglob("*.py")))


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository with its text."""
    pending = [ROOT]
    while pending:
        for entry in sorted(pending.pop().iterdir()):
            if entry.is_dir():
                if entry.name not in _NOT_OURS | _CACHES and not entry.is_symlink():
                    pending.append(entry)
            elif entry.suffix in _TEXTS and entry.is_file() and entry.name != ".git":
                try:
                    yield entry, entry.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    continue


def place(file: Path, line: int | None = None) -> str:
    """A file as it is shown in a failure."""
    name = str(file.relative_to(ROOT))
    return name if line is None else f"{name}:{line}"
