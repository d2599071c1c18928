"""`mssmail audit`: the trail shown, searched, verified and exported. Each of these is itself in the trail."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, REFUSED, UNUSABLE, Desk, Stop, act, address_of, by, moment_of

if TYPE_CHECKING:
    from mssmail.flow.inspect import Opened

app = typer.Typer(name="audit", no_args_is_help=True, rich_markup_mode=None, help="The trail: who did what and when.")

FOLLOW_EVERY_S = 1.0
_LINES = Annotated[bool, typer.Option("--json", help="For a program: a JSON object a line, with stable keys.")]


@app.command()
def tail(
    ctx: typer.Context,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000, help="How many events.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    json: _LINES = False,
) -> None:
    """Show the latest events, the newest last."""
    import asyncio

    from mssmail.flow import inspect

    async def work(desk: Desk) -> None:
        last = await inspect.tail(desk.house, count, by())
        _show(last, json=json)
        at = _after(last[-1]) if last else (desk.house.clock.now(), 0, 0)
        while follow:
            await asyncio.sleep(FOLLOW_EVERY_S)
            new = await inspect.since(desk.house, at)
            if new:
                _show(new, json=json)
                at = _after(new[-1])

    act(ctx, work)


@app.command()
def search(
    ctx: typer.Context,
    address: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Events about this address.")] = None,
    account: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Events of this account.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Of this kind, as signed-in; may be repeated.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(metavar="WORD", help="`ok`, or the reason of a refusal.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From 2026-01-31, …T14:30, or 2h ago.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before that, as in --since.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The latest so many.")] = 1000,
    json: _LINES = False,
) -> None:
    """Find events, the newest last."""
    from mssmail.flow import inspect

    try:
        kinds = inspect.kinds_named(kind or ())
    except KeyError as error:
        known = ", ".join(inspect.kind_labels())
        raise Stop(UNUSABLE, f"--kind {error.args[0]}: no such kind; there are {known}") from None

    async def work(desk: Desk) -> "list[Opened]":
        now = desk.house.clock.now()
        number = None if account is None else (await desk.people.show(address_of(account))).account
        wanted = inspect.Wanted(
            address, number, kinds, outcome, _moment("--since", since, now), _moment("--until", until, now), limit
        )
        return await inspect.search(desk.house, wanted, by())

    _show(act(ctx, work), json=json)


@app.command()
def verify(ctx: typer.Context, json: JSON = False) -> None:
    """Follow every chain and check every signature; status 1 where anything was altered, removed or moved."""
    from mssmail.flow import inspect

    with screen.progress("verifying") as advance:
        report = act(ctx, lambda desk: inspect.verify(desk.house, by(), lambda done: advance(done, None)))
    counts = {"events": report.events, "chains": report.chains, "checkpoints": report.checkpoints}
    if json:
        screen.as_json({"sound": report.sound, **counts, "faults": report.faults})
    else:
        screen.line(", ".join(f"{count} {noun}" for noun, count in counts.items()) + " followed")
    if not report.sound:
        raise Stop(REFUSED, *(() if json else report.faults), "the trail doesn't hold")
    if not json:
        screen.line("the trail holds")


@app.command()
def export(
    ctx: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file (mode 0600); else the screen.")
    ] = None,
    sealed_only: Annotated[
        bool, typer.Option("--sealed-only", help="Without what the events say: enough to verify, nothing to read.")
    ] = False,
) -> None:
    """Write the whole trail as JSON lines: enough to verify it elsewhere."""
    from mssmail.flow import inspect

    def written(out: TextIO) -> int:
        with screen.progress("exporting") as advance:
            return act(
                ctx,
                lambda desk: inspect.export(
                    desk.house, out, by(), sealed_only=sealed_only, progress=lambda done: advance(done, None)
                ),
            )

    if output is None:
        written(sys.stdout)
        sys.stdout.flush()
        return
    import os

    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Stop(REFUSED, f"{output}: is there already; it stays") from None
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        count = written(out)
        out.flush()
        os.fsync(out.fileno())
    screen.line(f"{output}: {count} lines")


def _show(events: "Iterable[Opened]", *, json: bool) -> None:
    if json:
        screen.as_json_lines(event.as_json() for event in events)
        return
    for e in events:
        said = " ".join(f"{name}={_plain(value)}" for name, value in e.details.items())
        about = "" if e.subject is None else f" {e.subject}"
        account = f" account {e.account}" if e.account else ""
        screen.line(screen.printable(f"{e.at} {e.kind} {e.outcome}{account}{about}  {said}".rstrip()))


def _plain(value: object) -> str:
    return str(value).replace(" ", "")


def _after(event: "Opened") -> tuple[float, int, int]:
    from datetime import datetime

    return datetime.fromisoformat(event.at).timestamp(), event.chain, event.sequence


def _moment(option: str, text: str | None, now: float) -> float | None:
    """A time as people give it: a date, a date and time (UTC where no zone stands), or a duration before now."""
    if text is None:
        return None
    from mssmail.settings.units import parse_duration

    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    at = moment_of(text)
    if at is None:
        raise Stop(UNUSABLE, f"{option} {text}: a time is 2026-01-31, 2026-01-31T14:30, or a duration as 2h")
    return at
