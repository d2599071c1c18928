"""`mssmail init`: a new server's configuration, keys and certificates, and what to do next.

Asks for what no option gives, unless told not to (`--yes`). Replaces nothing: a configuration that is there ends it, a
key or certificate that is there is used.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mssmail.cli import screen
from mssmail.cli.verb import REFUSED, UNUSABLE, Stop, config_of

if TYPE_CHECKING:
    from mssmail.settings.model import Settings, Tls, Trust

DEMO: Final = "demo"
SYSTEM_CONFIG: Final = Path("/etc/mssmail/mssmail.toml")
SYSTEM_DATA: Final = Path("/var/lib/mssmail")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the new server shall be."""

    config: Path
    data: Path
    domains: tuple[str, ...]
    name: str
    certificate: Path | None
    """None: made here."""
    key: Path | None
    anchors: tuple[str, ...]
    """`demo` alone, or files; empty: none yet."""

    @property
    def folder(self) -> Path:
        """Where the configuration lies, and the keys beside it: apart from the data."""
        return self.config.parent


def init(
    ctx: typer.Context,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Data folder: the mail.")] = None,
    domain: Annotated[list[str] | None, typer.Option(metavar="DOMAIN", help="A mail domain; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(metavar="HOST", help="The name that clients call it by.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The server's certificate, PEM; without it one is made.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The key of --certificate, PEM.")] = None,
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="demo|FILE",
            help="CA certificates (PEM) and revocation lists of those who sign in by certificate; may be repeated. "
            "demo: a made-up hierarchy, for trials alone.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: options and defaults are the answers.")] = False,
) -> None:
    """Found a new server: a commented configuration (--config FILE), root key, certificates. Replaces nothing."""
    if not yes and not sys.stdin.isatty():
        raise Stop(UNUSABLE, "no terminal to ask on: give options and --yes")
    if (certificate is None) is not (key is None):
        raise Stop(UNUSABLE, "--certificate and --key go together")
    root = os.geteuid() == 0
    config = config_of(ctx) or (SYSTEM_CONFIG if root and data is None else Path("mssmail.toml"))
    if config.exists():
        raise Stop(REFUSED, f"{config}: there is a configuration already; nothing was changed")
    given = _given(config, data, domain, name, anchors, yes=yes)
    wanted = replace(given, certificate=certificate, key=key)
    _found(wanted)


def _given(
    config: Path,
    data: Path | None,
    domains: list[str] | None,
    name: str | None,
    anchors: list[str] | None,
    *,
    yes: bool,
) -> _Wanted:
    """Options first, then answers, then defaults. Raises Stop where there is no default."""

    def ask(question: str, default: str) -> str:
        return default if yes else str(typer.prompt(question, default=default, err=True)).strip()

    folder = config.absolute().parent
    if data is None:
        usual = SYSTEM_DATA if config.absolute() == SYSTEM_CONFIG else folder / "data"
        data = Path(ask("Folder of the mail", str(usual)))
    if not domains:
        if yes:
            raise Stop(UNUSABLE, "--domain must be given: the mail domain of the boxes")
        domains = str(typer.prompt("Mail domains, separated by spaces", err=True)).split()
    lower = tuple(d.lower() for d in domains)
    name = name or ask("Name of the server, as clients will call it", f"mail.{lower[0]}")
    if anchors is None:
        answer = ask("Anchors: files of IGC-Santé's CAs and lists, `demo` for a trial, or none", "none")
        anchors = [] if answer == "none" else answer.split()
    if DEMO in anchors and len(anchors) > 1:
        raise Stop(UNUSABLE, "--anchors demo stands alone")
    return _Wanted(config.absolute(), data.absolute(), lower, name, None, None, tuple(anchors))


def _found(wanted: _Wanted) -> None:
    """Make the files, the configuration last, and tell what comes next. Raises Stop."""
    from mssmail.app import make_root_key
    from mssmail.flow.foundation import Unfit, write_new
    from mssmail.settings import describe
    from mssmail.settings.check import check
    from mssmail.settings.model import Admin, Keys, Server, Settings
    from mssmail.settings.place import SYSTEM_SOCKET

    settings = Settings(
        server=Server(name=wanted.name, domains=wanted.domains, data=wanted.data),
        keys=Keys(provider=(wanted.folder / "root.key").as_uri()),
        # with the system's own places, where administrators look for it and who runs the server makes the folder
        admin=Admin(socket=SYSTEM_SOCKET) if wanted.config == SYSTEM_CONFIG else Admin(),
    )
    faults = [f"{key}: {text}" for key, text in check(settings) if not key.startswith("tls.")]
    if faults:
        raise Stop(UNUSABLE, *faults)
    made_certificate = wanted.certificate is None
    wanted.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        tls, trust = _certificates(wanted)
    except Unfit as error:
        raise Stop(UNUSABLE, str(error)) from None
    settings = replace(settings, tls=tls, trust=trust)
    wanted.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        make_root_key(settings)
        key_told = "made"
    except FileExistsError:
        key_told = "was there, and is used"
    try:
        write_new(wanted.config, describe.commented(settings).encode())
    except FileExistsError:
        raise Stop(REFUSED, f"{wanted.config}: there is a configuration already; it stays") from None
    screen.pairs(
        {
            "configuration": wanted.config,
            "data": wanted.data,
            "root key": f"{wanted.folder / 'root.key'} ({key_told})",
            "certificate": f"{tls.certificate}{' (made here)' if made_certificate else ''}",
            "anchors": ", ".join(wanted.anchors) or "none",
        }
    )
    _next_steps(wanted, settings)


def _certificates(wanted: _Wanted) -> "tuple[Tls, Trust]":
    """The server's certificate and the anchors; made where they are missing. Raises Unfit."""
    from mssmail.base.clock import SystemClock
    from mssmail.flow.foundation import self_made, sorted_anchors
    from mssmail.settings.model import Tls, Trust

    given = None
    if wanted.certificate is not None and wanted.key is not None:
        given = Tls(wanted.certificate.absolute(), wanted.key.absolute())
    if wanted.anchors == (DEMO,):
        from mssmail.cli.demo import demo_hierarchy

        made, trust = demo_hierarchy(wanted.folder / "pki", wanted.name)
        return given or made, trust
    trust = Trust()
    if wanted.anchors:
        trust = sorted_anchors([Path(a).expanduser() for a in wanted.anchors], wanted.folder / "anchors")
    if given is None:
        pair = self_made(wanted.folder / "tls", (wanted.name,), SystemClock())
        given = Tls(pair.certificate, pair.key)
    return given, trust


def _next_steps(wanted: _Wanted, settings: "Settings") -> None:
    call = f"mssmail --config {wanted.config}"
    steps = [
        f"Keep a copy of {wanted.folder / 'root.key'} apart from every backup of the mail: nothing opens without it.",
    ]
    if wanted.certificate is None and wanted.anchors != (DEMO,):
        steps.append(f"Put a certificate that clients trust in the place of {settings.tls.certificate}.")
    if wanted.anchors == (DEMO,):
        steps.append("The demo's CA keys lie beside its certificates: never serve real mail with them.")
    if not wanted.anchors:
        steps.append(
            "For sign-in by certificate: set trust.persons_ca, organisations_ca and crls to IGC-Santé's files."
        )
    if os.geteuid() == 0:
        steps.append(f"Give them to the user that the server runs as: chown -R USER {wanted.folder} {wanted.data}")
    steps += [
        f"{call} directory import PS_LibreAcces_….zip Extraction_Correspondance_MSSante_….zip",
        f"{call} account create NAME@{wanted.domains[0]} --holder NATIONAL-ID",
        f"{call} admin add NAME --role security-officer  (a user of this machine; then the other administrators)",
        f"{call} doctor",
        f"{call} serve",
    ]
    screen.line("\nNext:")
    for number, step in enumerate(steps, 1):
        screen.line(f"  {number}. {step}")
