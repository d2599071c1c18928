"""`mssmail grant`: where a sign-in by password and code still serves, and taking that back."""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import ADDRESS, JSON, REFUSED, UNUSABLE, Desk, Stop, act, address_of, by

if TYPE_CHECKING:
    from mssmail.flow.access import GrantView

app = typer.Typer(
    name="grant",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Grants: for how long, and where, a sign-in by password and code serves mail programs.",
)


@app.command(name="list")
def list_(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Show a box's grants that last, the oldest first."""
    from mssmail.flow.access import Access

    box = address_of(address)

    async def work(desk: Desk) -> "list[GrantView]":
        return await Access(desk.house, desk.standing, by()).grants(box)

    found = act(ctx, work)
    if json:
        names = ("client", "opened_at", "ends_at", "codes")
        screen.as_json([{"grant": g.number} | {name: getattr(g, name) for name in names} for g in found])
    elif found:
        rows = ((g.number, g.client, screen.date(g.opened_at), screen.date(g.ends_at), g.codes) for g in found)
        screen.table(("grant", "address", "since", "until", "codes"), rows)
    else:
        screen.line("no grant lasts")


@app.command()
def revoke(
    ctx: typer.Context,
    address: ADDRESS,
    number: Annotated[int, typer.Argument(metavar="[GRANT]", help="As `grant list` numbers it.")] = 0,
    everything: Annotated[bool, typer.Option("--all", help="All of the box's.")] = False,
) -> None:
    """End a grant: the next sign-in from there takes a new code; open sessions stay."""
    from mssmail.flow.access import Access

    box = address_of(address)
    if (number > 0) == everything:
        raise Stop(UNUSABLE, "give a grant's number, or --all")

    async def work(desk: Desk) -> bool:
        if everything:
            await desk.people.end_grants(box)
            return True
        return await Access(desk.house, desk.standing, by()).revoke_grant(box, number)

    if not act(ctx, work):
        raise Stop(REFUSED, f"{box} has no grant {number} that lasts")
    screen.line(f"{box}: {'all grants' if everything else f'grant {number}'} ended")
