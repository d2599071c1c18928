"""A demo from its folder to its listeners: settings, PKI, furnished house, and what is told once all accept.

Everything lies under one folder, marked as a demo's, so that `--fresh` empties no other. A second start keeps what is
there. The contract with outside checks is `demo.json`.
"""

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mssmail.app import assembled, make_root_key
from mssmail.base.clock import SystemClock
from mssmail.demo.apart import apart
from mssmail.demo.furnish import Company, Furnishing, OnProgress, Openers
from mssmail.demo.neighbours import TrustSpace, named, publish, settle
from mssmail.demo.people import CAST, Account, Cast
from mssmail.demo.pki import DemoPki, Leaf
from mssmail.demo.report import HOST, SERVER_NAME, Shown, Told, demo_json, show
from mssmail.files import write_whole
from mssmail.flow.standing import Standing
from mssmail.servers.net.listener import Place
from mssmail.settings import describe
from mssmail.settings.kind import Port
from mssmail.settings.load import load
from mssmail.settings.model import Keys, Listen, Log, Server, Settings, Tls, Trust
from mssmail.settings.place import file_of
from mssmail.supervise import AlreadyRunning, holder

MARK: Final = "demo.mark"
OPENERS: Final = "credentials.json"
ANNOUNCED: Final = "demo.json"
CONFIG: Final = "mssmail.toml"
ROOT_KEY: Final = "root.key"
OURS: Final = (
    *("bodies", "directory", "extracts", "keys", "operators", "pki", "revocation", "run", "trust"),
    *("mail.db*", "admin.sock", f"{ANNOUNCED}*", f"{CONFIG}*", f"{OPENERS}*", f"{ROOT_KEY}*"),
)
"""What a demo writes in its folder, beside its mark."""
OPERATORS: Final = "operators"
"""Where the other operators of a federation have their folders."""
OFFSETS: Final = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "https": 443,
    "metrics": 80,
}


class NotADemo(Exception):
    """The folder holds something else; the text says which."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A demo that only has to listen."""

    data: Path
    settings: Settings
    ca: Path
    cast: Cast
    accounts: tuple[Shown, ...]
    revoked: tuple[tuple[Leaf, str], ...]
    space: TrustSpace

    @property
    def config(self) -> Path:
        """Where the configuration in force is written."""
        return self.data / CONFIG

    def read_again(self) -> Settings:
        """The configuration in force as it was written, and edited since. Raises ConfigError.

        The ports are those asked for: 0 is what the system was let choose.
        """
        return replace(load(self.config), listen=self.settings.listen)

    def announce(self, places: dict[str, Place]) -> None:
        """Write the configuration in force and demo.json, and print the table: every listener accepts."""
        ports = {name: place.port for name, place in places.items()}
        self.describe(ports, os.getpid())
        show([self.told(ports)], SystemClock().now())

    def describe(self, ports: Mapping[str, int], pid: int) -> None:
        """Write the configuration in force and demo.json."""
        in_force = replace(self.settings, listen=_with_ports(self.settings.listen, ports))
        write_whole(self.config, describe.dump(in_force).encode())
        described = demo_json(pid, ports, self.ca, self.cast, self.accounts, self.revoked, self.space)
        write_whole(self.data / ANNOUNCED, described)

    def told(self, ports: Mapping[str, int]) -> Told:
        """What people are told of it."""
        return Told(self.data, self.ca, ports, self.cast, self.accounts)


@dataclass(frozen=True, slots=True)
class Demo:
    """What was asked for. `port_base` 0: the system chooses each port."""

    data: Path
    port_base: int = 20_000
    accounts: int = 0
    workers: int = 1

    def prepare(self, config: Path | None, *, fresh: bool, on_progress: OnProgress = lambda share: None) -> Prepared:
        """Make the folder, or take up what lies there.

        Raises NotADemo, AlreadyRunning, ConfigError, Refusal, Unusable.
        """
        stand = Stand(self.data, CAST, self._settings())
        settings = stand.take(config, fresh=fresh)
        company = stand.company((CAST,), self.accounts)
        pki = hierarchy(self.data)
        own, space = pki.server((SERVER_NAME, HOST, "::1")), settle(pki)
        on_progress(0.05)
        with ThreadPoolExecutor(1) as issuing:
            # beside Argon2, which leaves the interpreter free
            leaves = issuing.submit(lambda: stand.leaves(pki, company))
            apart(lambda tell: stand.furnish(settings, company, named(space, own), tell), on_progress)
        return stand.prepared(settings, pki, leaves.result(), space)

    def _settings(self) -> Settings:
        """The product's defaults, but for places, names, and what isn't capped on loopback."""
        pki = self.data / "pki"
        return base_settings(
            self.data,
            pki,
            CAST,
            {name: self.port_base + offset if self.port_base else 0 for name, offset in OFFSETS.items()},
            Tls(certificate=pki / "leaf" / "server.pem", key=pki / "leaf" / "server.key"),
            self.workers,
        )


def base_settings(data: Path, pki: Path, cast: Cast, ports: Mapping[str, int], tls: Tls, workers: int) -> Settings:
    """The product's defaults, but for places, names, and what isn't capped on loopback."""
    return Settings(
        server=Server(name=SERVER_NAME, domains=(cast.domain,), data=data, workers=workers, loopback_unlimited=True),
        listen=Listen(host=HOST, metrics_host=HOST, **{name: Port(port) for name, port in ports.items()}),
        tls=tls,
        trust=Trust(
            persons_ca=pki / "persons-chain.pem",
            organisations_ca=pki / "organisations-chain.pem",
            operators_ca=pki / "organisations-chain.pem",
            crls=tuple(pki / f"{name}.crl" for name in ("root", "persons", "organisations")),
        ),
        keys=Keys(provider=(data / ROOT_KEY).as_uri()),
        log=Log(level="warning", format="console"),
    )


def hierarchy(data: Path) -> DemoPki:
    """The CAs in a demo's folder, and a file for each purpose: the CA, and the root above it."""
    pki = DemoPki.create_or_load(data / "pki", SystemClock())
    for authority in (pki.persons, pki.organisations):
        write_whole(data / "pki" / f"{authority.slug}-chain.pem", authority.pem + pki.root.pem)
    return pki


@dataclass(frozen=True, slots=True)
class Stand:
    """One operator's folder, people and settings of the demo's own, from which it is made ready step by step."""

    data: Path
    cast: Cast
    settings: Settings

    def take(self, config: Path | None, *, fresh: bool) -> Settings:
        """Take the folder, with the settings in `config` laid over. Raises NotADemo, AlreadyRunning, ConfigError."""
        settings = load(*([] if config is None else [config]), start=self.settings)
        self._take_folder(fresh=fresh)
        root = file_of(settings.keys.provider)
        if root is not None and not root.exists() and not (self.data / OPENERS).exists():
            make_root_key(settings)
        return settings

    def company(self, casts: tuple[Cast, ...], accounts: int) -> Company:
        """Its own cast and others; at least as many boxes as an earlier start was asked for."""
        return Company(casts, max(accounts, Openers(self.data / OPENERS).bulk_count(self.cast)))

    def leaves(self, pki: DemoPki, company: Company) -> list[tuple[Account, Leaf]]:
        """Its accounts with their certificates."""
        return [(account, _leaf(pki, account)) for account in company.own_accounts()]

    def furnish(
        self, settings: Settings, company: Company, listed: Sequence[tuple[str, str]], on_progress: OnProgress
    ) -> None:
        """Directory, accounts, white list. Raises Refusal."""
        with assembled(settings) as assembly:
            standing = Standing(assembly.house, assembly.certificates())
            openers = Openers(self.data / OPENERS)
            work = Furnishing(assembly.house, standing, openers, company, self.data / "extracts")
            asyncio.run(work.furnish(lambda share: on_progress(0.05 + 0.85 * share)))
            asyncio.run(publish(assembly.house, listed))

    def prepared(
        self, settings: Settings, pki: DemoPki, leaves: Iterable[tuple[Account, Leaf]], space: TrustSpace
    ) -> Prepared:
        openers = Openers(self.data / OPENERS)
        shown = tuple(Shown(account, leaf, openers.of(account.address)) for account, leaf in leaves)
        someone = next(account for account in self.cast.accounts if account.holder is not None)
        assert someone.holder is not None
        holder = someone.holder
        revoked = pki.revoked_person(holder.national_id, holder.surname, holder.given_name, holder.title)
        return Prepared(self.data, settings, pki.anchors, self.cast, shown, ((revoked, someone.address),), space)

    def _take_folder(self, *, fresh: bool) -> None:
        """Make the folder a demo's own; with `fresh`, remove what a demo wrote there, and nothing else."""
        data, mark = self.data, self.data / MARK
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        ours = [entry for pattern in OURS for entry in data.glob(pattern)]
        if ours and not mark.exists():
            raise NotADemo(f"{data}: holds {ours[0].name}, which no demo made; nothing was touched")
        self._refuse_running()
        mark.write_text("mssmail demo: `mssmail demo --fresh` removes what it wrote here\n", encoding="utf-8")
        (data / ANNOUNCED).unlink(missing_ok=True)
        for entry in ours if fresh else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    def _refuse_running(self) -> None:
        """Raises AlreadyRunning while another demo serves this folder, before anything in it is touched."""
        for data in (self.data, *self.data.glob(f"{OPERATORS}/*")):
            pid = holder(data / "run")
            if pid is not None:
                raise AlreadyRunning(f"process {pid or '?'} serves {data} already")


def _with_ports(listen: Listen, ports: Mapping[str, int]) -> Listen:
    return Listen(
        host=listen.host,
        metrics_host=listen.metrics_host,
        **{name: Port(ports[name]) if name in ports else None for name in OFFSETS},
    )


def _leaf(pki: DemoPki, account: Account) -> Leaf:
    holder, structure = account.holder, account.structure
    if holder is not None:
        return pki.person(holder.national_id, holder.surname, holder.given_name, holder.title)
    assert structure is not None
    return pki.organisation(account.common_name, structure.structure_id, structure.name, "Paris (75)")
