"""Every door and every bad certificate: shown over real TLS, refused with the protocol's own answer, traced with its
cause, and no hindrance to password and code."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from structlog.testing import CapturingLogger

from mssmail.demo.people import VENDOR
from mssmail.demo.pki import Authority, DemoPki, Leaf
from mssmail.flow.sessions import Sessions
from mssmail.metrics.registry import REGISTRY
from mssmail.servers.imap.server import ImapServer
from mssmail.servers.net.tls import server_context
from mssmail.servers.net.verification import PURPOSE_LEFT_TO_US
from mssmail.servers.smtp.roles import Role
from tests.servers.imap.harness import run
from tests.servers.smtp.harbour import Client, Ports, b64, plain
from tests.support.issuance import (
    CARD,
    FOR_CLIENTS,
    ID,
    Key,
    Wish,
    authority,
    issue,
    save,
    signed_with_sha1,
    with_octets,
)
from tests.support.town import APP, CLAIRE, PASSWORD, Town, address

ME = str(address(CLAIRE))
CARD_OF_CLAIRE = Wish()
UNIT, HOST = "1750099901", "logiciel.demo.fr"
ORGANISATION = (((NameOID.ORGANIZATIONAL_UNIT_NAME, UNIT),), ((NameOID.COMMON_NAME, ID),))


class Doors(Ports):
    """A town's IMAP and submission ports."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder)
        self.folder = folder
        self.operators = authority(self.town.pki.root, self.town.clock, "OPERATORS")
        chain = folder / "operators-anchors.pem"
        chain.write_bytes(self.operators.pem + self.town.pki.root.pem)
        self.trust(operators_ca=chain)
        town = self.town
        sessions = Sessions(town.house, town.standing)
        super().__init__(town.home, town.pki, town.house.settings, town.login, town.gate, sessions)

    def trust(self, **changes: object) -> None:
        """Put other settings of `trust` in force."""
        settings = self.town.house.settings
        self.town.house.renew(replace(settings, trust=replace(settings.trust, **changes)))  # type: ignore[arg-type]
        self.town.home.settings = self.settings = self.town.house.settings
        self.town.login = self.town.worker()
        self._asked = (self.town.login, self.town.gate, Sessions(self.town.house, self.town.standing))

    async def __aenter__(self) -> "Doors":
        await self.town.settle_in((CLAIRE, APP))
        await self.open(*Role)
        login, _, sessions = self._asked
        self.imap = ImapServer(self.town.house, login, self.town.standing, sessions, tls=server_context(self.settings))
        self.tls = server_context(self.settings)
        listener = await asyncio.get_running_loop().create_server(self.imap.implicit, "127.0.0.1", 0, ssl=self.tls)
        self.imaps = listener.sockets[0].getsockname()[1]
        self._listener = listener
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        await self.imap.close(1.0)
        await self.close()
        self.town.close()

    def client_context(self, leaf: Leaf | None = None) -> ssl.SSLContext:
        context = super().client_context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a client that has what it has
        if leaf is not None:
            context.load_cert_chain(leaf.cert, leaf.key)
        return context

    async def imap_client(self, leaf: Leaf) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.imaps, ssl=self.client_context(leaf))
        client = Client(reader, writer)
        self._clients.append(client)
        return client

    def issue(
        self,
        wish: Wish = CARD_OF_CLAIRE,
        by: Authority | None = None,
        *above: x509.Certificate,
    ) -> Leaf:
        certificate, key = issue(by or self.pki.persons, self.town.clock, wish)
        return self.lay(certificate, key, *above)

    def lay(self, certificate: x509.Certificate | bytes, key: Key, *above: x509.Certificate) -> Leaf:
        return save(self.folder, "client", certificate, key, *above)

    def why(self) -> str:
        """What the trail says of the last sign-in."""
        kind, _, outcome, said = self.town.events()[-1]
        assert (kind, outcome) == ("sign-in-refused", "certificate")
        assert isinstance(said["d"], dict)
        return str(said["d"]["detail"])


def _failed(cause: str) -> float:
    return REGISTRY.get_sample_value("mssmail_tls_handshakes_failed_total", {"reason": cause}) or 0.0


def _refused(cause: str) -> float:
    return REGISTRY.get_sample_value("mssmail_certificates_refused_total", {"reason": cause}) or 0.0


@dataclass(frozen=True)
class Bad:
    """A certificate that is shown, its cause, and a word of what the trail says."""

    show: Callable[[Doors], Leaf]
    cause: str
    word: str


def _malformed(doors: Doors) -> Leaf:
    certificate, key = issue(doors.pki.persons, doors.town.clock)
    return doors.lay(with_octets(certificate, doors.pki.persons, b"\x0c\x06MARTIN", b"\x13\x06M\xffRTIN"), key)


def _required(doors: Doors) -> Leaf:
    doors.trust(require_client_usage=True)
    return doors.issue(Wish(extensions=()))


def usages(*uses: x509.ObjectIdentifier) -> Wish:
    return Wish(extensions=((x509.ExtendedKeyUsage(uses), False),))


ENCRYPTION = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
NEITHER = (*FOR_CLIENTS, (UNKNOWN, True))
BAD = {
    "revoked": Bad(lambda d: d.pki.revoked_person(ID, "MARTIN", "CLAIRE", "Médecin"), "revoked", "revoked"),
    "expired": Bad(lambda d: d.issue(Wish(begins=-9.0, ends=-1.0)), "expired", "expired on"),
    "not yet valid": Bad(lambda d: d.issue(Wish(begins=1.0)), "early", "only valid from"),
    "of another person": Bad(
        lambda d: d.issue(Wish((((NameOID.COMMON_NAME, "899999999999"),),))), "nobody", "names nobody here"
    ),
    "an organisation's, for a person": Bad(
        lambda d: d.issue(Wish(ORGANISATION), d.pki.organisations), "nobody", "names nobody here"
    ),
    "a person's, for an organisation": Bad(
        lambda d: d.issue(Wish((*ORGANISATION[:1], ((NameOID.COMMON_NAME, HOST),)))), "subject", "no national id"
    ),
    "an operator's": Bad(lambda d: d.issue(Wish(), d.operators), "purpose", "operators"),
    "a server's": Bad(lambda d: d.issue(usages(ExtendedKeyUsageOID.SERVER_AUTH)), "usage", "as a client"),
    "without a use": Bad(_required, "usage", "doesn't say"),
    "for encryption": Bad(
        lambda d: d.issue(Wish(extensions=(*FOR_CLIENTS, (ENCRYPTION, True)))), "usage", "may not sign"
    ),
    "a CA's own": Bad(lambda d: d.lay(d.pki.persons.certificate, d.pki.persons.key), "authority", "a CA's"),
    "that may issue": Bad(
        lambda d: d.issue(Wish(extensions=(*FOR_CLIENTS, (x509.BasicConstraints(True, None), True)))),
        "authority",
        "a CA's",
    ),
    "of the root": Bad(lambda d: d.issue(Wish(), d.pki.root), "stranger", "none of the anchors"),
    "RSA of 1024 bits": Bad(
        lambda d: d.issue(Wish(key=lambda: rsa.generate_private_key(65537, 1024))), "weak-key", "too short"
    ),
    "an unknown critical extension": Bad(lambda d: d.issue(Wish(extensions=NEITHER)), "extension", "1.2.3.4"),
    "malformed DN": Bad(_malformed, "malformed", "malformed"),
    "NUL in CN": Bad(lambda d: d.issue(Wish((((NameOID.COMMON_NAME, ID + "\0x"),),))), "subject", "isn't text"),
    "two CNs": Bad(
        lambda d: d.issue(Wish((*CARD, ((NameOID.COMMON_NAME, "810000000002"),)))), "subject", "2 values of CN"
    ),
    "no CN": Bad(lambda d: d.issue(Wish((((NameOID.COUNTRY_NAME, "FR"),),))), "subject", "0 values of CN"),
}
LEFT_TO_OPENSSL = {"a server's", "for encryption", "a CA's own", "of the root"}


@pytest.mark.parametrize("name", BAD)
def test_refused(tmp_path: Path, name: str) -> None:
    """IMAP's EXTERNAL, SMTP's, and MAIL without AUTH refuse it in their ways; the trail says why; passwords serve."""
    if name in LEFT_TO_OPENSSL and not PURPOSE_LEFT_TO_US:
        pytest.skip("this interpreter's OpenSSL can't be asked to leave the purpose to us")
    run(_refuse(tmp_path, BAD[name]))


async def _refuse(folder: Path, bad: Bad) -> None:
    doors = Doors(folder)
    leaf, before = bad.show(doors), _refused(bad.cause)
    async with doors:
        doors.town.standing.reload_if_changed()
        client = await doors.imap_client(leaf)
        greeting = await client.reader.readline()
        assert b" AUTH=EXTERNAL" in greeting
        answers = []
        for command in ("a AUTHENTICATE EXTERNAL =", f"b LOGIN {ME} {PASSWORD}{doors.town.code()}"):
            client.send(command)
            answers.append(await client.reader.readline())
            if command[0] == "a":
                assert bad.word in doors.why()
        assert answers[0].startswith(b"a NO [AUTHENTICATIONFAILED] ")
        assert answers[1].startswith(b"b OK ")
        smtp = await doors.enter(Role.SUBMISSIONS, leaf)
        assert "EXTERNAL" in await smtp.ask("EHLO me")
        for command in (f"MAIL FROM:<{ME}>", "AUTH EXTERNAL =", f"AUTH EXTERNAL {b64(ME)}"):
            assert (await smtp.ask(command)).startswith("535 5.7.8 Certificat refuse")
            assert bad.word in doors.why()
        starttls = await doors.enter(Role.SUBMISSION, leaf)
        await starttls.ask("EHLO me")
        assert (await starttls.ask(f"MAIL FROM:<{ME}>")).startswith("535 5.7.8 Certificat refuse")
        assert (await starttls.ask("AUTH PLAIN " + plain(ME, PASSWORD + doors.town.code()))).startswith("235 2.7.0")
        assert (await starttls.ask(f"MAIL FROM:<{ME}>")).startswith("250")
    if bad.cause != "nobody":
        assert _refused(bad.cause) == before + 5


def _self_signed(doors: Doors) -> Leaf:
    key = rsa.generate_private_key(65537, 2048)
    own, _ = issue(doors.pki.persons, doors.town.clock)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(own.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    return doors.lay(certificate, key)


def _foreign(doors: Doors) -> Leaf:
    other = DemoPki.create_or_load(doors.folder / "other", doors.town.clock)
    return doors.issue(Wish(), other.persons, other.persons.certificate)


def _unknown(doors: Doors) -> Leaf:
    other = authority(doors.pki.root, doors.town.clock, "OTHER")
    return doors.issue(Wish(), other)


def _long(doors: Doors) -> Leaf:
    below = authority(doors.pki.persons, doors.town.clock, "BELOW")
    return doors.issue(Wish(), below, below.certificate)


def _sha1(doors: Doors) -> Leaf:
    certificate, key = issue(doors.pki.persons, doors.town.clock)
    return doors.lay(signed_with_sha1(certificate, doors.pki.persons), key)


def _forged(doors: Doors) -> Leaf:
    certificate, key = issue(doors.pki.persons, doors.town.clock)
    return doors.lay(certificate.public_bytes(Encoding.DER).replace(ID.encode(), b"810000000002"), key)


UNCHAINED = {
    "self-signed": (_self_signed, "self-signed"),
    "of a foreign CA of the same name": (_foreign, "signature|stranger"),
    "of a CA that is no anchor": (_unknown, "stranger"),
    "over-long chain": (_long, "chain"),
    "signed with SHA-1": (_sha1, "weak-signature"),
    "altered": (_forged, "signature"),
}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", UNCHAINED)
def test_no_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, loop: str) -> None:
    """What OpenSSL can't chain to an anchor ends the handshake on every port, is counted, and logged with its cause."""
    show, causes = UNCHAINED[name]
    log = CapturingLogger()
    monkeypatch.setattr("mssmail.servers.net.verification._log", log)

    async def play() -> None:
        doors = Doors(tmp_path)
        leaf = show(doors)
        every = causes.split("|")
        async with doors:
            before = sum(map(_failed, every))
            for role in (None, Role.SUBMISSIONS, Role.SUBMISSION):
                with pytest.raises((OSError, EOFError)):
                    client = await (doors.imap_client(leaf) if role is None else doors.enter(role, leaf))
                    client.send("a NOOP")
                    if not await asyncio.wait_for(client.reader.readline(), 20.0):
                        raise EOFError
            assert sum(map(_failed, every)) == before + 3
            assert [kind for kind, *_ in doors.town.events()].count("sign-in-refused") == 0

    run(play(), loop)
    said = [call.kwargs["cause"] for call in log.calls if call.method_name == "warning"]
    assert len(said) == 3
    assert set(said) <= set(causes.split("|"))


def test_others_boxes(tmp_path: Path) -> None:
    """A good certificate opens the boxes that it names and no other, whatever the authzid."""

    async def play() -> None:
        async with Doors(tmp_path) as doors:
            person = doors.pki.person(ID, "MARTIN", "CLAIRE", "Médecin")
            vendor = doors.pki.organisation("logiciel.editeur-demo.fr", VENDOR.structure_id, "X", "Paris (75)")
            for leaf, mine, other in ((person, ME, str(address(APP))), (vendor, str(address(APP)), ME)):
                for authzid, answer in ((other, "535 5.7.8"), (mine, "235 2.7.0")):
                    client = await doors.enter(Role.SUBMISSIONS, leaf)
                    await client.ask("EHLO me")
                    said = await client.ask(f"AUTH EXTERNAL {b64(authzid)}")
                    assert said.startswith(answer)

    run(play())


def test_resumed_session(tmp_path: Path) -> None:
    """A certificate revoked between two connections is refused on the second, though TLS resumes the session."""

    async def play() -> None:
        async with Doors(tmp_path) as doors:
            leaf = doors.pki.person(ID, "MARTIN", "CLAIRE", "Médecin")
            # we give none out; a session that is resumed all the same mustn't let the revoked in
            doors.tls.options &= ~ssl.OP_NO_TICKET
            context = doors.client_context(leaf)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            first, session, resumed = await asyncio.to_thread(_external, doors.imaps, context, None)
            assert (first[:4], resumed) == (b"a OK", False)
            certificate = x509.load_pem_x509_certificate(leaf.cert.read_bytes())
            doors.town.pki.revoke(doors.pki.persons, certificate.serial_number)
            await doors.town.standing.renew_if_changed()
            second, _, resumed = await asyncio.to_thread(_external, doors.imaps, context, session)
            assert second.startswith(b"a NO [AUTHENTICATIONFAILED]")
            assert resumed

    run(play())


def _external(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bytes, ssl.SSLSession | None, bool]:
    """One EXTERNAL over a socket of its own; its answer, the TLS session, and whether that was resumed."""
    with (
        socket.create_connection(("127.0.0.1", port), 20.0) as clear,
        context.wrap_socket(clear, server_hostname="localhost", session=session) as secured,
    ):
        lines = secured.makefile("rb")
        lines.readline()
        secured.sendall(b"a AUTHENTICATE EXTERNAL =\r\n")
        answer = lines.readline()
        return answer, secured.session, bool(secured.session_reused)
