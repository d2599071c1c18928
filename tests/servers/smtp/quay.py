"""The port of other operators over real sockets and TLS, before a town's true gate; and operators that call at it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cryptography import x509

from mssmail.base.dn import DistinguishedName
from mssmail.demo.pki import Leaf
from mssmail.flow.gate import Gate
from mssmail.flow.operators import Operators
from mssmail.flow.patients import Correspondence, Patients
from mssmail.flow.sessions import Sessions
from mssmail.flow.standing import Standing
from mssmail.flow.trust import TrustLists
from mssmail.identity.certificates import Certificates
from mssmail.servers.net.tls import server_context
from mssmail.servers.smtp.roles import Role
from mssmail.servers.smtp.server import OperatorServer
from mssmail.settings.model import Settings
from tests.servers.smtp.harbour import PATIENCE_S, Client, Ports
from tests.support.town import CLAIRE, PAUL, Town, address
from tests.support.whitelist import white_list

HOSPITAL, LABORATORY, PATIENTS = "hopital.mssante.fr", "labo.mssante.fr", "patient.mssante.fr"
DOCTOR = f"dr.house@{HOSPITAL}"
INS = "185057800608491"
PATIENT = f"{INS}@{PATIENTS}"
CLAIRE_HERE, PAUL_HERE = str(address(CLAIRE)), str(address(PAUL))


def subject_of(leaf: Leaf) -> DistinguishedName:
    """A certificate's subject as the white list prints it."""
    certificate = x509.load_pem_x509_certificates(leaf.cert.read_bytes())[0]
    parsed = DistinguishedName.parse(certificate.subject.rfc4514_string())
    assert parsed is not None
    return parsed


class Quay(Ports):
    """The operators' port of a town that has settled in. `berth`, then `close`."""

    def __init__(
        self, town: Town, settings: Settings | None = None, correspondence: Correspondence | None = None
    ) -> None:
        self.town = town
        given = settings or town.home.settings
        trust = replace(given.trust, operators_ca=given.trust.organisations_ca)
        super().__init__(
            town.home,
            town.pki,
            replace(given, trust=trust),
            town.login,
            town.gate,
            Sessions(town.house, town.standing),
        )
        self.correspondence = correspondence
        self.hospital = self.pki.organisation("smtp.hopital.mssante.fr", "1750000002", "HÔPITAL", "Puy-de-Dôme (63)")
        self.laboratory = self.pki.organisation("smtp.labo.mssante.fr", "1750000003", "LABO", "Paris (75)")
        self.server: OperatorServer | None = None

    async def berth(self) -> None:
        house = self.home.with_settings(self.settings)
        self.certificates = Certificates(self.settings.trust, self.home.clock)
        standing = Standing(house, self.certificates)
        patients = Patients(house, self.correspondence)
        gate = Gate(house, standing, patients)
        tls = server_context(self.settings)
        server = self.server = OperatorServer(house, Operators(house, standing, patients), gate, tls=tls)
        self._listeners[Role.SMTP] = await asyncio.get_running_loop().create_server(server.factory, "127.0.0.1", 0)
        await self.list_operators()

    async def list_operators(self, *more: tuple[str, DistinguishedName]) -> None:
        """Put a white list in service: the hospital's domain and patients', the laboratory's, ours, and more."""
        own = subject_of(self.pki.server())
        entries = (
            (HOSPITAL, subject_of(self.hospital)),
            (PATIENTS, subject_of(self.hospital)),
            (LABORATORY, subject_of(self.laboratory)),
            ("demo.mssante.fr", own),
            *more,
        )
        octets = white_list(self.home.clock.now(), *entries)
        await TrustLists(self.town.house, "root").load(octets, name="list.xml", allow_shrink=True)

    async def call(self, leaf: Leaf | None, ehlo: str = "smtp.hopital.mssante.fr") -> Client:
        """An operator's connection after STARTTLS and EHLO."""
        client = await self.enter(Role.SMTP, leaf)
        assert (await client.ask(f"EHLO {ehlo}")).startswith("250-localhost")
        return client

    def client_context(self, leaf: Leaf | None = None) -> ssl.SSLContext:
        context = super().client_context()
        if leaf is not None:
            context.load_cert_chain(leaf.cert, leaf.key)
        return context

    async def send(
        self, client: Client, message: bytes, *recipients: str, sender: str = DOCTOR, parameters: str = ""
    ) -> str:
        """A whole transaction; the reply that ended it."""
        reply = await client.ask(f"MAIL FROM:<{sender}>{parameters}")
        if not reply.startswith("250"):
            return reply
        for recipient in recipients or (CLAIRE_HERE,):
            reply = await client.ask(f"RCPT TO:<{recipient}>")
            if not reply.startswith("250"):
                return reply
        assert (await client.ask("DATA")).startswith("354")
        client.writer.write(message + b".\r\n")
        return await client.reply()

    async def read(self, local: str) -> list[bytes]:
        """What lies in a box."""
        return await self.messages_of(await self.town.enter(local))

    def last(self, *kinds: str) -> tuple[str, str, dict[str, object]]:
        """The newest event of these kinds: kind, outcome, details."""
        kind, _, outcome, said = next(e for e in reversed(self.town.events()) if e[0] in kinds)
        details = said["d"]
        assert isinstance(details, dict)
        return kind, outcome, details

    async def close(self) -> None:
        await super().close()
        if self.server is not None:
            await self.server.close(PATIENCE_S)


@pytest.fixture
async def quay(town: Town) -> AsyncIterator[Quay]:
    """One over a town whose people have moved in."""
    built = Quay(town)
    await built.berth()
    yield built
    await built.close()
