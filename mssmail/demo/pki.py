"""The demo's own certificates, of IGC-Santé's shape: a root, a CA for persons, one for organisations, their CRLs.

Knows names, extensions and files. Never to be trusted outside a demo: CA keys lie beside it in clear, and every name
says DEMO. What lies in the folder already is kept, so that a client's certificate survives a restart; only the CRLs
are made anew at each start.

    DIR/root.pem .key, persons.pem .key, organisations.pem .key   CA certificates and keys (keys 0600)
    DIR/root.crl, persons.crl, organisations.crl                  revocation lists (PEM)
    DIR/root-and-intermediates.pem                                what a client or server trusts
    DIR/leaf/NAME.pem .key                                        certificate followed by its issuer's, and key
    DIR/revoked.txt                                               CA, serial and time of each revocation
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mssmail.base.clock import Clock, utc
from mssmail.files import swap

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=1095)
CRL_LIFE = timedelta(days=30)
BACKDATE = timedelta(hours=24)
"""Against clocks that are behind."""
RENEW_BEFORE = timedelta(days=60)
"""A leaf nearer to its end than this is made anew at the next start."""

_ROOT = "DEMO AC RACINE IGC-SANTE ELEMENTAIRE"
_PERSONS = "DEMO AC IGC-SANTE ELEMENTAIRE PERSONNES"
_ORGANISATIONS = "DEMO AC IGC-SANTE ELEMENTAIRE ORGANISATIONS"
_BOTH_ENDS = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate with its key, as files."""

    cert: Path
    """PEM: the certificate, then its issuer's."""
    key: Path
    """PEM (PKCS#8) without passphrase, mode 0600."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that can sign."""

    slug: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


class DemoPki:
    """The demo's CAs, ready to issue. Get one from `create_or_load`."""

    __slots__ = ("_clock", "_dir", "organisations", "persons", "root")

    def __init__(
        self, folder: Path, clock: Clock, root: Authority, persons: Authority, organisations: Authority
    ) -> None:
        self._dir = folder
        self._clock = clock
        self.root = root
        self.persons = persons
        self.organisations = organisations

    @classmethod
    def create_or_load(cls, folder: Path, clock: Clock) -> "DemoPki":
        """Make the CAs in `folder`, or take those that lie there; write their CRLs anew."""
        (folder / "leaf").mkdir(parents=True, exist_ok=True)
        root = _authority(folder, "root", _ROOT, clock, None)
        pki = cls(
            folder,
            clock,
            root,
            _authority(folder, "persons", _PERSONS, clock, root),
            _authority(folder, "organisations", _ORGANISATIONS, clock, root),
        )
        swap(pki.anchors, root.pem + pki.persons.pem + pki.organisations.pem, 0o644)
        pki.renew_crls()
        return pki

    @property
    def anchors(self) -> Path:
        """The root's and both CAs' certificates in one PEM file: `ca` of demo.json."""
        return self._dir / "root-and-intermediates.pem"

    @property
    def crls(self) -> tuple[Path, ...]:
        """The root's, the persons' and the organisations' revocation lists."""
        return tuple(self._dir / f"{slug}.crl" for slug in ("root", "persons", "organisations"))

    def person(self, national_id: str, surname: str, given_name: str, title: str) -> Leaf:
        """A professional's certificate: `C=FR, T=title` and one multi-valued RDN of CN, SN and GN, as on a CPS card."""
        return self._person_leaf(f"person-{national_id}", national_id, surname, given_name, title)

    def revoked_person(self, national_id: str, surname: str, given_name: str, title: str) -> Leaf:
        """A second certificate of a professional, which the persons' CRL revokes."""
        leaf = self._person_leaf(f"revoked-{national_id}", national_id, surname, given_name, title)
        self.revoke(self.persons, x509.load_pem_x509_certificate(leaf.cert.read_bytes()).serial_number)
        return leaf

    def _person_leaf(self, name: str, national_id: str, surname: str, given_name: str, title: str) -> Leaf:
        subject = x509.Name(
            [
                _rdn((NameOID.COUNTRY_NAME, "FR")),
                _rdn((NameOID.TITLE, title)),
                _rdn((NameOID.COMMON_NAME, national_id), (NameOID.SURNAME, surname), (NameOID.GIVEN_NAME, given_name)),
            ]
        )
        return self._leaf(name, self.persons, subject, (ExtendedKeyUsageOID.CLIENT_AUTH,), ())

    def organisation(self, cn: str, ou: str, o: str, st: str, names: Sequence[str] = ()) -> Leaf:
        """An organisation's or application's certificate: `CN, OU (1+FINESS, 3+SIRET…), O, ST, C=FR`.

        For both ends of a connection, as operators use theirs; `names` are the hosts it serves under.
        """
        subject = _organisation_name(cn, ou, o, st)
        return self._leaf(f"organisation-{ou}-{cn}", self.organisations, subject, _BOTH_ENDS, names)

    def server(self, names: Sequence[str] = ("localhost", "127.0.0.1", "::1")) -> Leaf:
        """The server's own certificate for these host names and addresses; and what it shows other operators."""
        subject = _organisation_name(names[0], "1750000001", "DEMO MSSMAIL", "Paris (75)")
        return self._leaf("server", self.organisations, subject, _BOTH_ENDS, names)

    def revoke(self, authority: Authority, serial: int) -> None:
        """Put a serial on a CA's list for good, and write that list anew. Nothing happens where it stands there."""
        known = tuple(self._revocations())
        if any((slug, number) == (authority.slug, serial) for slug, number, _ in known):
            return
        lines = (f"{slug} {number:x} {at}\n" for slug, number, at in (*known, (authority.slug, serial, self._now_s())))
        swap(self._dir / "revoked.txt", "".join(lines).encode(), 0o644)
        self._write_crl(authority)

    def renew_crls(self) -> None:
        """Write every CA's revocation list anew, good for 30 days."""
        for authority in (self.root, self.persons, self.organisations):
            self._write_crl(authority)

    def _now_s(self) -> int:
        return int(self._clock.now())

    def _write_crl(self, authority: Authority) -> None:
        now = utc(self._clock.now())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(now - timedelta(minutes=5))
            .next_update(now + CRL_LIFE)
            .add_extension(_key_id_of(authority), critical=False)
            .add_extension(x509.CRLNumber(int(self._clock.now() * 1000)), critical=False)
        )
        for slug, serial, at in self._revocations():
            if slug == authority.slug:
                entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(utc(at))
                builder = builder.add_revoked_certificate(entry.build())
        crl = builder.sign(authority.key, hashes.SHA256())
        swap(self._dir / f"{authority.slug}.crl", crl.public_bytes(serialization.Encoding.PEM), 0o644)

    def _revocations(self) -> Iterator[tuple[str, int, int]]:
        try:
            lines = (self._dir / "revoked.txt").read_text().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            slug, serial, at = line.split()
            yield slug, int(serial, 16), int(at)

    def _leaf(
        self,
        name: str,
        issuer: Authority,
        subject: x509.Name,
        usages: Sequence[ObjectIdentifier],
        names: Sequence[str],
    ) -> Leaf:
        """Keep the certificate under this name where it still serves, else issue it."""
        leaf = _leaf_at(self._dir, name)
        if self._serves(leaf, issuer, subject, usages):
            return leaf
        key = ec.generate_private_key(ec.SECP256R1())
        now = utc(self._clock.now())
        builder = (
            _builder(subject, key.public_key(), issuer.certificate.subject)
            .not_valid_before(now - BACKDATE)
            .not_valid_after(min(now + LEAF_LIFE, issuer.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(_key_id_of(issuer), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_host, names))), critical=False)
        certificate = builder.sign(issuer.key, hashes.SHA256())
        # key first: a certificate without its key is what a crash must not leave
        swap(leaf.key, _key_pem(key), 0o600)
        swap(leaf.cert, certificate.public_bytes(serialization.Encoding.PEM) + issuer.pem, 0o644)
        return leaf

    def _serves(self, leaf: Leaf, issuer: Authority, subject: x509.Name, usages: Sequence[ObjectIdentifier]) -> bool:
        """Whether one lies there for this subject and these uses, by this CA, with its key, and far from its end."""
        try:
            certificate = x509.load_pem_x509_certificate(leaf.cert.read_bytes())
            key = serialization.load_pem_private_key(leaf.key.read_bytes(), None)
            certificate.verify_directly_issued_by(issuer.certificate)
            named = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        return (
            certificate.subject == subject
            and list(named) == list(usages)
            and certificate.not_valid_after_utc > utc(self._clock.now()) + RENEW_BEFORE
            and certificate.public_key() == key.public_key()
        )


def organisation_leaf(folder: Path, cn: str, ou: str) -> Leaf:
    """Where the hierarchy in a folder has an organisation's certificate, once it is issued."""
    return _leaf_at(folder, _organisation_stem(cn, ou))


def _organisation_stem(cn: str, ou: str) -> str:
    return f"organisation-{ou}-{cn}"


def _leaf_at(folder: Path, name: str) -> Leaf:
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return Leaf(folder / "leaf" / f"{stem}.pem", folder / "leaf" / f"{stem}.key")


def _authority(folder: Path, slug: str, cn: str, clock: Clock, issuer: Authority | None) -> Authority:
    """Load a CA, or make it: self-signed without `issuer`. A CA whose files are damaged is an error, not a new CA."""
    cert_path, key_path = folder / f"{slug}.pem", folder / f"{slug}.key"
    if cert_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path.name}: not a P-256 key")
        return Authority(slug, x509.load_pem_x509_certificate(cert_path.read_bytes()), key)
    key = ec.generate_private_key(ec.SECP256R1())
    now = utc(clock.now())
    subject = _authority_name(cn)
    builder = (
        _builder(subject, key.public_key(), subject if issuer is None else issuer.certificate.subject)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFE if issuer is None else issuer.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1 if issuer is None else 0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(_key_id_of(issuer), critical=False)
    certificate = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    swap(key_path, _key_pem(key), 0o600)
    swap(cert_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(slug, certificate, key)


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_id_of(issuer: Authority) -> x509.AuthorityKeyIdentifier:
    ski = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski.value)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_name(cn: str) -> x509.Name:
    """IGC-Santé's form of a CA's name, with DEMO wherever the true one could be mistaken for it."""
    return x509.Name(
        [
            _rdn((NameOID.COUNTRY_NAME, "FR")),
            _rdn((NameOID.ORGANIZATION_NAME, "ASIP-SANTE DEMO")),
            _rdn((NameOID.ORGANIZATIONAL_UNIT_NAME, "0002 187512751")),
            _rdn((NameOID.ORGANIZATIONAL_UNIT_NAME, "IGC-SANTE DEMO")),
            _rdn((NameOID.COMMON_NAME, cn)),
        ]
    )


def _organisation_name(cn: str, ou: str, o: str, st: str) -> x509.Name:
    return x509.Name(
        [
            _rdn((NameOID.COUNTRY_NAME, "FR")),
            _rdn((NameOID.STATE_OR_PROVINCE_NAME, st)),
            _rdn((NameOID.ORGANIZATION_NAME, o)),
            _rdn((NameOID.ORGANIZATIONAL_UNIT_NAME, ou)),
            _rdn((NameOID.COMMON_NAME, cn)),
        ]
    )


def _rdn(*attributes: tuple[ObjectIdentifier, str]) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in attributes])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
