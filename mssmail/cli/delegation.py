"""`mssmail delegation`: who may act in whose box, with which rights, until when."""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.base.rights import NAMES, names_of, rights_of
from mssmail.cli import screen
from mssmail.cli.admin import told
from mssmail.cli.verb import ADDRESS, JSON, UNUSABLE, Desk, Stop, act, address_of, by, duration_of, moment_of

if TYPE_CHECKING:
    from mssmail.flow.delegations import DelegationView
    from mssmail.flow.orders import Waiting

app = typer.Typer(
    name="delegation",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rights that persons have in boxes that aren't theirs.",
)

_TO = Annotated[str, typer.Argument(metavar="PERSON", help="The address of a person's own box.")]
_DATE = "2026-12-31, or with its time in UTC 2026-12-31T18:00"


@app.command()
def grant(
    ctx: typer.Context,
    address: ADDRESS,
    to: _TO,
    rights: Annotated[
        str, typer.Option(metavar="RIGHTS", help=f"Of {', '.join(NAMES)}, with commas between.")
    ] = "read,write,send",
    from_: Annotated[str, typer.Option("--from", metavar="DATE", help=f"When it begins: {_DATE}; else now.")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help=f"When it ends: {_DATE}.")] = "",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="How long it lasts, as 30d.")] = "",
) -> None:
    """Let a person act in somebody's or an organisation's box, in place of what they might there before."""
    from mssmail.base.clock import SystemClock
    from mssmail.base.rights import Delegation
    from mssmail.flow.delegations import Administrator, Delegations
    from mssmail.flow.orders import given_rights

    box, person = address_of(address), address_of(to)
    if until and for_:
        raise Stop(UNUSABLE, "--until and --for are of each other's place: give one")
    try:
        wanted = rights_of(word.strip() for word in rights.split(","))
    except ValueError as error:
        raise Stop(UNUSABLE, f"--rights {error}") from None
    from_at = _moment(from_) if from_ else int(SystemClock().now())
    until_at = _moment(until) if until else from_at + duration_of(for_, for_) if for_ else None
    given = Delegation(wanted, from_at, until_at)

    async def work(desk: Desk) -> "Waiting | None":
        delegations = Delegations(desk.house, desk.standing)
        deed = given_rights(box, person, given)
        return await desk.orders.carry_out(deed, lambda: delegations.grant(Administrator(by()), box, person, given))

    ends = "until it is withdrawn" if until_at is None else f"until {screen.date(until_at)}"
    told(act(ctx, work), f"{box}: {', '.join(names_of(wanted))} for {person}, {ends}")


@app.command()
def withdraw(ctx: typer.Context, address: ADDRESS, to: _TO) -> None:
    """Take a delegation back; the person's sessions in the box end within seconds."""
    from mssmail.flow.delegations import Administrator, Delegations

    box, person = address_of(address), address_of(to)
    act(ctx, lambda desk: Delegations(desk.house, desk.standing).withdraw(Administrator(by()), box, person))
    screen.line(f"{box}: no longer open to {person}")


@app.command(name="list")
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]", help="Of this box, and to its holder; else all.")] = "",
    json: JSON = False,
) -> None:
    """List delegations, ended ones and those to come too."""
    from mssmail.flow.delegations import Delegations

    box = address_of(address) if address else None

    async def work(desk: Desk) -> "list[DelegationView]":
        return await Delegations(desk.house, desk.standing).all(box)

    found = act(ctx, work)
    if json:
        screen.as_json([_as_json(view) for view in found])
        return
    rows = (
        (
            view.box,
            view.delegate,
            ", ".join(names_of(view.given.rights)),
            screen.date(view.given.from_at),
            screen.date(view.given.until_at),
            view.giver or "an administrator",
            view.state,
        )
        for view in found
    )
    screen.table(("box", "person", "rights", "from", "until", "given by", "state"), rows)


def _as_json(view: "DelegationView") -> dict[str, object]:
    return {
        "box": str(view.box),
        "person": str(view.delegate),
        "rights": names_of(view.given.rights),
        "from_at": view.given.from_at,
        "until_at": view.given.until_at,
        "given_by": None if view.giver is None else str(view.giver),
        "state": view.state,
    }


def _moment(text: str) -> int:
    """A date or moment in UTC, as epoch seconds. Raises Stop(2)."""
    at = moment_of(text)
    if at is None:
        raise Stop(UNUSABLE, f"{text}: not a date as {_DATE}")
    return int(at)
