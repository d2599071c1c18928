"""`mssmail retention`: how long mail is kept, what is due, and erasing it now."""

from typing import Annotated

import typer

from mssmail.base.role import Act
from mssmail.cli import screen
from mssmail.cli.admin import waits
from mssmail.cli.verb import ADDRESS, JSON, REFUSED, Desk, Stop, act, address_of, by, duration_of, settings_of

app = typer.Typer(
    name="retention", no_args_is_help=True, rich_markup_mode=None, help="Terms of mail, and erasing it at its term."
)

WAIT_S = 30.0


@app.command()
def show(ctx: typer.Context, json: JSON = False) -> None:
    """Show the terms in force, and the accounts that have one of their own."""
    from mssmail.settings.units import Seconds, format_duration

    async def work(desk: Desk) -> dict[str, int]:
        return {str(a.address): a.term_s async for a in desk.people.all() if a.term_s is not None}

    retention = settings_of(ctx).retention
    own = act(ctx, work)
    if json:
        screen.as_json(
            {
                "default_s": retention.default,
                "period_s": retention.period,
                "interval_s": retention.interval,
                "maximum_s": retention.maximum,
                "accounts": [{"address": address, "term_s": term} for address, term in own.items()],
            }
        )
        return
    period = "auto" if retention.period is None else format_duration(retention.period)
    screen.pairs(
        {
            "default term": format_duration(retention.default),
            "period": period,
            "purge every": format_duration(retention.interval),
            "longest term": format_duration(retention.maximum),
        }
    )
    if own:
        screen.table(("account", "term"), ((a, format_duration(Seconds(term))) for a, term in own.items()))


@app.command(name="set")
def set_(
    ctx: typer.Context,
    address: ADDRESS,
    term: Annotated[str, typer.Argument(metavar="TERM", help="As 90d or 8h; or `default`.")],
) -> None:
    """Give an account's coming mail a term of its own; what has arrived keeps its term."""
    from mssmail.flow import purge

    box = address_of(address)
    term_s = None if term == "default" else duration_of(term, term)

    async def work(desk: Desk) -> None:
        found = await desk.people.show(box)
        await purge.set_term(desk.house, found.account, term_s, by())

    act(ctx, work)
    screen.line(f"{address}: {term}, for what arrives from now on")


@app.command()
def preview(
    ctx: typer.Context,
    within: Annotated[str, typer.Option(metavar="DURATION", help="How far to look ahead.")] = "7d",
    json: JSON = False,
) -> None:
    """Show what will be erased, by period. Changes nothing."""
    from mssmail.flow import purge

    within_s = duration_of(within, f"--within {within}")
    due = act(ctx, lambda desk: purge.preview(desk.house, within_s))
    if json:
        screen.as_json([{"period": int(end), "messages": count, "octets": octets} for end, count, octets in due])
    elif due:
        rows = ((screen.date(int(end)), count, screen.size(octets)) for end, count, octets in due)
        screen.table(("erased from", "messages", "size"), rows)
    else:
        screen.line(f"nothing is due within {within}")


@app.command()
def run(
    ctx: typer.Context,
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Go on although the clock jumped or unusually much is due.")
    ] = False,
    json: JSON = False,
) -> None:
    """Erase now what is due, under the purge worker's lease; waits up to 30 s for it."""
    from mssmail.flow.orders import Deed, Waiting
    from mssmail.flow.purge import Purge, Purged

    async def work(desk: Desk) -> Purged | Waiting | None:
        purge = Purge(desk.house, announce=True)
        if not allow_shrink:
            return await purge.run(wait_s=WAIT_S)
        deed = Deed(Act.RETENTION_SHRINK)
        return await desk.orders.carry_out(deed, lambda: purge.run(wait_s=WAIT_S, allow_shrink=True))

    with screen.progress("erasing"):
        done = act(ctx, work)
    if isinstance(done, Waiting):
        waits(done)
        return
    if done is None:
        raise Stop(REFUSED, f"another purge has held the lease for {WAIT_S:.0f} s; nothing was done here")
    if json:
        screen.as_json({"messages": done.messages, "periods": done.periods, "bodies": done.bodies})
    else:
        screen.line(f"{done.messages} messages of {done.periods} periods erased, {done.bodies} bodies removed")
