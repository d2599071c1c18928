"""`mssmail trust`: the white list of the trust space, by which other operators are known."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, REFUSED, UNUSABLE, Desk, Stop, act, by

if TYPE_CHECKING:
    from mssmail.flow.trust import Difference, Loaded, Status

app = typer.Typer(
    name="trust",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The trust space's white list: which operators' certificates speak for which domains.",
)

SHRINK = Annotated[
    bool, typer.Option("--allow-shrink", help="Take it although it lacks more domains than trust_list.shrink_limit.")
]


@app.command(name="import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list as published, XML.")],
    allow_shrink: SHRINK = False,
    json: JSON = False,
) -> None:
    """Put a list in service, checked whole; a malformed, older or sharply shrunk one changes nothing."""
    from mssmail.flow.trust import TrustLists

    async def work(desk: Desk) -> "Loaded":
        return await TrustLists(desk.house, by()).load_file(file, allow_shrink=allow_shrink)

    _loaded(act(ctx, work), json=json)


@app.command()
def rollback(ctx: typer.Context, json: JSON = False) -> None:
    """Put the list before this one in service again; the source's isn't taken again until there is another."""
    from mssmail.flow.trust import TrustLists

    async def work(desk: Desk) -> "Loaded":
        return await TrustLists(desk.house, by()).roll_back()

    _loaded(act(ctx, work), json=json)


@app.command()
def refresh(ctx: typer.Context, allow_shrink: SHRINK = False, json: JSON = False) -> None:
    """Ask trust_list.source now for a new list, and put it in service."""
    from mssmail.flow.trust_schedule import TrustSchedule

    async def work(desk: Desk) -> "Loaded | None":
        if not desk.house.settings.trust_list.source:
            raise Stop(UNUSABLE, "trust_list.source is empty: there is nowhere to ask")
        schedule = TrustSchedule(desk.house, by())
        try:
            return await schedule.now(allow_shrink=allow_shrink)
        finally:
            schedule.close()

    loaded = act(ctx, work)
    if loaded is not None:
        _loaded(loaded, json=json)
    elif json:
        screen.as_json(None)
    else:
        screen.line("nothing new")


@app.command()
def status(ctx: typer.Context, json: JSON = False) -> None:
    """Show what is in service, and whether a newer list was refused.

    Status 1 where there is none, or it is older than trust_list.stale_after.
    """
    from mssmail.flow import trust

    async def work(desk: Desk) -> "Status":
        return trust.status(desk.house)

    found = act(ctx, work)
    listed, refused = found.listed, found.refused
    if json:
        screen.as_json(
            {
                "state": found.state,
                "age_s": found.age_s if math.isfinite(found.age_s) else None,
                "generated_at": None if listed is None else listed.generated_at,
                "entries": 0 if listed is None else listed.entries,
                "unread": 0 if listed is None else listed.unread,
                "domains": 0 if listed is None else len(listed.operators),
                "certificates": 0 if listed is None else len(listed.names),
                "sha256": None if listed is None else listed.digest,
                "refused": None
                if refused is None
                else {"at": refused.at, "cause": refused.cause, "detail": refused.detail},
            }
        )
    else:
        if listed is None:
            screen.line("no white list is in service: no other operator can be spoken with")
        else:
            screen.line(
                f"{len(listed.operators)} domains, {len(listed.names)} certificates, {listed.entries} entries "
                f"({listed.unread} unreadable); made {screen.date(listed.generated_at)}: {found.state}"
            )
        if refused is not None:
            detail = screen.printable(refused.detail)
            screen.line(f"refused {screen.date(refused.at)}, {refused.cause}: {detail}")
    if found.state != "ok":
        raise typer.Exit(REFUSED)


@app.command()
def show(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A mail domain.")],
    json: JSON = False,
) -> None:
    """Show the names of the certificates that speak for a domain; status 1 where it isn't listed."""
    from mssmail.flow import trust

    async def work(desk: Desk) -> list[str]:
        return trust.shown(desk.house, domain)

    names = act(ctx, work)
    if json:
        screen.as_json({"domain": domain, "certificates": names})
    for name in names if not json else ():
        screen.line(screen.printable(name))
    if not names:
        if json:
            raise typer.Exit(REFUSED)
        raise Stop(REFUSED, f"{screen.printable(domain)}: not in the white list")


@app.command()
def diff(ctx: typer.Context, json: JSON = False) -> None:
    """Compare the list in service with the one before it: domains that came, went, or have other certificates."""
    from mssmail.flow import trust

    async def work(desk: Desk) -> "Difference | None":
        return trust.difference(desk.house)

    found = act(ctx, work)
    if found is None:
        raise Stop(REFUSED, "there is no list before this one")
    if json:
        screen.as_json(_difference(found))
        return
    for kind, domains in _difference(found).items():
        for domain in domains:
            screen.line(f"{kind:<8} {screen.printable(domain)}")
    screen.line(f"{len(found.added)} added, {len(found.removed)} removed, {len(found.moved)} moved")


def _difference(found: "Difference") -> dict[str, list[str]]:
    return {"added": list(found.added), "removed": list(found.removed), "moved": list(found.moved)}


def _loaded(loaded: "Loaded", *, json: bool) -> None:
    listed, changed = loaded.listed, loaded.difference
    if json:
        screen.as_json(
            {
                "generated_at": listed.generated_at,
                "entries": listed.entries,
                "unread": listed.unread,
                "domains": len(listed.operators),
                "certificates": len(listed.names),
                "sha256": listed.digest,
                **_difference(changed),
            }
        )
        return
    screen.line(f"{len(listed.operators)} domains, made {screen.date(listed.generated_at)}, in service")
    screen.line(f"{len(changed.added)} added, {len(changed.removed)} removed, {len(changed.moved)} moved")
    if listed.unread:
        screen.line(f"{listed.unread} entries can't be read, and are left out")
