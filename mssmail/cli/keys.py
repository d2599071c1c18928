"""`mssmail keys`: the root key, before the first start."""

import typer

from mssmail.cli import screen
from mssmail.cli.verb import REFUSED, Stop, settings_of

app = typer.Typer(
    name="keys", no_args_is_help=True, rich_markup_mode=None, help="The root key, under which all others are wrapped."
)


@app.command()
def init(ctx: typer.Context) -> None:
    """Make the root key that `keys.provider` names, and the data folder. A key that is there is never replaced."""
    from mssmail.app import make_root_key

    settings = settings_of(ctx)
    settings.server.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        path = make_root_key(settings)
    except FileExistsError as error:
        raise Stop(REFUSED, f"{error.filename}: there is a root key already; it stays") from None
    screen.line(f"{path}: made. Keep a copy apart from every backup of the mail: without it nothing can be read again.")
