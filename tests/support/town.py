"""A house with a directory, certificates and people in it, for tests of sign-in, gate and administration."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mssmail.audit.events import Kind
from mssmail.base.address import Address
from mssmail.base.clock import FakeClock
from mssmail.base.principal import BoxKind, Door, Principal
from mssmail.base.rights import FULL, Delegation, Right
from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from mssmail.demo.extract import write_extracts
from mssmail.demo.pki import DemoPki
from mssmail.flow.bans import Bans
from mssmail.flow.bearer import TokenLogin
from mssmail.flow.delegations import Administrator, Delegations
from mssmail.flow.gate import Gate
from mssmail.flow.house import House
from mssmail.flow.people import NewAccount, People
from mssmail.flow.refresh import Refresh
from mssmail.flow.standing import Standing
from mssmail.flow.trust import TrustLists
from mssmail.identity import otp
from mssmail.identity.certificates import Certificates
from mssmail.settings.model import Auth, Settings, Trust
from mssmail.settings.units import Octets
from mssmail.store import trail
from tests.support.houses import Home, settings_for
from tests.support.whitelist import domains

PASSWORD = "vrai-Tulipe7-Quai3-ocre"
HOSPITAL, PATIENTS = "hopital.mssante.fr", "patient.mssante.fr"
WRONG = "faux-Tulipe7-Quai3-ocre"
CLAIRE = "claire.martin"
PAUL = "paul.durand"
ORG = "secretariat.lilas"
APP = "logiciel"
FAST = Auth(argon2_memory=Octets(8 << 20), argon2_time=1)


def address(local: str) -> Address:
    return Address(local, demo.DOMAIN)


def der(cert: Path) -> bytes:
    """The first certificate of a PEM file."""
    certificate = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    return certificate.public_bytes(serialization.Encoding.DER)


class Town:
    """Everything in place, and a clock that only the test moves. `close` it."""

    def __init__(self, folder: Path, auth: Auth = FAST) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.pki = DemoPki.create_or_load(folder / "pki", self.clock)
        self.home = Home(folder, self.clock, settings=self.settings(auth))
        self.population = demo.populate(accounts=2, people=200, boxes=60)
        self.waited: list[float] = []
        self.codes: dict[str, str] = {}
        self.login = self.worker()
        self.people = People(self.house, self.standing, "root")
        self.bans = Bans(self.house, "root")
        self.delegations = Delegations(self.house, self.standing)
        self.refresh = Refresh(self.house, self.standing, "root")

    def settings(self, auth: Auth) -> Settings:
        for slug in ("persons", "organisations"):
            chain = (self.folder / "pki" / f"{slug}.pem").read_bytes() + self.pki.root.pem
            (self.folder / f"{slug}-anchors.pem").write_bytes(chain)
        trust = Trust(self.folder / "persons-anchors.pem", self.folder / "organisations-anchors.pem", self.pki.crls)
        return replace(settings_for(self.folder), trust=trust, auth=auth)

    @property
    def house(self) -> House:
        return self.home.house

    def worker(self) -> TokenLogin:
        """Sign-in as another worker process would have it: it remembers nothing of the others."""
        self.certificates = Certificates(self.home.settings.trust, self.clock)
        self.standing = Standing(self.house, self.certificates)
        self.gate = Gate(self.house, self.standing)
        return TokenLogin(self.house, self.standing, self._pause)

    async def _pause(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def load(self, population: demo.Population | None = None, *, allow_shrink: bool = True) -> None:
        """Put a directory of these people in service."""
        files = write_extracts(self.folder / "extracts", population or self.population, self.clock.now())
        await self.refresh.load((files.activity, files.boxes), allow_shrink=allow_shrink)

    async def list_domains(self, *more: str) -> None:
        """Put a white list in service: our domain, patients', a hospital's and more, of one operator."""
        octets = domains(self.clock.now(), demo.DOMAIN, PATIENTS, HOSPITAL, *more)
        await TrustLists(self.house, "root").load(octets, name="list.xml", allow_shrink=True)

    async def settle_in(self, locals_: Sequence[str] = (CLAIRE, PAUL, ORG, APP)) -> None:
        """Load the directory and open these boxes of the demo's."""
        await self.load()
        await self.list_domains()
        by_address = {account.address: account for account in demo.ACCOUNTS}
        made = await self.people.create_many([self.new(by_address[str(address(local))]) for local in locals_])
        for created in made:
            if created.totp_secret is not None:
                self.codes[created.address.local] = created.totp_secret.reveal()

    def new(self, account: demo.Account) -> NewAccount:
        person = account.holder
        holder = person.national_id if person is not None else (account.structure or demo.CENTRE).structure_id
        password = Secret(PASSWORD) if account.kind is BoxKind.PER else None
        parsed = Address.parse(account.address)
        assert parsed is not None
        return NewAccount(parsed, account.kind, holder, account.name, account.common_name, password)

    def code(self, local: str = CLAIRE) -> str:
        return otp.code_at(self.codes[local], self.clock.now())

    async def delegate(
        self, box: str, to: str, rights: Right = FULL, *, until_at: int | None = None, from_at: int | None = None
    ) -> None:
        """As an administrator does, by local parts; from now on where nothing else is said."""
        given = Delegation(rights, int(self.clock.now()) if from_at is None else from_at, until_at)
        await self.delegations.grant(Administrator("root"), address(box), address(to), given)

    async def undelegate(self, box: str, to: str) -> None:
        await self.delegations.withdraw(Administrator("root"), address(box), address(to))

    async def enter(
        self,
        local: str = CLAIRE,
        password: str = PASSWORD,
        code: str | None = None,
        *,
        client: str = "192.0.2.1",
        protocol: str = "imap",
        authzid: str = "",
        login: TokenLogin | None = None,
    ) -> Principal:
        """Sign in by password, with the current code where none is given."""
        secret = password + (self.code(local) if code is None else code)
        door = Door(protocol, client)
        return await (login or self.login).by_password(door, authzid, str(address(local)), Secret(secret))

    def events(self) -> list[tuple[str, int, str, dict[str, object]]]:
        """The trail: kind, account, outcome and what else it says."""
        return [
            (Kind(row.kind).label, row.account_id, str(said["o"]), said)
            for row in trail.events_of(self.home.tx(), self.home.chain, 0, 10_000)
            for said in [self.house.trail.open(row)]
        ]

    def close(self) -> None:
        self.home.close()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """One whose people have moved in."""
    built = Town(tmp_path)
    await built.settle_in()
    yield built
    built.close()
