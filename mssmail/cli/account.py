"""`mssmail account`: boxes, made and looked after. A password or a code's secret is shown once, and never asked as an
argument.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from mssmail.base.principal import PERSONS, BoxKind
from mssmail.base.role import Act
from mssmail.cli import prompt, screen
from mssmail.cli.admin import told, waits
from mssmail.cli.limits import limits
from mssmail.cli.verb import ADDRESS, JSON, UNUSABLE, Desk, Stop, act, address_of, by, settings_of

if TYPE_CHECKING:
    from mssmail.base.address import Address
    from mssmail.base.secret import Secret
    from mssmail.flow.activation import Opened
    from mssmail.flow.orders import Waiting
    from mssmail.flow.people import AccountView, Created
    from mssmail.settings.model import Settings

app = typer.Typer(
    name="account",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Boxes: make, show, suspend, close, password, code.",
)

_YES = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


@app.command()
def create(
    ctx: typer.Context,
    address: ADDRESS,
    holder: Annotated[
        str, typer.Option(metavar="ID", help="National id of the professional, or the structure's id (ORG, APP, EMP).")
    ],
    kind: Annotated[
        BoxKind,
        typer.Option(help="Whose it is: a professional's, an organisation's, an application's, an employee's."),
    ] = BoxKind.PER,
    name: Annotated[str, typer.Option(help="As people read it; else as the directory has it.")] = "",
    cn: Annotated[str, typer.Option(help="CN of the certificate that opens it (ORG, APP), or of an EMP's card.")] = "",
    quota: Annotated[str, typer.Option(metavar="SIZE", help="As 10GiB; else store.quota.")] = "",
    generate: Annotated[bool, typer.Option("--generate", help="Make a password up and show it.")] = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="Certificates only.")] = False,
    stdin: prompt.STDIN = False,
    json: JSON = False,
) -> None:
    """Make a box for a professional or a structure of the directory."""
    from mssmail.flow.people import NewAccount, generate_password

    if sum((generate, no_password, stdin)) > 1:
        raise Stop(UNUSABLE, "--generate, --no-password and --stdin are of each other's place: give one")
    octets = _size(quota) if quota else None
    box = address_of(address)
    password: Secret | None = None
    if generate:
        password = generate_password()
    elif not no_password and kind in PERSONS:
        password = prompt.new_password(stdin=stdin)
    new = NewAccount(box, kind, holder, name, cn, password, quota_octets=octets)
    created = act(ctx, lambda desk: desk.people.create(new))
    if json:
        shown: dict[str, object] = {"address": str(created.address), "account": int(created.account)}
        if generate and password is not None:
            shown["password"] = password.reveal()
        if created.totp_secret is not None and created.provisioning_uri is not None:
            shown["totp_secret"] = created.totp_secret.reveal()
            shown["otpauth"] = created.provisioning_uri.reveal()
        screen.as_json(shown)
        return
    _show_created(created, password if generate else None)


def _show_created(created: "Created", generated: "Secret | None") -> None:
    screen.line(f"{created.address}: made, account {created.account}")
    if generated is not None:
        screen.line(f"password: {generated.reveal()}")
    if created.totp_secret is not None and created.provisioning_uri is not None:
        _show_code(created.totp_secret, created.provisioning_uri)


def _show_code(secret: "Secret", uri: "Secret") -> None:
    """The QR code for an authenticator app, and the same for fingers."""
    import io

    import segno

    drawn = io.StringIO()
    segno.make(uri.reveal(), error="m").terminal(drawn, compact=True)
    screen.line(drawn.getvalue().rstrip("\n"))
    screen.line(f"secret:  {secret.reveal()}")
    screen.line(f"address: {uri.reveal()}")
    screen.line("Scan it with an authenticator app; it is shown this once.")


def _size(text: str) -> int:
    from mssmail.settings.units import parse_size

    try:
        return int(parse_size(text))
    except ValueError as error:
        raise Stop(UNUSABLE, f"{text}: {error}") from None


@app.command(name="list")
def list_(
    ctx: typer.Context,
    state: Annotated[str, typer.Option(help="Only open, suspended, closed or struck-off ones.")] = "",
    kind: Annotated[BoxKind | None, typer.Option(help="Only of this kind; EMP: the list of employees.")] = None,
    json: JSON = False,
) -> None:
    """List the boxes, oldest first."""
    if state and state not in ("open", "suspended", "closed", "struck-off"):
        raise Stop(UNUSABLE, f"--state {state}: open, suspended, closed or struck-off")

    async def work(desk: Desk) -> "list[AccountView]":
        found = [a async for a in desk.people.all() if not state or _state(a) == state]
        return [a for a in found if kind is None or a.kind is kind]

    found = act(ctx, work)
    if json:
        screen.as_json([_as_json(a) for a in found])
        return
    rows = (
        (a.account, a.address, a.kind.value, _state(a), a.name, screen.size(a.used_octets), screen.date(a.signed_in_at))
        for a in found
    )
    screen.table(("account", "address", "kind", "state", "name", "used", "last sign-in"), rows)


@app.command()
def show(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Show a box and its delegations; never what is in it."""
    box = address_of(address)
    a = act(ctx, lambda desk: desk.people.show(box))
    content = _as_json(a) | {"delegates": list(map(str, a.delegates)), "delegated": list(map(str, a.delegated))}
    if json:
        screen.as_json(content)
        return
    shown = dict(content)
    for name in ("delegates", "delegated"):
        shown[name] = ", ".join(map(str, getattr(a, name))) or None
    for name in ("created_at", "signed_in_at"):
        shown[name] = screen.date(getattr(a, name))
    for name in ("used_octets", "quota_octets"):
        shown[name] = screen.size(getattr(a, name))
    screen.pairs({name.replace("_", " "): value for name, value in shown.items() if value not in (None, "")})


def _state(a: "AccountView") -> str:
    return "struck-off" if a.struck_off and a.state == "open" else a.state


def _as_json(a: "AccountView") -> dict[str, object]:
    return {
        "account": int(a.account),
        "address": str(a.address),
        "kind": a.kind.value,
        "state": a.state,
        "struck_off": a.struck_off,
        "holder": a.holder,
        "name": a.name,
        "profession": a.profession,
        "common_name": a.common_name,
        "has_password": a.has_password,
        "has_code": a.has_code,
        "recovery_codes": a.recovery_codes,
        "used_octets": a.used_octets,
        "quota_octets": a.quota_octets,
        "term_s": a.term_s,
        "created_at": a.created_at,
        "signed_in_at": a.signed_in_at,
    }


@app.command()
def suspend(ctx: typer.Context, address: ADDRESS) -> None:
    """Stop sign-in and reception; open sessions end within seconds, the mail stays."""
    box = address_of(address)
    act(ctx, lambda desk: desk.people.suspend(box))
    screen.line(f"{box}: suspended")


@app.command()
def resume(ctx: typer.Context, address: ADDRESS) -> None:
    """Undo a suspension."""
    box = address_of(address)
    act(ctx, lambda desk: desk.people.resume(box))
    screen.line(f"{box}: open again")


@app.command()
def close(ctx: typer.Context, address: ADDRESS, yes: _YES = False) -> None:
    """Close for good: the address is never given again, the mail stays sealed until its term."""
    from mssmail.flow.orders import Deed

    box = address_of(address)
    prompt.confirmed(f"Close {box} for good?", yes=yes)

    async def work(desk: Desk) -> "Waiting | None":
        return await desk.orders.carry_out(Deed(Act.ACCOUNT_CLOSE, str(box)), lambda: desk.people.close(box))

    told(act(ctx, work), f"{box}: closed")


@app.command()
def password(
    ctx: typer.Context,
    address: ADDRESS,
    generate: Annotated[bool, typer.Option("--generate", help="Make one up and show it.")] = False,
    stdin: prompt.STDIN = False,
) -> None:
    """Set a password; open sessions and grants end."""
    from mssmail.flow.people import generate_password

    box = address_of(address)
    new = generate_password() if generate else prompt.new_password(stdin=stdin)
    act(ctx, lambda desk: desk.people.set_password(box, new))
    screen.line(f"{box}: password set")
    if generate:
        screen.line(f"password: {new.reveal()}")


@app.command()
def otp(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Give a new secret for one-time codes, as a QR code; the old one, open sessions and grants end."""
    box = address_of(address)
    code = act(ctx, lambda desk: desk.people.new_code(box))
    if json:
        screen.as_json(
            {
                "address": str(box),
                "totp_secret": code.totp_secret.reveal(),
                "otpauth": code.provisioning_uri.reveal(),
            }
        )
        return
    screen.line(f"{box}: new code")
    _show_code(code.totp_secret, code.provisioning_uri)


@app.command()
def enrol(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Give a one-time link by which the holder sets password and code in a browser; what opens the box now stays."""
    from mssmail.flow.activation import Activations
    from mssmail.flow.orders import Deed, Waiting

    box, settings = address_of(address), settings_of(ctx)
    if settings.listen.https is None:
        raise Stop(UNUSABLE, "listen.https is off: nobody could open the link")

    async def work(desk: Desk) -> "Opened | Waiting":
        at_once = Activations(desk.house, desk.standing)
        return await desk.orders.carry_out(Deed(Act.ACCOUNT_ENROL, str(box)), lambda: at_once.open(box, by()))

    opened = act(ctx, work)
    if isinstance(opened, Waiting):
        waits(opened)
        return
    show_link(box, opened, settings, json=json)


def show_link(box: "Address", opened: "Opened", settings: "Settings", *, json: bool) -> None:
    """The link by which a box's holder sets what opens it."""
    from mssmail.settings.place import web_address

    assert settings.listen.https is not None
    link = f"{web_address(settings, settings.listen.https)}/enrolment?code={opened.code.reveal()}"
    if json:
        screen.as_json({"address": str(box), "link": link, "expires_at": opened.expires_at})
        return
    screen.line(f"{box}: give the holder this link, by hand or by post, never by mail to the box itself")
    screen.line(link)
    screen.line(f"It serves once, until {screen.date(opened.expires_at)}.")


@app.command(name="recovery-codes")
def recovery_codes(ctx: typer.Context, address: ADDRESS, json: JSON = False) -> None:
    """Give ten new recovery codes, shown once: each stands once for a code, on the sign-in page. Old ones are void."""
    from mssmail.flow.access import Access

    box = address_of(address)

    async def work(desk: Desk) -> "list[Secret]":
        return await Access(desk.house, desk.standing, by()).new_recovery_codes(box)

    codes = [code.reveal() for code in act(ctx, work)]
    if json:
        screen.as_json({"address": str(box), "recovery_codes": codes})
        return
    screen.line(f"{box}: new recovery codes")
    for code in codes:
        screen.line(code)


@app.command(name="revoke-all")
def revoke_all(ctx: typer.Context, address: ADDRESS) -> None:
    """End all that is open: mail sessions, grants, browsers, programs' access. Password, code and cards stay good."""
    from mssmail.flow.access import Access

    box = address_of(address)

    async def work(desk: Desk) -> None:
        await Access(desk.house, desk.standing, by()).revoke_all(box)

    act(ctx, work)
    screen.line(f"{box}: everything ended; give a new password or code where they are known to others")


@app.command()
def signout(ctx: typer.Context, address: ADDRESS) -> None:
    """End the grants: the next sign-in by password asks for a new code."""
    box = address_of(address)
    act(ctx, lambda desk: desk.people.end_grants(box))
    screen.line(f"{box}: a new code is asked for at the next sign-in")


@app.command()
def quota(
    ctx: typer.Context, address: ADDRESS, size: Annotated[str, typer.Argument(metavar="SIZE", help="As 10GiB.")]
) -> None:
    """Set how much a box may hold; what is there stays."""
    box, octets = address_of(address), _size(size)
    act(ctx, lambda desk: desk.people.set_quota(box, octets))
    screen.line(f"{box}: {size}")


app.command()(limits)
