"""`mssmail forward`: where a box's mail goes on to."""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.admin import told
from mssmail.cli.verb import ADDRESS, JSON, Desk, act, address_of, by

if TYPE_CHECKING:
    from mssmail.flow.forwarding import Forwarding, Forwardings
    from mssmail.flow.orders import Waiting

app = typer.Typer(
    name="forward",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Mail of a box that goes on to another one.",
)


def _forwardings(desk: Desk) -> "Forwardings":
    from mssmail.flow.forwarding import Forwardings
    from mssmail.flow.gate import Gate

    return Forwardings(desk.house, desk.standing.credentials, Gate(desk.house, desk.standing))


@app.command(name="set")
def set_(
    ctx: typer.Context,
    address: ADDRESS,
    to: Annotated[str, typer.Argument(metavar="TO", help="A box that the holder may write to.")],
    keep: Annotated[
        bool, typer.Option("--copy/--no-copy", help="Whether the box gets its mail too; elsewhere it always does.")
    ] = True,
) -> None:
    """Have a box's mail go on to another one, in place of where it went before; the box is told by mail."""
    from mssmail.flow.delegations import Administrator
    from mssmail.flow.orders import forwarded

    box, target = address_of(address), address_of(to)

    async def work(desk: Desk) -> "Waiting | None":
        deed = forwarded(box, target, keep=keep)
        return await desk.orders.carry_out(
            deed, lambda: _forwardings(desk).set(Administrator(by()), box, target, keep=keep)
        )

    told(act(ctx, work), f"{box}: goes on to {target}, {'with' if keep else 'without'} a copy in the box")


@app.command()
def clear(ctx: typer.Context, address: ADDRESS) -> None:
    """Let a box's mail stay in it."""
    from mssmail.flow.delegations import Administrator

    box = address_of(address)
    done = act(ctx, lambda desk: _forwardings(desk).clear(Administrator(by()), box))
    screen.line(f"{box}: {'no longer forwarded' if done else 'was not forwarded'}")


@app.command()
def show(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Show where a box's mail goes, and whether it may go there now."""
    box = address_of(address)

    async def work(desk: Desk) -> "Forwarding | None":
        return await _forwardings(desk).show(box)

    found = act(ctx, work)
    if found is None:
        screen.as_json(None) if json else screen.line(f"{box}: is not forwarded")
        return
    content = {"to": str(found.to), "copy": found.keep, "set_at": found.set_at, "refused": found.refused or None}
    if json:
        screen.as_json(content)
        return
    screen.pairs(
        {
            "to": found.to,
            "copy": "stays in the box" if found.keep else "none",
            "since": screen.date(found.set_at),
            "now": f"refused: {found.refused}; mail stays in the box" if found.refused else "let in",
        }
    )
