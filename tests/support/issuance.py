"""Certificates issued at will by the demo's CAs, and a real HTTP server that says which of them still hold."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mssmail.base.clock import Clock, utc
from mssmail.demo.pki import Authority, DemoPki, Leaf
from tests.support.origin import Answer, Asked, Origin

Name = Sequence[Sequence[tuple[ObjectIdentifier, str]]]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Extensions = tuple[tuple[x509.ExtensionType, bool], ...]
ID = "810000000001"
CARD: Name = (
    ((NameOID.COUNTRY_NAME, "FR"),),
    ((NameOID.SURNAME, "MARTIN"), (NameOID.COMMON_NAME, ID), (NameOID.GIVEN_NAME, "Claire")),
)
FOR_CLIENTS: Extensions = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),)


def name(parts: Name) -> x509.Name:
    return x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, text) for oid, text in rdn]) for rdn in parts]
    )


@dataclass(frozen=True)
class Wish:
    """A certificate to be issued; times in days from now."""

    subject: Name | x509.Name = CARD
    key: Callable[[], Key] = lambda: ec.generate_private_key(ec.SECP256R1())
    extensions: Extensions = FOR_CLIENTS
    digest: hashes.SHA256 | hashes.SHA224 = field(default_factory=hashes.SHA256)
    begins: float = -1.0
    ends: float = 300.0


def issue(by: Authority, clock: Clock, wish: Wish = Wish()) -> tuple[x509.Certificate, Key]:
    key, now = wish.key(), utc(clock.now())
    subject = wish.subject if isinstance(wish.subject, x509.Name) else name(wish.subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=wish.begins))
        .not_valid_after(now + timedelta(days=wish.ends))
    )
    for value, critical in wish.extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(by.key, wish.digest), key


def save(folder: Path, stem: str, certificate: x509.Certificate | bytes, key: Key, *above: x509.Certificate) -> Leaf:
    """Lay down a certificate (or any DER) with its key and those above it, as files."""
    leaf = Leaf(folder / f"{stem}.pem", folder / f"{stem}.key")
    ders = (one if isinstance(one, bytes) else one.public_bytes(Encoding.DER) for one in (certificate, *above))
    leaf.cert.write_bytes(b"".join(map(pem, ders)))
    leaf.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return leaf


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def authority(
    by: Authority, clock: Clock, cn: str, *, path_length: int | None = 0, extensions: Extensions = ()
) -> Authority:
    """A CA below another."""
    wish = Wish(
        (((NameOID.COMMON_NAME, cn),),),
        extensions=((x509.BasicConstraints(True, path_length), True), *extensions),
    )
    certificate, key = issue(by, clock, wish)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Authority(cn.lower(), certificate, key)


def signed_with_sha1(certificate: x509.Certificate, by: Authority) -> bytes:
    """The same certificate signed with SHA-1 (DER), which no library makes any more."""
    return _signed_anew(certificate, by, _SHA256, _SHA1, hashes.SHA1())


def with_octets(certificate: x509.Certificate, by: Authority, old: bytes, new: bytes) -> bytes:
    """The same certificate (DER) with some octets exchanged, well signed: what no library would make."""
    assert len(old) == len(new)
    return _signed_anew(certificate, by, old, new, hashes.SHA256())


_SHA256, _SHA1 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")


def _signed_anew(
    certificate: x509.Certificate, by: Authority, old: bytes, new: bytes, digest: hashes.SHA1 | hashes.SHA256
) -> bytes:
    tbs = certificate.tbs_certificate_bytes
    content = tbs[2 + (tbs[1] & 0x7F if tbs[1] & 0x80 else 0) :]
    assert old in content
    tbs = _der(0x30, content.replace(old, new, 1))
    algorithm = _SHA1 if isinstance(digest, hashes.SHA1) else _SHA256
    return _der(0x30, tbs + algorithm + _der(0x03, b"\0" + by.key.sign(tbs, ec.ECDSA(digest))))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def points_to(*addresses: str) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier(a)], None, None, None) for a in addresses]
    )


def asks_at(address: str) -> x509.AuthorityInformationAccess:
    where = x509.UniformResourceIdentifier(address)
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)])


def revocation_list(
    by: Authority,
    clock: Clock,
    serials: Sequence[int] = (),
    *,
    begins_h: float = 0.0,
    ends_h: float | None = 24.0,
    extensions: Extensions = (),
    signer: Authority | None = None,
) -> bytes:
    """A list in DER; times in hours from now."""
    now = utc(clock.now())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(now + timedelta(hours=begins_h))
        .next_update(now + timedelta(hours=24.0 if ends_h is None else ends_h))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    for serial in serials:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        )
    return builder.sign((signer or by).key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Manner:
    """How a responder answers. Times in seconds from now."""

    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    signer: Authority | None = None
    """Who signs in the CA's stead."""
    shown: tuple[x509.Certificate, ...] = ()
    begins: float = -60.0
    ends: float | None = 600.0
    nonce: Callable[[bytes], bytes | None] = lambda asked: asked
    about: x509.Certificate | None = None
    """Another certificate than the one asked about."""
    digest: hashes.SHA256 | hashes.SHA224 = field(default_factory=hashes.SHA256)
    by_name: bool = False


def answer(
    asked: bytes, by: Authority, certificate: x509.Certificate, clock: Clock, manner: Manner = Manner()
) -> bytes:
    """An OCSP answer (DER) to a request."""
    request, now = ocsp.load_der_ocsp_request(asked), utc(clock.now())
    revoked = manner.status is ocsp.OCSPCertStatus.REVOKED
    signer = manner.signer or by
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=manner.about or certificate,
        issuer=by.certificate,
        algorithm=hashes.SHA1(),
        cert_status=manner.status,
        this_update=now + timedelta(seconds=manner.begins),
        next_update=None if manner.ends is None else now + timedelta(seconds=manner.ends),
        revocation_time=now - timedelta(hours=1) if revoked else None,
        revocation_reason=None,
    )
    how = ocsp.OCSPResponderEncoding.NAME if manner.by_name else ocsp.OCSPResponderEncoding.HASH
    builder = builder.responder_id(how, signer.certificate)
    if manner.shown:
        builder = builder.certificates(list(manner.shown))
    nonce = manner.nonce(request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(signer.key, manner.digest).public_bytes(Encoding.DER)


class Statuses:
    """An HTTP server of lists at `/NAME.crl` and of OCSP at `/ocsp`. `close` it."""

    def __init__(self, folder: Path, pki: DemoPki, clock: Clock) -> None:
        self.pki = pki
        self.clock = clock
        self.lists: dict[str, bytes] = {}
        self.certificates: dict[int, x509.Certificate] = {}
        self.manner = Manner()
        self.instead: Answer | None = None
        """What is answered to everything, where it is set."""
        self.before: Callable[[], object] = lambda: None
        self.origin = Origin(folder / "statuses", self._answer, clear=True)

    @property
    def base(self) -> str:
        return self.origin.base

    @property
    def asked(self) -> list[str]:
        return [asked.path for asked in self.origin.asked]

    def publish(self, by: Authority, *serials: int, begins_h: float = 0.0, ends_h: float = 24.0) -> str:
        """Put a CA's list on the server; where it lies."""
        self.lists[f"/{by.slug}.crl"] = revocation_list(by, self.clock, serials, begins_h=begins_h, ends_h=ends_h)
        return f"{self.base}/{by.slug}.crl"

    def issue(self, wish: Wish = Wish(), *extensions: x509.ExtensionType) -> tuple[x509.Certificate, Key]:
        """A persons' certificate that names this server, or what `extensions` say."""
        given = extensions or (asks_at(f"{self.base}/ocsp"), points_to(f"{self.base}/persons.crl"))
        more = tuple((value, False) for value in given)
        made = issue(self.pki.persons, self.clock, replace(wish, extensions=(*wish.extensions, *more)))
        self.certificates[made[0].serial_number] = made[0]
        return made

    def _answer(self, asked: Asked) -> Answer:
        self.before()
        if self.instead is not None:
            return self.instead
        if asked.path == "/ocsp":
            certificate = self.certificates[ocsp.load_der_ocsp_request(asked.body).serial_number]
            return Answer(200, answer(asked.body, self.pki.persons, certificate, self.clock, self.manner))
        content = self.lists.get(asked.path)
        return Answer(404) if content is None else Answer(200, content)

    def close(self) -> None:
        self.origin.close()
