"""`mssmail queue`: mail on its way to other operators, where it is, and what to do about it. Never its content."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mssmail.cli import screen
from mssmail.cli.verb import JSON, REFUSED, UNUSABLE, Desk, Stop, act, by, moment_of

if TYPE_CHECKING:
    from mssmail.flow.queue_desk import QueueDesk, ShownMessage, ShownRecipient

app = typer.Typer(name="queue", no_args_is_help=True, rich_markup_mode=None, help="Mail on its way to other operators.")

IDENT = Annotated[str, typer.Argument(metavar="ID", help="The message's id, as its sender's server was told it.")]
DOMAIN = Annotated[str, typer.Argument(metavar="DOMAIN")]


def _desk(desk: Desk) -> "QueueDesk":
    from mssmail.flow.queue_desk import QueueDesk

    return QueueDesk(desk.house, by())


@app.command(name="list")
def list_(
    ctx: typer.Context,
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="To this domain alone.")] = "",
    limit: Annotated[int, typer.Option(metavar="COUNT", min=1, max=10_000, help="Recipients shown at most.")] = 100,
    json: JSON = False,
) -> None:
    """Show what waits, the oldest first."""
    found = act(ctx, lambda desk: _desk(desk).waiting(domain or None, limit))
    if json:
        screen.as_json([_content(message) for message in found])
        return
    if not found:
        screen.line("nothing waits")
        return
    rows = (
        (m.ident, screen.date(m.created_at), m.sender or "<>", r.address, r.state, r.attempts, r.cause, _next(r))
        for m in found
        for r in m.recipients
    )
    screen.table(("id", "since", "from", "to", "state", "attempts", "last", "next"), rows)


@app.command()
def show(ctx: typer.Context, ident: IDENT, json: JSON = False) -> None:
    """Show where a message is: each recipient, and each attempt with its peer, TLS and answer."""
    found = act(ctx, lambda desk: _desk(desk).show(ident))
    if found is None:
        raise Stop(REFUSED, f"{ident}: no such message; its trace is kept for queue.trace after its end")
    if json:
        screen.as_json(_content(found))
        return
    screen.pairs(
        {
            "id": found.ident,
            "from": found.sender or "<>",
            "account": found.account or None,
            "size": screen.size(found.size_octets),
            "queued": screen.date(found.created_at),
            "given up": screen.date(found.expires_at),
            "ended": screen.date(found.ended_at),
        }
    )
    for recipient in found.recipients:
        screen.line("")
        screen.pairs({"to": recipient.address, "state": recipient.state, "next attempt": _next(recipient)})
        for each in recipient.trace:
            hop, tried = each.tried.hop, each.tried
            where = "" if hop is None else f"{hop.host} [{hop.client}] {hop.tls} {hop.cipher} {hop.operator}".rstrip()
            said = str(tried.answer) if tried.answer is not None else tried.detail
            doubt = " (sent whole, no reply)" if tried.in_doubt else ""
            screen.line(screen.printable(f"  {screen.date(each.at)}  {each.cause}{doubt}  {where}  {said}".rstrip()))


@app.command()
def retry(
    ctx: typer.Context,
    ident: Annotated[str, typer.Argument(metavar="[ID]", help="One message.")] = "",
    domain: Annotated[str, typer.Option(metavar="DOMAIN", help="All to this domain.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All that waits.")] = False,
) -> None:
    """Try at once what waits for its next attempt."""
    if [bool(ident), bool(domain), everything].count(True) != 1:
        raise Stop(UNUSABLE, "give a message's id, --domain or --all")
    _change(ctx, ident or domain or "all", "due now", lambda desk: desk.retry(ident or None, domain or None))


@app.command()
def hold(ctx: typer.Context, ident: IDENT) -> None:
    """Keep a message back until it is released; its lifetime goes on."""
    _change(ctx, ident, "held", lambda desk: desk.hold(ident))


@app.command()
def release(ctx: typer.Context, ident: IDENT) -> None:
    """Let a held message go."""
    _change(ctx, ident, "released", lambda desk: desk.release(ident))


@app.command()
def drop(ctx: typer.Context, ident: IDENT) -> None:
    """Give a message up for the recipients that don't have it; its sender isn't told."""
    _change(ctx, ident, "dropped", lambda desk: desk.drop(ident))


def _change(ctx: typer.Context, what: str, done: str, work: "Callable[[QueueDesk], Coroutine[Any, Any, int]]") -> None:
    count = act(ctx, lambda desk: work(_desk(desk)))
    if not count:
        raise Stop(REFUSED, f"{what}: no recipient is in a state for that; `mssmail queue show` tells")
    screen.line(f"{what}: {count} {'recipient' if count == 1 else 'recipients'} {done}")


@app.command(name="pause-domain")
def pause_domain(ctx: typer.Context, domain: DOMAIN) -> None:
    """Give nothing more to a domain; what is sent to it waits."""
    act(ctx, lambda desk: _desk(desk).pause(domain))
    screen.line(f"{domain}: paused; mssmail queue resume-domain {domain} ends that")


@app.command(name="resume-domain")
def resume_domain(ctx: typer.Context, domain: DOMAIN) -> None:
    """Give mail to a paused domain again."""
    act(ctx, lambda desk: _desk(desk).resume(domain))
    screen.line(f"{domain}: resumed")


@app.command()
def stats(ctx: typer.Context, json: JSON = False) -> None:
    """Show what waits for each domain, and how the operator there fares."""
    found = act(ctx, lambda desk: _desk(desk).domains())
    if json:
        screen.as_json(
            [
                {
                    "domain": d.name,
                    "recipients": dict(d.counts),
                    "next_at": d.next_at,
                    "failures": d.failures,
                    "retry_at": d.retry_at,
                    "cause": d.cause or None,
                    "paused": d.paused,
                }
                for d in found
            ]
        )
        return
    busy = [d for d in found if d.counts or d.failures or d.paused]
    if not busy:
        screen.line("nothing waits")
        return
    names = ("waiting", "sending", "held")
    rows = (
        (
            d.name,
            *(d.counts.get(name, 0) for name in names),
            "paused" if d.paused else screen.date(d.next_at),
            f"{d.cause}, {d.failures} in a row" if d.failures else "",
        )
        for d in busy
    )
    screen.table(("domain", *names, "next", "trouble"), rows)


@app.command(name="tls-report")
def tls_report(
    ctx: typer.Context,
    day: Annotated[str, typer.Option(metavar="DATE", help="As 2026-11-24, in UTC; else yesterday.")] = "",
) -> None:
    """Show how TLS to other operators' hosts went on a day, as a JSON report (RFC 8460 §4.4)."""
    from mssmail.flow import tls_report as reports

    at = moment_of(day) if day else None
    if day and at is None:
        raise Stop(UNUSABLE, f"--day {day}: not a date")

    async def work(desk: Desk) -> dict[str, object]:
        return await reports.report(desk.house, at)

    screen.as_json(act(ctx, work))


def _next(recipient: "ShownRecipient") -> str:
    return screen.date(recipient.due_at)


def _content(message: "ShownMessage") -> dict[str, object]:
    return {
        "id": message.ident,
        "account": message.account or None,
        "sender": message.sender,
        "octets": message.size_octets,
        "queued_at": message.created_at,
        "expires_at": message.expires_at,
        "ended_at": message.ended_at,
        "recipients": [_recipient(each) for each in message.recipients],
    }


def _recipient(recipient: "ShownRecipient") -> dict[str, object]:
    return {
        "address": recipient.address,
        "state": recipient.state,
        "attempts": recipient.attempts,
        "next_at": recipient.due_at,
        "changed_at": recipient.changed_at,
        "cause": recipient.cause or None,
        "trace": [
            {
                "attempt": each.attempt,
                "at": each.at,
                "cause": each.cause,
                "in_doubt": each.tried.in_doubt,
                "host": each.tried.hop and each.tried.hop.host,
                "client": each.tried.hop and each.tried.hop.client,
                "tls": each.tried.hop and each.tried.hop.tls,
                "cipher": each.tried.hop and each.tried.hop.cipher,
                "operator": each.tried.hop and each.tried.hop.operator,
                "answer": None if each.tried.answer is None else str(each.tried.answer),
                "finding": each.tried.detail or None,
            }
            for each in recipient.trace
        ],
    }
