"""`mssmail ban`: client addresses and logins that failed to sign in, and letting them try again."""

from typing import Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, UNUSABLE, Desk, Stop, act, by, duration_of

app = typer.Typer(
    name="ban", no_args_is_help=True, rich_markup_mode=None, help="Failed sign-ins, and who is locked out by them."
)


@app.command(name="list")
def list_(ctx: typer.Context, json: JSON = False) -> None:
    """Show failures that count, and locks, the latest first."""
    from mssmail.flow.bans import Bans, Counted

    async def work(desk: Desk) -> list[Counted]:
        return await Bans(desk.house, by()).list()

    found = act(ctx, work)
    if json:
        screen.as_json(
            [
                {"subject": c.shown, "failures": c.count, "last_at": c.last_at, "locked_until": c.locked_until or None}
                for c in found
            ]
        )
    elif found:
        rows = (
            (c.shown or "(unknown login)", c.count, screen.date(c.last_at), screen.date(c.locked_until or None))
            for c in found
        )
        screen.table(("address or login", "failures", "last", "locked until"), rows)
    else:
        screen.line("no failures count now")


@app.command()
def add(
    ctx: typer.Context,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="An IP address; of IPv6, its /64 is meant.")],
    term: Annotated[str, typer.Option("--for", metavar="TIME", help="How long, as 1h or 7d.")] = "1h",
) -> None:
    """Close an address to passwords and tokens; certificates pass."""
    from mssmail.flow.bans import Bans

    seconds = duration_of(term, "--for")

    async def work(desk: Desk) -> str:
        return await Bans(desk.house, by()).add(client, seconds)

    try:
        closed = act(ctx, work)
    except ValueError as error:
        raise Stop(UNUSABLE, str(error)) from None
    screen.line(f"{closed}: closed for {term}")


@app.command()
def clear(
    ctx: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="[CLIENT|LOGIN]", help="An IP address or a login.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Everybody's.")] = False,
) -> None:
    """Forget the failures of a client address or a login, and lift its lock."""
    from mssmail.flow.bans import Bans

    if bool(subject) == everything:
        raise Stop(UNUSABLE, "give a client address or a login, or --all")

    async def work(desk: Desk) -> int:
        bans = Bans(desk.house, by())
        return await (bans.clear_all() if everything else bans.clear(subject))

    count = act(ctx, work)
    screen.line(f"{subject or 'all'}: {count} cleared" if count else f"{subject or 'all'}: there were no failures")
