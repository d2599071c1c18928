"""What the demo tells: demo.json for programs, a table and Thunderbird's settings for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyotp

from mssmail.demo.furnish import Opener
from mssmail.demo.neighbours import TrustSpace
from mssmail.demo.people import Account, Cast
from mssmail.demo.pki import Leaf

if TYPE_CHECKING:
    from rich.console import Console

HOST = "127.0.0.1"
SERVER_NAME = "localhost"
CHANGED = "(changed)"
"""Stands for a password or code that an administrator has changed since; demo.json has null."""
MOST_SHOWN = 20
"""Rows of the table; `--accounts` makes too many to read."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An account with all that opens it."""

    account: Account
    leaf: Leaf
    opener: Opener | None

    def as_json(self) -> dict[str, object]:
        account, holder = self.account, self.account.holder
        out: dict[str, object] = {"address": account.address, "login": account.address, "name": account.name}
        if holder is not None:
            out |= {"national_id": holder.national_id, "profession": holder.profession}
        elif account.structure is not None:
            out |= {"structure_id": account.structure.structure_id, "common_name": account.common_name}
        out["kind"] = account.kind.value
        if account.delegates:
            out["delegates"] = list(account.delegates)
        if self.opener is not None:
            out |= {"password": self.opener.password, "totp_secret": self.opener.totp_secret}
        return out | {"cert": str(self.leaf.cert), "key": str(self.leaf.key)}


def demo_json(
    pid: int,
    ports: Mapping[str, int],
    ca: Path,
    cast: Cast,
    accounts: Sequence[Shown],
    revoked: Sequence[tuple[Leaf, str]],
    space: TrustSpace,
) -> bytes:
    """The file that outside checks are driven by."""
    content = {
        "host": HOST,
        "server_name": SERVER_NAME,
        "pid": pid,
        "ports": dict(ports),
        "ca": str(ca),
        "domain": cast.domain,
        "accounts": [each.as_json() for each in accounts],
        "refused": [{"address": r.address, "reason": r.reason.value} for r in cast.refused],
        **space.as_json(),
        "revoked": [{"cert": str(leaf.cert), "key": str(leaf.key), "address": address} for leaf, address in revoked],
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Told:
    """A demo that accepts, as people are told of it."""

    data: Path
    ca: Path
    ports: Mapping[str, int]
    cast: Cast
    accounts: Sequence[Shown]


def show(demos: Sequence[Told], now: float) -> None:
    """Print who may sign in and how, then `ready`. A reader that has gone is no fault of the server's."""
    try:
        _show(demos[0], now)
        for other in demos[1:]:
            _show_other(other, now)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    except OSError:
        pass


def _show(demo: Told, now: float) -> None:
    console, imaps, submissions = _table(demo, now), demo.ports.get("imaps"), demo.ports.get("submissions")
    _plain(
        console,
        f"""A code lasts 30 s and serves once; `demo.json` has the secret for an authenticator app.

Refused as recipients: {", ".join(f"{r.address} ({r.reason.value})" for r in demo.cast.refused)}

In Thunderbird, first trust {demo.ca} as an authority (Settings, Certificates), then add an account by hand:
  IMAP {SERVER_NAME} port {imaps} SSL/TLS, SMTP {SERVER_NAME} port {submissions} SSL/TLS,
  user name: the whole address; password: the password and, straight after it, the current code.

Portal: https://{SERVER_NAME}:{demo.ports.get("https")}/ (by certificate, or password and code)

Everything is under {demo.data}; act on it with mssmail --config {demo.data / "mssmail.toml"} VERB""",
    )


def _show_other(demo: Told, now: float) -> None:
    """A further operator, in short."""
    ports = demo.ports
    sys.stdout.write(f"\nOperator {demo.cast.domain}:\n")
    _plain(
        _table(demo, now),
        f"""IMAP port {ports.get("imaps")}, SMTP port {ports.get("submissions")}, both SSL/TLS; \
portal: https://{SERVER_NAME}:{ports.get("https")}/
mssmail --config {demo.data / "mssmail.toml"} VERB""",
    )


def _table(demo: Told, now: float) -> "Console":
    """Print who may sign in; where more can be printed."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, accounts = Console(highlight=False, width=None if sys.stdout.isatty() else 160), demo.accounts
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("who", overflow="fold")
    for heading in ("address (login)", "password", "code now"):
        table.add_column(heading, no_wrap=True, overflow="fold")  # people type these: never cut
    for each in accounts[:MOST_SHOWN]:
        opener = each.opener
        cells = [each.account.name, each.account.address]
        cells += ["(certificate)", ""] if opener is None else [opener.password or CHANGED, _code(opener, now)]
        table.add_row(*map(Text, cells))
    console.print(table)
    if len(accounts) > MOST_SHOWN:
        _plain(console, f"and {len(accounts) - MOST_SHOWN} more, to {accounts[-1].account.address}: see demo.json")
    return console


def _plain(console: "Console", text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _code(opener: Opener, now: float) -> str:
    """The code that an authenticator shows (RFC 6238)."""
    if opener.totp_secret is None:
        return CHANGED
    totp = pyotp.TOTP(opener.totp_secret)
    return totp.generate_otp(int(now) // totp.interval)
