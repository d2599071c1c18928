"""`mssmail absence`: from when to when the holder of a box is away, and what those who write are told."""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import ADDRESS, JSON, UNUSABLE, Desk, Stop, act, address_of, by, moment_of

if TYPE_CHECKING:
    from mssmail.flow.absence import Absence

app = typer.Typer(
    name="absence",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Absences: whoever writes meanwhile is told once.",
)

_DATE = "2026-12-31, or with its time in UTC 2026-12-31T18:00"


@app.command(name="set")
def set_(
    ctx: typer.Context,
    address: ADDRESS,
    until: Annotated[str, typer.Option(metavar="DATE", help=f"When it ends: {_DATE}.")],
    from_: Annotated[str, typer.Option("--from", metavar="DATE", help=f"When it begins: {_DATE}; else now.")] = "",
    french: Annotated[str, typer.Option(metavar="TEXT", help="What to say in French; name no patient.")] = "",
    english: Annotated[str, typer.Option(metavar="TEXT", help="What to say in English.")] = "",
) -> None:
    """Say that a box isn't read for a while, in place of what was said before."""
    from mssmail.base.clock import SystemClock
    from mssmail.flow.absence import Absence, Absences
    from mssmail.flow.delegations import Administrator

    box = address_of(address)
    wanted = Absence(_moment(from_) if from_ else int(SystemClock().now()), _moment(until), french, english)
    act(ctx, lambda desk: Absences(desk.house, desk.standing.credentials).set(Administrator(by()), box, wanted))
    screen.line(f"{box}: absent from {screen.date(wanted.from_at)} until {screen.date(wanted.until_at)}")


@app.command()
def clear(ctx: typer.Context, address: ADDRESS) -> None:
    """Take an absence back; nobody is told of it any more."""
    from mssmail.flow.absence import Absences
    from mssmail.flow.delegations import Administrator

    box = address_of(address)
    done = act(ctx, lambda desk: Absences(desk.house, desk.standing.credentials).clear(Administrator(by()), box))
    screen.line(f"{box}: {'no longer absent' if done else 'no absence was set'}")


@app.command()
def show(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Show a box's absence, and how many were told of it."""
    from mssmail.base.clock import SystemClock
    from mssmail.flow.absence import Absences

    box = address_of(address)

    async def work(desk: Desk) -> "tuple[Absence, int] | None":
        return await Absences(desk.house, desk.standing.credentials).show(box)

    found = act(ctx, work)
    if found is None:
        screen.as_json(None) if json else screen.line(f"{box}: no absence is set")
        return
    absence, told = found
    content: dict[str, object] = {
        "state": absence.state(SystemClock().now()),
        "from_at": absence.from_at,
        "until_at": absence.until_at,
        "told": told,
        "french": absence.french,
        "english": absence.english,
    }
    if json:
        screen.as_json(content)
        return
    dates = {"from": screen.date(absence.from_at), "until": screen.date(absence.until_at)}
    texts = {
        name: " / ".join(text.splitlines())
        for name, text in (("French", absence.french), ("English", absence.english))
        if text
    }
    screen.pairs({"state": content["state"], **dates, "told": told, **texts})


def _moment(text: str) -> int:
    """A date or moment in UTC, as epoch seconds. Raises Stop(2)."""
    at = moment_of(text)
    if at is None:
        raise Stop(UNUSABLE, f"{text}: not a date as {_DATE}")
    return int(at)
