"""`mssmail directory`: loading the national extracts, and what the directory in service says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, REFUSED, UNUSABLE, Desk, Stop, act, address_of, by

if TYPE_CHECKING:
    from mssmail.flow import consult
    from mssmail.flow.refresh import Progress, SnapshotInfo

app = typer.Typer(
    name="directory", no_args_is_help=True, rich_markup_mode=None, help="The health directory: who is registered."
)


@app.command(name="import")
def import_(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Extracts as published, .txt or .zip.")],
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Take them although they lack more rows than directory.shrink_limit.")
    ] = False,
    json: JSON = False,
) -> None:
    """Load extracts: checked whole, then put in service; a bad file changes nothing."""
    from mssmail.flow.refresh import Refresh

    with screen.progress("importing") as advance:

        def on_progress(p: "Progress") -> None:
            advance(p.octets_read, p.octets)

        async def work(desk: Desk) -> "SnapshotInfo":
            refresh = Refresh(desk.house, desk.standing, by())
            return await refresh.load(files, allow_shrink=allow_shrink, on_progress=on_progress)

        info = act(ctx, work)
    _show(info, json=json)


@app.command()
def rollback(ctx: typer.Context, json: JSON = False) -> None:
    """Put the directory before this one in service again."""
    from mssmail.flow.refresh import Refresh

    async def work(desk: Desk) -> "SnapshotInfo":
        return await Refresh(desk.house, desk.standing, by()).roll_back()

    _show(act(ctx, work), json=json)


@app.command()
def refresh(
    ctx: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Ask the API for everything, as the first time.")] = False,
    allow_shrink: Annotated[
        bool,
        typer.Option("--allow-shrink", help="Take what is there although it lacks more than directory.shrink_limit."),
    ] = False,
    json: JSON = False,
) -> None:
    """Ask directory.source and directory.fhir now for what is new, and put it in service."""
    from mssmail.flow.renewal import Renewal

    async def work(desk: Desk) -> "list[SnapshotInfo]":
        renewal = Renewal(desk.house, desk.standing, by())
        try:
            if not renewal.follows:
                raise Stop(UNUSABLE, "directory.source and directory.fhir are empty: there is nowhere to ask")
            return await renewal.now(full=full, allow_shrink=allow_shrink)
        finally:
            renewal.close()

    made = act(ctx, work)
    if made:
        _show(made[-1], json=json)
    elif json:
        screen.as_json(None)
    else:
        screen.line("nothing new")


@app.command()
def diff(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=0, help="How many of each kind of change to list.")] = 20,
    json: JSON = False,
) -> None:
    """Compare the directory in service with the one before it: who is gone or new, which boxes changed."""
    from mssmail.flow import consult

    async def work(desk: Desk) -> consult.Changes:
        return consult.changes(desk.house, limit)

    found = act(ctx, work)
    if json:
        listed = {c.kind: {"count": c.count, "first": list(c.first)} for c in found.changes}
        screen.as_json({"before": found.before, "now": found.now, "changes": listed})
        return
    screen.line(f"from {screen.date(found.before)} to {screen.date(found.now)}")
    rows = [
        (c.kind, c.count, "\n".join(c.first) + ("\n…" if c.count > len(c.first) > 0 else "")) for c in found.changes
    ]
    screen.table(("change", "count", "first of them"), rows)


@app.command()
def status(ctx: typer.Context, json: JSON = False) -> None:
    """Show what is in service: counts, files, and lines that were left out, by reason."""

    async def work(desk: Desk) -> "SnapshotInfo":
        return desk.house.directory.info()

    _show(act(ctx, work), json=json)


def _show(info: "SnapshotInfo", *, json: bool) -> None:
    sources = [
        {
            "kind": s.kind.value,
            "file": s.name,
            "sha256": s.sha256,
            "imported_at": s.imported_at,
            "dated_at": s.dated_at,
            "rows": s.rows,
            "kept": s.kept,
            "skipped": s.skipped,
            "faults": [{"fault": f.fault.value, "count": f.count, "first_line": f.first_line} for f in s.faults],
        }
        for s in info.sources
    ]
    if json:
        counts = {"people": info.people, "structures": info.structures, "boxes": info.boxes}
        screen.as_json({"version": info.version, "built_at": info.built_at, **counts, "sources": sources})
        return
    screen.line(f"{info.people} people, {info.structures} structures, {info.boxes} boxes; {screen.date(info.built_at)}")
    rows = (
        (s.kind.value, s.name, screen.date(s.dated_at), screen.date(s.imported_at), s.rows, s.kept, s.skipped)
        for s in info.sources
    )
    screen.table(("kind", "file", "dated", "imported", "lines", "kept", "left out"), rows)
    for s in info.sources:
        for f in s.faults:
            screen.line(f"{s.name}: {f.count} × {f.fault.value}, first in line {f.first_line}")


@app.command()
def show(
    ctx: typer.Context,
    who: Annotated[str, typer.Argument(metavar="ID|ADDRESS", help="National id, structure id or mail address.")],
    json: JSON = False,
) -> None:
    """Show what the directory says of a professional, a structure or an address."""
    from mssmail.flow import consult

    async def work(desk: Desk) -> list[consult.Entry]:
        return consult.entries(desk.house, who)

    found = act(ctx, work)
    if not found:
        raise Stop(REFUSED, f"{who}: not in the directory")
    _show_entries(found, json=json)


@app.command()
def search(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORD…", help="Beginnings of names, or of an address.")],
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: JSON = False,
) -> None:
    """Find people, structures and boxes; red-listed boxes aren't found."""
    from mssmail.flow import consult

    async def work(desk: Desk) -> list[consult.Entry]:
        return consult.search(desk.house, " ".join(words), limit)

    found = act(ctx, work)
    if not found and not json:
        raise Stop(REFUSED, "nobody found")
    _show_entries(found, json=json)


def _show_entries(found: "list[consult.Entry]", *, json: bool) -> None:
    if json:
        screen.as_json([e.as_json() for e in found])
        return
    rows = ((e.kind, e.identity, e.name, " ".join(e.professions), "\n".join(e.boxes)) for e in found)
    screen.table(("kind", "id", "name", "professions", "boxes"), rows)


@app.command()
def check(
    ctx: typer.Context,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="As a sender would write them.")],
    json: JSON = False,
) -> None:
    """Tell what the gate would say of recipients; status 1 where it refuses one. Nothing is sent."""
    from mssmail.base.refusal import Refusal
    from mssmail.flow.gate import Gate

    boxes = [address_of(address) for address in addresses]

    async def work(desk: Desk) -> list[str]:
        decided = await Gate(desk.house, desk.standing).foresee(boxes)
        return [each.reason.value if isinstance(each, Refusal) else "ok" for each in decided]

    said = act(ctx, work)
    if json:
        screen.as_json([{"address": str(b), "outcome": o} for b, o in zip(boxes, said, strict=True)])
    else:
        for box, outcome in zip(boxes, said, strict=True):
            screen.line(f"{box}: {outcome}")
    if any(outcome != "ok" for outcome in said):
        raise typer.Exit(REFUSED)
