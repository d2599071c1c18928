"""`mssmail config`: is the configuration sound, what is in force, what could be set."""

from typing import Annotated

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, UNUSABLE, Stop, config_of, settings_of

app = typer.Typer(name="config", no_args_is_help=True, rich_markup_mode=None, help="Check and show the configuration.")


@app.command()
def check(ctx: typer.Context) -> None:
    """Tell every fault at once, with its file, line and key; status 2 where there is one."""
    from mssmail.settings.check import check_files

    settings = settings_of(ctx)
    faults = check_files(settings)
    if faults:
        raise Stop(UNUSABLE, *map(str, faults))
    screen.line(f"{config_of(ctx) or 'environment'}: sound")


@app.command()
def show(ctx: typer.Context, json: JSON = False) -> None:
    """Print the settings in force, passwords masked."""
    from mssmail.settings import describe

    settings = settings_of(ctx)
    if json:
        screen.as_json(describe.values(settings))
    else:
        screen.line(describe.show(settings).rstrip("\n"))


@app.command()
def reference(
    key: Annotated[str, typer.Argument(metavar="[SECTION[.KEY]]", help="Only this section or setting.")] = "",
) -> None:
    """Print every setting with its sentence, form and default."""
    from mssmail.settings import describe
    from mssmail.settings.model import all_settings

    if not key:
        screen.line(describe.reference().rstrip("\n"))
        return
    found = [s for s in all_settings() if key in (s.name, s.section)]
    if not found:
        raise Stop(UNUSABLE, f"{key}: no such section or setting")
    for setting in found:
        screen.line(f"{setting.name} = {setting.kind.write(setting.default)}")
        screen.line(f"    {setting.sentence} [{setting.kind.form}]")
