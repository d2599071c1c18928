"""The demo's certificates hold before OpenSSL's strict checks and have IGC-Santé's shape."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mssmail.base.clock import FakeClock, SystemClock, utc
from mssmail.demo.pki import DemoPki, Leaf


@pytest.fixture
def clock() -> FakeClock:
    """OpenSSL judges by the machine's time, so that is where this clock starts."""
    return FakeClock(SystemClock().now())


@pytest.fixture
def pki(tmp_path: Path, clock: FakeClock) -> DemoPki:
    return DemoPki.create_or_load(tmp_path / "pki", clock)


def certificate(leaf: Leaf) -> x509.Certificate:
    return x509.load_pem_x509_certificate(leaf.cert.read_bytes())


def claire(pki: DemoPki) -> Leaf:
    return pki.person("810000000001", "MARTIN", "Claire", "Médecin")


def logiciel(pki: DemoPki) -> Leaf:
    return pki.organisation("logiciel.editeur-demo.fr", "1750099903", "ÉDITEUR", "Puy-de-Dôme (63)")


def shake(pki: DemoPki, server: Leaf, client: Leaf | None, host: str) -> bytes | None:
    """A TLS handshake with strict checks and revocation lists on both sides; what the server saw of the client."""
    contexts = {}
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.load_verify_locations(pki.anchors)
        for crl in pki.crls:
            context.load_verify_locations(crl)
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_CHAIN
        contexts[protocol] = context
    at_server, at_client = contexts[ssl.PROTOCOL_TLS_SERVER], contexts[ssl.PROTOCOL_TLS_CLIENT]
    at_server.load_cert_chain(server.cert, server.key)
    at_server.verify_mode = ssl.CERT_OPTIONAL
    if client is not None:
        at_client.load_cert_chain(client.cert, client.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = at_client.wrap_bio(down, up, server_hostname=host)
    far = at_server.wrap_bio(up, down, server_side=True)
    pending = {near, far}
    for _ in range(10):
        for side in tuple(pending):
            try:
                side.do_handshake()
                pending.discard(side)
            except ssl.SSLWantReadError:
                pass
        if not pending:
            return far.getpeercert(binary_form=True)
    raise AssertionError("the handshake didn't end")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("make", [claire, logiciel, None])
def test_handshake(pki: DemoPki, host: str, make: Callable[[DemoPki], Leaf] | None) -> None:
    """Under each of the server's names, with either kind of client certificate or none, both sides are content."""
    client = make(pki) if make else None
    seen = shake(pki, pki.server(), client, host)
    assert (seen is None) == (client is None)
    if client is not None:
        assert seen is not None
        assert x509.load_der_x509_certificate(seen) == certificate(client)


def test_revoked_certificate(pki: DemoPki, clock: FakeClock, tmp_path: Path) -> None:
    """A revoked certificate ends the handshake, today and after a restart; its holder's other one doesn't."""
    revoked = pki.revoked_person("810000000001", "MARTIN", "Claire", "Médecin")
    assert certificate(revoked).subject == certificate(claire(pki)).subject
    again = DemoPki.create_or_load(tmp_path / "pki", clock)
    for each in (pki, again):
        with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
            shake(each, each.server(), revoked, "localhost")
        assert shake(each, each.server(), claire(each), "localhost")
    again.revoked_person("810000000001", "MARTIN", "Claire", "Médecin")
    crl = x509.load_pem_x509_crl(again.crls[1].read_bytes())
    assert [entry.serial_number for entry in crl] == [certificate(revoked).serial_number]


def test_other_host_is_refused(pki: DemoPki) -> None:
    """The server's certificate is good for its names alone."""
    with pytest.raises(ssl.SSLCertVerificationError, match="ostname"):
        shake(pki, pki.server(), None, "example.org")


def test_person_shape(pki: DemoPki) -> None:
    """A person's subject is C, T and one RDN of three attributes; it serves a client alone."""
    found = certificate(claire(pki))
    assert [{a.oid: a.value for a in rdn} for rdn in found.subject.rdns] == [
        {NameOID.COUNTRY_NAME: "FR"},
        {NameOID.TITLE: "Médecin"},
        {NameOID.COMMON_NAME: "810000000001", NameOID.SURNAME: "MARTIN", NameOID.GIVEN_NAME: "Claire"},
    ]
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = found.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    assert found.issuer == pki.persons.certificate.subject


def test_organisation_shape(pki: DemoPki) -> None:
    """An organisation's subject is C, ST, O, OU, CN, one attribute each, issued by the organisations' CA."""
    found = certificate(logiciel(pki))
    assert [(a.oid, a.value) for a in found.subject] == [
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.STATE_OR_PROVINCE_NAME, "Puy-de-Dôme (63)"),
        (NameOID.ORGANIZATION_NAME, "ÉDITEUR"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "1750099903"),
        (NameOID.COMMON_NAME, "logiciel.editeur-demo.fr"),
    ]
    assert all(len(rdn) == 1 for rdn in found.subject.rdns)
    assert found.issuer == pki.organisations.certificate.subject


def test_every_authority_says_demo(pki: DemoPki) -> None:
    """No CA of the demo can be mistaken for the true hierarchy."""
    for authority in (pki.root, pki.persons, pki.organisations):
        names = {str(a.value) for a in authority.certificate.subject}
        assert any("DEMO AC" in name for name in names)
        assert not names & {"IGC-SANTE", "ASIP-SANTE"}


def test_files(pki: DemoPki, tmp_path: Path) -> None:
    """Keys are P-256, without passphrase and for the owner alone; CA material lies under fixed names."""
    leaf = claire(pki)
    keys = [leaf.key, *(tmp_path / "pki" / f"{slug}.key" for slug in ("root", "persons", "organisations"))]
    for path in keys:
        assert path.stat().st_mode & 0o777 == 0o600
        key = load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.curve.name == "secp256r1"
    assert len(x509.load_pem_x509_certificates(pki.anchors.read_bytes())) == 3
    assert x509.load_pem_x509_certificates(leaf.cert.read_bytes())[1] == pki.persons.certificate
    assert not list((tmp_path / "pki").rglob("*.new"))


def test_second_start_keeps_what_is_there(pki: DemoPki, clock: FakeClock, tmp_path: Path) -> None:
    """A restart changes no key and no certificate, and makes the CRLs good for 30 days more."""
    leaves = [claire(pki), logiciel(pki), pki.server()]
    before = {f: f.read_bytes() for f in (tmp_path / "pki").rglob("*") if f.suffix in (".pem", ".key")}
    clock.advance(20 * 86_400)
    again = DemoPki.create_or_load(tmp_path / "pki", clock)
    assert [claire(again), logiciel(again), again.server()] == leaves
    assert {f: f.read_bytes() for f in before} == before
    for path in again.crls:
        crl = x509.load_pem_x509_crl(path.read_bytes())
        assert crl.next_update_utc is not None
        assert timedelta(days=29) < crl.next_update_utc - utc(clock.now()) <= timedelta(days=30)


@pytest.mark.parametrize("damage", ["expired", "key-gone", "other-key", "half-cert"])
def test_leaf_that_doesnt_serve_is_made_anew(pki: DemoPki, clock: FakeClock, damage: str) -> None:
    """A leaf near its end, without its key, with another's key, or cut short is replaced by a good one."""
    leaf = claire(pki)
    old = certificate(leaf)
    match damage:
        case "expired":
            clock.advance(3 * 365 * 86_400 - 86_400)
        case "key-gone":
            leaf.key.unlink()
        case "other-key":
            leaf.key.write_bytes(logiciel(pki).key.read_bytes())
        case "half-cert":
            leaf.cert.write_bytes(leaf.cert.read_bytes()[:300])
    new = certificate(claire(pki))
    key = load_pem_private_key(leaf.key.read_bytes(), None)
    assert new.serial_number != old.serial_number
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == new.public_key()


def test_authority_without_its_key_is_an_error(pki: DemoPki, clock: FakeClock, tmp_path: Path) -> None:
    """A CA is never silently replaced by another of the same name."""
    (tmp_path / "pki" / "persons.key").unlink()
    with pytest.raises(FileNotFoundError):
        DemoPki.create_or_load(tmp_path / "pki", clock)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "é\x00"])
def test_names_stay_in_the_folder(pki: DemoPki, tmp_path: Path, name: str) -> None:
    """Whatever a common name holds, its files lie in the PKI's folder."""
    leaf = pki.organisation(name, "1750099903", "O", "Paris (75)")
    assert leaf.cert.resolve().parent == (tmp_path / "pki" / "leaf").resolve()
