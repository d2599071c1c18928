"""Which client certificates are taken, and whom they name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mssmail.base.clock import FakeClock, utc
from mssmail.base.refusal import Reason, Refusal
from mssmail.demo.pki import CRL_LIFE, LEAF_LIFE, DemoPki, Leaf
from mssmail.identity.anchors import TrustFileError
from mssmail.identity.certificates import Certificates, Organisation, Person
from mssmail.settings.model import Trust

ID = "810000000001"
Name = list[list[tuple[ObjectIdentifier, str]]]
CARD: Name = [
    [(NameOID.COUNTRY_NAME, "FR")],
    [(NameOID.SURNAME, "MARTIN"), (NameOID.COMMON_NAME, ID), (NameOID.GIVEN_NAME, "Claire")],
]
ORGANISATION: Name = [
    [(NameOID.COUNTRY_NAME, "FR")],
    [(NameOID.ORGANIZATION_NAME, "X")],
    [(NameOID.ORGANIZATIONAL_UNIT_NAME, "1750099901")],
    [(NameOID.COMMON_NAME, "logiciel.demo.fr")],
]


class Trusted:
    """A demo PKI, the files that trust it, and certificates issued at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.pki = DemoPki.create_or_load(folder / "pki", self.clock)
        for authority in (self.pki.persons, self.pki.organisations):
            (folder / f"{authority.slug}.pem").write_bytes(authority.pem + self.pki.root.pem)
        self.trust = Trust(folder / "persons.pem", folder / "organisations.pem", self.pki.crls)

    def judge(self) -> Certificates:
        return Certificates(self.trust, self.clock)

    def issue(
        self,
        subject: Name = CARD,
        *,
        by: str = "persons",
        key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | None = None,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> bytes:
        issuer = {"persons": self.pki.persons, "organisations": self.pki.organisations, "root": self.pki.root}[by]
        now = utc(self.clock.now())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(issuer.certificate.subject)
            .public_key(key or ec.generate_private_key(ec.SECP256R1()).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=300))
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def person(self) -> bytes:
        return octets(self.pki.person(ID, "MARTIN", "Claire", "Médecin"))


def name(parts: Name) -> x509.Name:
    return x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, text) for oid, text in rdn]) for rdn in parts]
    )


def octets(leaf: Leaf) -> bytes:
    return x509.load_pem_x509_certificates(leaf.cert.read_bytes())[0].public_bytes(Encoding.DER)


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, not signs, False, False, False, False, False, False)


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    return Trusted(tmp_path)


def why(certificates: Certificates, der: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        certificates.judge(der)
    assert caught.value.reason is Reason.CERTIFICATE
    return caught.value.detail


def test_person(trusted: Trusted) -> None:
    """A card's certificate names the national id, wherever its CN stands in the multi-valued RDN."""
    certificates = trusted.judge()
    for der in (trusted.person(), trusted.issue()):
        found = certificates.judge(der)
        assert isinstance(found, Person)
        assert found.national_id == ID


def test_organisation(trusted: Trusted) -> None:
    """An organisation's certificate names its (OU, CN)."""
    leaf = trusted.pki.organisation("logiciel.demo.fr", "1750099901", "EDITEUR", "Paris (75)")
    found = trusted.judge().judge(octets(leaf))
    assert isinstance(found, Organisation)
    assert (found.organisational_unit, found.common_name) == ("1750099901", "logiciel.demo.fr")


def test_purpose(trusted: Trusted) -> None:
    """What a certificate is follows from its CA: a card's subject under the organisations' CA names no person."""
    certificates = trusted.judge()
    assert "2.5.4.11" in why(certificates, trusted.issue(CARD, by="organisations"))
    found = certificates.judge(
        trusted.issue([*CARD, [(NameOID.ORGANIZATIONAL_UNIT_NAME, "1750099901")]], by="organisations")
    )
    assert isinstance(found, Organisation)


@dataclass(frozen=True)
class Bad:
    """A certificate that isn't taken, and a word of the reason."""

    make: Callable[[Trusted], bytes]
    word: str


BAD = {
    "garbage": Bad(lambda t: b"not a certificate", "malformed"),
    "empty": Bad(lambda t: b"", "malformed"),
    "truncated": Bad(lambda t: t.issue()[:-9], "malformed"),
    "huge": Bad(lambda t: b"\x30" * 20_000, "large"),
    "issued by the root": Bad(lambda t: t.issue(by="root"), "anchors"),
    "a CA": Bad(lambda t: t.pki.persons.certificate.public_bytes(Encoding.DER), "CA"),
    "may sign certificates": Bad(lambda t: t.issue(extensions=((x509.BasicConstraints(True, None), True),)), "CA"),
    "for servers": Bad(
        lambda t: t.issue(extensions=((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),)), "client"
    ),
    "for encryption": Bad(lambda t: t.issue(extensions=((usage(signs=False), True),)), "sign"),
    "unknown critical extension": Bad(
        lambda t: t.issue(extensions=((x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)),
        "critical",
    ),
    "RSA of 1024 bits": Bad(lambda t: t.issue(key=rsa.generate_private_key(65537, 1024).public_key()), "key"),
    "curve of 224 bits": Bad(lambda t: t.issue(key=ec.generate_private_key(ec.SECP224R1()).public_key()), "key"),
    "Ed25519": Bad(lambda t: t.issue(key=ed25519.Ed25519PrivateKey.generate().public_key()), "key"),
    "no CN": Bad(lambda t: t.issue([[(NameOID.COUNTRY_NAME, "FR")]]), "0 values"),
    "two CNs": Bad(lambda t: t.issue([*CARD, [(NameOID.COMMON_NAME, "810000000002")]]), "2 values"),
    "a host's CN": Bad(lambda t: t.issue([[(NameOID.COMMON_NAME, "www.example.org")]]), "national id"),
    "a CN with a space": Bad(lambda t: t.issue([[(NameOID.COMMON_NAME, ID + " ")]]), "national id"),
    "an OU that is no id": Bad(
        lambda t: t.issue([[(NameOID.ORGANIZATIONAL_UNIT_NAME, "IT dept")]], by="organisations"), "structure"
    ),
    "no OU": Bad(lambda t: t.issue(CARD, by="organisations"), "0 values"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_refused(trusted: Trusted, bad: Bad) -> None:
    """What isn't an end entity's of the right CA, fit for signing in and naming somebody, is refused with its cause."""
    assert bad.word in why(trusted.judge(), bad.make(trusted))


def test_stranger(trusted: Trusted, tmp_path: Path) -> None:
    """A CA that only bears the same name lets nobody in."""
    (tmp_path / "other").mkdir()
    assert "anchors" in why(trusted.judge(), Trusted(tmp_path / "other").issue())


def test_usages_that_fit(trusted: Trusted) -> None:
    """Right usages, or none, are taken; so is RSA of 2048 bits."""
    certificates = trusted.judge()
    fits = ((usage(signs=True), True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False))
    certificates.judge(trusted.issue(extensions=fits))
    certificates.judge(trusted.issue(key=rsa.generate_private_key(65537, 2048).public_key()))


def test_dates(trusted: Trusted) -> None:
    """Dates are looked at each time, not only when the certificate is first seen."""
    certificates, der = trusted.judge(), trusted.person()
    certificates.judge(der)
    trusted.clock.advance(LEAF_LIFE.total_seconds() + 1)
    trusted.pki.renew_crls()
    certificates.reload_if_changed()
    assert "date" in why(certificates, der)
    early = FakeClock(trusted.clock.now() - LEAF_LIFE.total_seconds() - 10 * 86_400)
    assert "date" in why(Certificates(trusted.trust, early), der)


def test_revoked(trusted: Trusted) -> None:
    """A certificate revoked while the server runs is refused from the next look at the lists."""
    certificates, der = trusted.judge(), trusted.person()
    found = certificates.judge(der)
    assert not certificates.reload_if_changed()
    assert not certificates.is_revoked(found.issuer, found.serial)
    trusted.pki.revoke(trusted.pki.persons, found.serial)
    assert certificates.reload_if_changed()
    assert "revoked" in why(certificates, der)
    assert certificates.is_revoked(found.issuer, found.serial)
    assert not certificates.reload_if_changed()


def test_revoked_authority(trusted: Trusted) -> None:
    """A CA that its root revokes takes what it issued with it."""
    certificates, der = trusted.judge(), trusted.person()
    found = certificates.judge(der)
    trusted.pki.revoke(trusted.pki.root, trusted.pki.persons.certificate.serial_number)
    certificates.reload_if_changed()
    assert "revoked" in why(certificates, der)
    assert certificates.is_revoked(found.issuer, found.serial)


def test_list_expired(trusted: Trusted) -> None:
    """An expired list closes out what its issuer signed; a session that is open isn't ended by that."""
    certificates, der = trusted.judge(), trusted.person()
    found = certificates.judge(der)
    trusted.clock.advance(CRL_LIFE.total_seconds() + 1)
    assert "expired" in why(certificates, der)
    assert not certificates.is_revoked(found.issuer, found.serial)
    trusted.pki.renew_crls()
    assert certificates.reload_if_changed()
    certificates.judge(der)


@pytest.mark.parametrize("missing", ["persons", "root"])
def test_list_missing(trusted: Trusted, missing: str) -> None:
    """Without its issuer's list, or its CA's issuer's, a certificate is refused."""
    crls = tuple(file for file in trusted.pki.crls if missing not in file.name)
    assert "missing" in why(Certificates(replace(trusted.trust, crls=crls), trusted.clock), trusted.person())


def test_list_of_a_stranger(trusted: Trusted, tmp_path: Path) -> None:
    """A list in a known issuer's name that it didn't sign is an error at start, and changes nothing later."""
    certificates, der = trusted.judge(), trusted.person()
    (tmp_path / "other").mkdir()
    forged = Trusted(tmp_path / "other").pki.crls[1].read_bytes()
    trusted.pki.crls[1].write_bytes(forged)
    assert not certificates.reload_if_changed()
    certificates.judge(der)
    with pytest.raises(TrustFileError, match=r"persons\.crl.*didn't sign"):
        trusted.judge()


def test_older_list_beside_a_newer(trusted: Trusted, tmp_path: Path) -> None:
    """Of two lists of one issuer the newer one counts, in whatever order, in PEM or DER."""
    old = tmp_path / "old.crl"
    old.write_bytes(x509.load_pem_x509_crl(trusted.pki.crls[1].read_bytes()).public_bytes(Encoding.DER))
    found = trusted.judge().judge(trusted.person())
    trusted.clock.advance(600)
    trusted.pki.revoke(trusted.pki.persons, found.serial)
    for crls in ((old, *trusted.pki.crls), (*trusted.pki.crls, old)):
        certificates = Certificates(replace(trusted.trust, crls=crls), trusted.clock)
        assert "revoked" in why(certificates, trusted.person())


def test_several_lists_in_a_file(trusted: Trusted, tmp_path: Path) -> None:
    """One PEM file may hold several lists."""
    both = tmp_path / "all.crl"
    both.write_bytes(b"".join(file.read_bytes() for file in trusted.pki.crls))
    Certificates(replace(trusted.trust, crls=(both,)), trusted.clock).judge(trusted.person())


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM"),
        ("root", "no CA below"),
        ("persons", "issuer of"),
        ("leaf", "isn't a CA"),
    ],
)
def test_bad_anchors(trusted: Trusted, content: bytes | str, word: str) -> None:
    """An anchors file that doesn't hold a CA and its root is an error that names the file."""
    match content:
        case "root":
            octets_ = trusted.pki.root.pem
        case "persons":
            octets_ = trusted.pki.persons.pem
        case "leaf":
            octets_ = trusted.pki.person(ID, "M", "C", "Médecin").cert.read_bytes() + trusted.pki.root.pem
        case _:
            assert isinstance(content, bytes)
            octets_ = content
    (trusted.folder / "persons.pem").write_bytes(octets_)
    with pytest.raises(TrustFileError, match=rf"persons\.pem.*{word}"):
        trusted.judge()


def test_missing_anchors(trusted: Trusted) -> None:
    """A file that isn't there is an error that names it; no file at all means that nobody is taken."""
    (trusted.folder / "persons.pem").unlink()
    with pytest.raises(TrustFileError, match=r"persons\.pem"):
        trusted.judge()
    none = Certificates(replace(trusted.trust, persons_ca=None), trusted.clock)
    assert "anchors" in why(none, trusted.person())


def test_one_authority_for_both(trusted: Trusted) -> None:
    """One CA for both purposes is refused: a person and an organisation could be taken for each other."""
    both = trusted.pki.persons.pem + trusted.pki.organisations.pem + trusted.pki.root.pem
    (trusted.folder / "persons.pem").write_bytes(both)
    with pytest.raises(TrustFileError, match="same CA"):
        trusted.judge()


def test_test_hierarchy(trusted: Trusted) -> None:
    """A CA of the test hierarchy is refused unless the settings allow it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = name(
        [[(NameOID.ORGANIZATIONAL_UNIT_NAME, "IGC-SANTE TEST")], [(NameOID.COMMON_NAME, "TEST AC PERSONNES")]]
    )
    now = utc(trusted.clock.now())
    authority = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(trusted.pki.root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.BasicConstraints(True, 0), True)
        .sign(trusted.pki.root.key, hashes.SHA256())
    )
    (trusted.folder / "persons.pem").write_bytes(authority.public_bytes(Encoding.PEM) + trusted.pki.root.pem)
    with pytest.raises(TrustFileError, match="test hierarchy"):
        trusted.judge()
    Certificates(replace(trusted.trust, allow_test_hierarchy=True), trusted.clock)
