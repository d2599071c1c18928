"""`mssmail account limits`: what an account may send, and where it may sign in from, where that is said of it alone."""

from dataclasses import fields, replace
from typing import Annotated, Final

import typer

from mssmail.base.limits import MAX_NETWORKS, Limits, network
from mssmail.cli import screen
from mssmail.cli.verb import ADDRESS, JSON, UNUSABLE, Desk, Stop, act, address_of

ANY: Final = "any"
DEFAULT: Final = "default"
MAX: Final = 10_000_000

_COUNT: Final = f"COUNT|{DEFAULT}"


def limits(
    ctx: typer.Context,
    address: ADDRESS,
    messages_per_hour: Annotated[str, typer.Option(metavar=_COUNT, help="Messages in an hour; 0: any number.")] = "",
    messages_per_day: Annotated[str, typer.Option(metavar=_COUNT)] = "",
    recipients_per_hour: Annotated[str, typer.Option(metavar=_COUNT, help="Summed over messages.")] = "",
    recipients_per_day: Annotated[str, typer.Option(metavar=_COUNT)] = "",
    recipients_per_message: Annotated[str, typer.Option(metavar=_COUNT)] = "",
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar=f"NETWORK|{ANY}", help="Sign-ins come from here alone, as 192.0.2.0/24; may be repeated."
        ),
    ] = None,
    json: JSON = False,
) -> None:
    """Set, or show, an account's own sending limits and where it may sign in from; open sessions end."""
    box = address_of(address)
    counts = {
        "messages_per_hour": messages_per_hour,
        "messages_per_day": messages_per_day,
        "recipients_per_hour": recipients_per_hour,
        "recipients_per_day": recipients_per_day,
        "recipients_per_message": recipients_per_message,
    }
    wanted = {name: _count(name, text) for name, text in counts.items() if text}
    networks = None if from_ is None else _networks(from_)

    def change(old: Limits) -> Limits:
        new = replace(old, **wanted)  # type: ignore[arg-type]
        return new if networks is None else replace(new, networks=networks)

    async def work(desk: Desk) -> Limits:
        if not wanted and networks is None:
            return (await desk.people.show(box)).limits
        return await desk.people.set_limits(box, change)

    _show(act(ctx, work), json=json)


def _count(name: str, text: str) -> int | None:
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MAX):
        raise Stop(UNUSABLE, f"--{name.replace('_', '-')} {text}: a number up to {MAX}, or {DEFAULT}")
    return int(text)


def _networks(given: list[str]) -> tuple[str, ...]:
    if given == [ANY]:
        return ()
    if len(given) > MAX_NETWORKS:
        raise Stop(UNUSABLE, f"--from: {MAX_NETWORKS} networks at most")
    found = []
    for text in given:
        try:
            found.append(network(text))
        except ValueError as error:
            raise Stop(UNUSABLE, f"--from {text}: {error}") from None
    return tuple(dict.fromkeys(found))


def _show(found: Limits, *, json: bool) -> None:
    content = {each.name: getattr(found, each.name) for each in fields(found)}
    if json:
        screen.as_json(content | {"networks": list(found.networks)})
        return
    shown = {name: DEFAULT if value is None else value or "any number" for name, value in content.items()}
    shown["networks"] = " ".join(found.networks) or ANY
    screen.pairs({name.replace("_", " "): value for name, value in shown.items()})
