"""`mssmail cert`: whether a certificate would be taken, what certificates are judged by, fetching revocation lists."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, REFUSED, UNUSABLE, Desk, Stop, act

if TYPE_CHECKING:
    from mssmail.flow.certificate import Authority, Inspection
    from mssmail.flow.revocation import Fetched

app = typer.Typer(
    name="cert",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Client certificates: would one be taken, by which anchors and revocation lists.",
)


@app.command()
def inspect(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate, PEM or DER; a key in it isn't read.")],
    json: JSON = False,
) -> None:
    """Tell whether a certificate would be taken, why not, whom it names and which boxes it opens.

    Status 1 where nobody would be let in by it.
    """
    from mssmail.flow import certificate

    with file.open("rb") as stream:
        content = stream.read(certificate.MAX_FILE_OCTETS + 1)

    async def work(desk: Desk) -> "Inspection":
        try:
            return await certificate.inspect(desk.house, desk.standing, content)
        finally:
            desk.standing.close()

    found = act(ctx, work)
    if json:
        screen.as_json(_inspection(found))
    else:
        _show(found)
    if not found.accepted:
        raise typer.Exit(REFUSED)


def _inspection(found: "Inspection") -> dict[str, object]:
    from mssmail.base.rights import names_of

    return {
        "accepted": found.accepted,
        "purpose": found.purpose or None,
        "names": found.names or None,
        "serial": None if found.serial is None else f"{found.serial:x}",
        "issuer": found.issuer or None,
        "opens": [
            {
                "address": box.address,
                "kind": box.kind,
                "rights": names_of(box.rights),
                "refused": None if box.refused is None else box.refused.value,
            }
            for box in found.opens
        ],
        "findings": [finding.as_json() for finding in found.findings],
    }


def _show(found: "Inspection") -> None:
    from mssmail.base.rights import FULL, names_of

    screen.line("accepted" if found.accepted else "not accepted")
    names = "; ".join(
        f"{key.replace('_', ' ')} {value if isinstance(value, str) else ', '.join(value)}"
        for key, value in found.names.items()
    )
    if names:
        screen.line(f"{found.purpose}: {screen.printable(names)}")
    for box in found.opens:
        rights = "" if box.rights == FULL else f", to {', '.join(names_of(box.rights))}"
        refused = "" if box.refused is None else f": refused, {box.refused.value}"
        screen.line(f"opens {box.address} ({box.kind}{rights}){refused}")
    for finding in found.findings:
        screen.line(f"{finding.severity.value:<8} {finding.subject}: {screen.printable(finding.text)}")
        if finding.remedy:
            screen.line(f"{'':<8} → {finding.remedy}")


@app.command()
def status(ctx: typer.Context, json: JSON = False) -> None:
    """Show the anchors, what each is for, and how long their revocation lists hold.

    Status 1 where a list is missing or has expired.
    """
    from mssmail.flow.certificate import authorities

    async def work(desk: Desk) -> "list[Authority]":
        return authorities(desk.standing.certificates, desk.house.clock.now())

    found = act(ctx, work)
    if json:
        keys = "name purposes issues until list_made_at list_until revoked state".split()
        screen.as_json([{key: getattr(one, key) for key in keys} for one in found])
    elif found:
        screen.table(
            ("CA", "for", "until", "list made", "list until", "revoked", "list"),
            (
                (
                    one.name,
                    ", ".join(one.purposes) if one.issues else "root",
                    screen.date(one.until),
                    screen.date(one.list_made_at),
                    screen.date(one.list_until),
                    one.revoked,
                    one.state,
                )
                for one in found
            ),
        )
    else:
        screen.line("no anchors: nobody signs in by certificate")
    if any(one.state in ("expired", "missing") for one in found):
        raise typer.Exit(REFUSED)


@app.command()
def refresh(ctx: typer.Context, json: JSON = False) -> None:
    """Fetch the revocation lists now; a running server takes them up within a second.

    Status 1 where one couldn't be had.
    """
    from mssmail.flow.revocation import Revocation

    async def work(desk: Desk) -> "list[Fetched]":
        revocation = Revocation(desk.house, desk.standing.certificates)
        try:
            return await revocation.now()
        finally:
            revocation.close()

    found = act(ctx, work)
    if not found:
        raise Stop(UNUSABLE, "trust.crl_sources is empty, and no anchor says where its list lies")
    if json:
        screen.as_json([{"host": one.host, "outcome": one.outcome, "detail": one.detail} for one in found])
    else:
        screen.table(("from", "list", "why"), ((one.host, one.outcome, one.detail) for one in found))
    if any(one.outcome in ("failed", "foreign") for one in found):
        raise typer.Exit(REFUSED)
