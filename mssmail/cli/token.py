"""`mssmail token`: what users let programs do, taking it back, and which programs may ask."""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import prompt, screen
from mssmail.cli.verb import JSON, UNUSABLE, Desk, Stop, act, address_of, by

if TYPE_CHECKING:
    from mssmail.flow.clients import Client

app = typer.Typer(
    name="token",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Access that users gave programs, and the programs that may ask for it.",
)
client = typer.Typer(
    name="client", no_args_is_help=True, rich_markup_mode=None, help="Programs that may ask users for access."
)
app.add_typer(client)

_CLIENT = Annotated[str, typer.Argument(metavar="ID", help="The program's client id.")]


@app.command(name="list")
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]", help="Only this box's.")] = "",
    json: JSON = False,
) -> None:
    """Show what programs may still do, oldest first; never a token."""
    from mssmail.flow.oauth import Authorization, Authorizations

    box = address_of(address) if address else None

    async def work(desk: Desk) -> list[Authorization]:
        return await Authorizations(desk.house, desk.standing).list(box)

    found = act(ctx, work)
    if json:
        screen.as_json(
            [
                {
                    "number": a.number,
                    "address": str(a.address),
                    "client": a.client,
                    "scope": a.scope,
                    "created_at": a.created_at,
                    "used_at": a.used_at,
                    "ends_at": a.ends_at,
                }
                for a in found
            ]
        )
    elif found:
        rows = (
            (a.number, a.address, a.client, a.scope, screen.date(a.created_at), screen.date(a.used_at)) for a in found
        )
        screen.table(("number", "address", "program", "scope", "since", "last used"), rows)
    else:
        screen.line("no program has access")


@app.command()
def revoke(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="NUMBER|ADDRESS", help="One of `token list`, or all of a box.")],
) -> None:
    """Take access back; the sessions that it opened end within seconds."""
    from mssmail.flow.oauth import Authorizations

    box = None if which.isdecimal() else address_of(which)
    number = 0 if box is not None else int(which[:18])

    async def work(desk: Desk) -> int:
        return await Authorizations(desk.house, desk.standing).revoke_by(by(), address=box, number=number)

    count = act(ctx, work)
    screen.line(f"{which}: {count} revoked" if count else f"{which}: there was none")


@client.command(name="list")
def list_clients(ctx: typer.Context, json: JSON = False) -> None:
    """Show the programs that may ask, oldest first."""
    from mssmail.flow.clients import Clients

    async def work(desk: Desk) -> "list[Client]":
        return await Clients(desk.house, by()).list()

    found = act(ctx, work)
    if json:
        screen.as_json(
            [
                {
                    "client_id": c.client_id,
                    "name": c.name,
                    "redirects": list(c.redirects),
                    "confidential": c.confidential,
                    "self_registered": c.self_registered,
                    "created_at": c.created_at,
                }
                for c in found
            ]
        )
    elif found:
        rows = ((c.client_id, c.name, _kind(c), " ".join(c.redirects), screen.date(c.created_at)) for c in found)
        screen.table(("id", "name", "kind", "redirects", "since"), rows)
    else:
        screen.line("no program is registered; `mssmail token client add thunderbird` adds one by its preset")


def _kind(c: "Client") -> str:
    if c.self_registered:
        return "self-registered"
    return "confidential" if c.confidential else "public"


@client.command()
def add(
    ctx: typer.Context,
    client_id: _CLIENT,
    name: Annotated[str, typer.Option(help="As users read it; else the preset's.")] = "",
    redirect: Annotated[
        list[str] | None,
        typer.Option(metavar="URI", help="Where users are sent back to, several times; else the preset's."),
    ] = None,
    confidential: Annotated[
        bool, typer.Option("--confidential", help="A server with a secret, which is shown once; it may introspect.")
    ] = False,
    json: JSON = False,
) -> None:
    """Register a program; thunderbird, k9mail, outlook and mail-client are presets: their id is enough."""
    from dataclasses import replace

    from mssmail.flow.clients import PRESETS, Client, Clients

    preset = next((p for p in PRESETS if p.client_id == client_id), None)
    if preset is None and not name:
        raise Stop(UNUSABLE, f"{client_id} is no preset: give --name, and --redirect unless it is a device")
    made = preset or Client(client_id, name, ())
    made = replace(made, name=name or made.name, redirects=tuple(redirect or made.redirects), confidential=confidential)
    secret = act(ctx, lambda desk: Clients(desk.house, by()).add(made))
    if json:
        shown: dict[str, object] = {"client_id": client_id, "redirects": list(made.redirects)}
        screen.as_json(shown | ({} if secret is None else {"client_secret": secret.reveal()}))
        return
    screen.line(f"{client_id}: registered")
    if secret is not None:
        screen.line(f"secret: {secret.reveal()}")


@client.command()
def remove(
    ctx: typer.Context, client_id: _CLIENT, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False
) -> None:
    """Remove a program and all that users let it do."""
    from mssmail.flow.clients import Clients

    prompt.confirmed(f"Remove {client_id} and all access that users gave it?", yes=yes)
    count = act(ctx, lambda desk: Clients(desk.house, by()).remove(client_id))
    screen.line(f"{client_id}: removed, {count} revoked")
