"""`mssmail admin`: who administers, with which roles; and acts that wait for a second person.

An administrator is a user of the operating system's, known at the admin socket by it, and never a mailbox account.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.base.role import Role
from mssmail.cli import screen
from mssmail.cli.verb import JSON, UNUSABLE, Desk, Stop, act, address_of, caller, settings_of

if TYPE_CHECKING:
    from mssmail.flow.orders import Waiting

app = typer.Typer(
    name="admin",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Administrators, their roles, and acts that take two of them.",
)

_NAME = Annotated[str, typer.Argument(metavar="NAME", help="The administrator's name, as the trail has it.")]
_ROLES = Annotated[list[Role], typer.Option("--role", help="May be repeated: one person may hold several.")]
_ORDER = Annotated[int, typer.Argument(metavar="ORDER", min=1, help="Its number, as `admin pending` shows.")]


@app.command()
def add(
    ctx: typer.Context,
    name: _NAME,
    role: _ROLES,
    user: Annotated[str, typer.Option(metavar="USER", help="Of the operating system; else the one of that name.")] = "",
) -> None:
    """Make a user of this machine an administrator."""
    import pwd

    from mssmail.flow import orders
    from mssmail.flow.administer import Administrator

    try:
        uid = pwd.getpwnam(user or name).pw_uid
    except KeyError:
        raise Stop(UNUSABLE, f"{user or name}: no user of this machine") from None
    who = Administrator(name, user or name, uid, frozenset(role))

    async def work(desk: Desk) -> "Waiting | None":
        return await desk.orders.carry_out(orders.added(who), lambda: desk.administration.add(who))

    told(act(ctx, work), f"{name}: may give commands as the user {who.os_user}")


@app.command(name="list")
def list_(ctx: typer.Context, json: JSON = False) -> None:
    """Show the administrators."""
    found = act(ctx, lambda desk: desk.administration.all())
    if json:
        screen.as_json(
            [
                {
                    "name": who.name,
                    "user": who.os_user,
                    "uid": who.uid,
                    "roles": sorted(role.value for role in who.roles),
                    "suspended": who.suspended,
                }
                for who in found
            ]
        )
        return
    rows = (
        (
            who.name,
            f"{who.os_user} ({who.uid})",
            " ".join(sorted(role.value for role in who.roles)),
            "suspended" if who.suspended else "",
        )
        for who in found
    )
    screen.table(("name", "user", "roles", "state"), rows)


@app.command()
def roles(ctx: typer.Context, name: _NAME, role: _ROLES) -> None:
    """Give an administrator these roles in place of what they had."""
    from mssmail.flow import orders

    wanted = frozenset(role)

    async def work(desk: Desk) -> "Waiting | None":
        deed = orders.given_roles(name, wanted)
        return await desk.orders.carry_out(deed, lambda: desk.administration.set_roles(name, wanted))

    told(act(ctx, work), f"{name}: " + " ".join(sorted(each.value for each in wanted)))


@app.command()
def suspend(ctx: typer.Context, name: _NAME) -> None:
    """Let an administrator give no command for now."""
    act(ctx, lambda desk: desk.administration.suspend(name))
    screen.line(f"{name}: suspended")


@app.command()
def resume(ctx: typer.Context, name: _NAME) -> None:
    """Undo a suspension."""
    act(ctx, lambda desk: desk.administration.resume(name))
    screen.line(f"{name}: may give commands again")


@app.command()
def remove(ctx: typer.Context, name: _NAME) -> None:
    """Make somebody an administrator no more."""
    from mssmail.base.role import Act
    from mssmail.flow.orders import Deed

    async def work(desk: Desk) -> "Waiting | None":
        deed = Deed(Act.ADMIN_REMOVE, name)
        return await desk.orders.carry_out(deed, lambda: desk.administration.remove(name))

    told(act(ctx, work), f"{name}: removed")


@app.command()
def whoami(ctx: typer.Context, json: JSON = False) -> None:
    """Show who the server takes you for, and your roles."""

    async def work(_: Desk) -> tuple[str, list[str]]:
        who = caller()
        return who.name, sorted(role.value for role in who.roles)

    name, held = act(ctx, work)
    if json:
        screen.as_json({"name": name, "roles": held})
    else:
        screen.line(f"{name}: " + " ".join(held))


@app.command()
def pending(ctx: typer.Context, json: JSON = False) -> None:
    """Show the acts that wait for a second person."""
    found = act(ctx, lambda desk: desk.orders.waiting())
    if json:
        screen.as_json(
            [
                {
                    "order": each.number,
                    "act": each.deed.act.value,
                    "subject": each.deed.subject or None,
                    "arguments": dict(each.deed.arguments),
                    "by": each.by,
                    "given_at": each.given_at,
                    "until": each.until,
                }
                for each in found
            ]
        )
    elif found:
        rows = (
            (
                each.number,
                each.deed.act.value,
                each.deed.subject,
                " ".join(f"{name}={value}" for name, value in each.deed.arguments.items()),
                each.by,
                screen.date(each.given_at),
                screen.date(each.until),
            )
            for each in found
        )
        screen.table(("order", "act", "of", "with", "by", "given", "until"), rows)
    else:
        screen.line("no act waits for a second person")


@app.command()
def approve(ctx: typer.Context, order: _ORDER) -> None:
    """Consent to an act that somebody else ordered; it is done at once."""
    done, opened = act(ctx, lambda desk: desk.orders.approve(order))
    screen.line(f"order {order}: {_shown(done)} done, as {done.by} ordered")
    if opened is not None:
        from mssmail.cli.account import show_link

        show_link(address_of(done.deed.subject), opened, settings_of(ctx), json=False)


@app.command()
def reject(ctx: typer.Context, order: _ORDER) -> None:
    """Strike an act that waits, your own too."""
    struck = act(ctx, lambda desk: desk.orders.reject(order))
    screen.line(f"order {order}: {_shown(struck)} struck")


def told(done: "Waiting | None", words: str) -> None:
    """Tell that an act was done, or that it waits."""
    if done is None:
        screen.line(words)
    else:
        waits(done)


def waits(order: "Waiting") -> None:
    """Tell that an act waits for a second person."""
    screen.line(
        f"{_shown(order)} waits for a second person until {screen.date(order.until)}: "
        f"`mssmail admin approve {order.number}`"
    )


def _shown(order: "Waiting") -> str:
    return f"{order.deed.act.value} {order.deed.subject}".rstrip()
