"""What is shown: tables and progress for people, JSON for programs. Colour and motion only on a terminal."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

PIPE_COLUMNS: Final = 250
"""Where nobody's terminal says how wide: wide enough that no cell is cut."""

Advance = Callable[[float, float | None], None]
"""Tell how far the work has come, and of how much where that is known."""


def console() -> "Console":
    """Standard output, as wide as it is."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def line(text: str) -> None:
    """A line of plain text, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def as_json(content: object) -> None:
    """One JSON document."""
    line(json.dumps(content, ensure_ascii=False, indent=2))


def as_json_lines(items: Iterable[object]) -> None:
    """One JSON document a line."""
    for item in items:
        line(json.dumps(item, ensure_ascii=False, separators=(",", ":")))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table; each row as long as the headings. Cells are plain text: nothing in them is taken for markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for heading in headings:
        shown.add_column(heading, overflow="fold")  # a narrow screen breaks words, and cuts nothing
    for row in rows:
        shown.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    console().print(shown)


def pairs(content: Mapping[str, object]) -> None:
    """Names and values, one a line."""
    width = max(map(len, content), default=0)
    for name, value in content.items():
        line(f"{name:<{width}}  {'' if value is None else printable(str(value))}")


def printable(text: str) -> str:
    """Without control characters: what others wrote must not steer this terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A bar on standard error while the body runs; nothing where that is no terminal. Safe for threads."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, count="")

        def advance(done: float, of: float | None) -> None:
            count = f"{done:,.0f}" if of is None else f"{done / of:.0%}" if of else ""
            bar.update(task, completed=done, total=of, count=count)

        yield advance


def date(at: float | None) -> str:
    """A moment in UTC, to the second, or nothing."""
    from mssmail.base.clock import utc

    return "" if at is None else utc(at).strftime("%Y-%m-%d %H:%M:%SZ")


def size(octets: int) -> str:
    """A size for people, as `1.4 MiB`."""
    number = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
