"""The files that certificates are judged by: anchors of one purpose, and revocation lists.

Knows PEM, DER and signatures; never who a certificate's holder is here. A file that can't be read or doesn't hold what
it should is an error with the file's name, since a server that starts without its anchors lets nobody in and one that
starts without its lists would let the revoked in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

MIN_RSA_BITS = 2048
MIN_CURVE_BITS = 256
MAX_CHAIN = 5
"""IGC-Santé's are of three: root, CA, leaf."""


class TrustFileError(Exception):
    """An anchor or revocation list can't be used; the text names the file and is for an administrator."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A CA's certificate that an anchors file holds, with the chain above it in the same file, itself first."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]

    @property
    def subject(self) -> bytes:
        return self.certificate.subject.public_bytes()

    @property
    def issues(self) -> bool:
        """Whether client certificates are taken from it: not from a root, which stands above CAs of every purpose."""
        return len(self.chain) > 1


@dataclass(frozen=True, slots=True)
class RevocationList:
    """What one issuer has revoked, as of its newest list."""

    serials: frozenset[int]
    made_at: float
    expires_at: float
    """Epoch seconds; without nextUpdate a list would be good for ever: it is taken as expired at once."""


def load_anchors(file: Path, *, allow_test_hierarchy: bool) -> dict[bytes, tuple[Anchor, ...]]:
    """The CAs of a PEM file by the DER of their subject. Raises TrustFileError.

    Each CA's signature is checked up to the self-signed root in the same file.
    """
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        raise TrustFileError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise TrustFileError(f"{file}: no PEM certificates in it") from None
    found: dict[bytes, tuple[Anchor, ...]] = {}
    for certificate in certificates:
        _check_authority(file, certificate)
        if is_test_name(certificate.subject) and not allow_test_hierarchy:
            raise TrustFileError(
                f"{file}: holds a CA of the test hierarchy, which trust.allow_test_hierarchy doesn't allow"
            )
        anchor = Anchor(certificate, _chain(file, certificate, certificates))
        found[anchor.subject] = (*found.get(anchor.subject, ()), anchor)
    if not any(anchor.issues for anchors in found.values() for anchor in anchors):
        raise TrustFileError(f"{file}: holds no CA below its root")
    return found


def _check_authority(file: Path, certificate: x509.Certificate) -> None:
    name = certificate.subject.rfc4514_string()
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        raise TrustFileError(f"{file}: {name} isn't a CA's certificate") from None
    if not basic.ca:
        raise TrustFileError(f"{file}: {name} isn't a CA's certificate")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.key_cert_sign:
        raise TrustFileError(f"{file}: {name} may not sign certificates")
    if not strong_key(certificate):
        raise TrustFileError(f"{file}: {name} has too short a key")


def _chain(
    file: Path, certificate: x509.Certificate, among: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    chain = [certificate]
    while chain[-1].subject != chain[-1].issuer:
        above = next((c for c in among if signed_by(chain[-1], c)), None)
        if above is None or len(chain) >= MAX_CHAIN:
            name = chain[-1].subject.rfc4514_string()
            raise TrustFileError(f"{file}: the issuer of {name} isn't in it (a file holds the CA and its root)")
        chain.append(above)
    if not signed_by(chain[-1], chain[-1]):
        raise TrustFileError(f"{file}: {chain[-1].subject.rfc4514_string()} isn't signed by itself")
    return tuple(chain)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names match and the signature holds."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def strong_key(certificate: x509.Certificate) -> bool:
    """RSA of 2048 bits at least, or a curve of 256 bits at least; nothing else."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= MIN_CURVE_BITS


def is_test_name(name: x509.Name) -> bool:
    """Whether a CA's name is of IGC-Santé's test hierarchy: `TEST AC …`, or `OU=IGC-SANTE TEST`."""
    words = {x509.NameOID.COMMON_NAME: "TEST AC", x509.NameOID.ORGANIZATIONAL_UNIT_NAME: "IGC-SANTE TEST"}
    return any(str(a.value).upper().startswith(words[a.oid]) for a in name if a.oid in words)


def load_lists(files: Iterable[Path], authorities: Iterable[x509.Certificate]) -> dict[bytes, RevocationList]:
    """Each issuer's newest revocation list, by the DER of the issuer's name. Raises TrustFileError.

    Lists of issuers that aren't among `authorities` are left aside; one in a known issuer's name that it didn't sign
    is an error, as is one that can't be read.
    """
    known: dict[bytes, list[x509.Certificate]] = {}
    for certificate in authorities:
        known.setdefault(certificate.subject.public_bytes(), []).append(certificate)
    found: dict[bytes, RevocationList] = {}
    for file in files:
        for listed in _read_lists(file):
            issuer = listed.issuer.public_bytes()
            if issuer not in known:
                continue
            if not any(_signed_list(listed, c) for c in known[issuer]):
                raise TrustFileError(f"{file}: {listed.issuer.rfc4514_string()} didn't sign its list")
            new = _taken(file, listed, of_root=any(c.subject == c.issuer for c in known[issuer]))
            if issuer not in found or new.made_at > found[issuer].made_at:
                found[issuer] = new
    return found


def _read_lists(file: Path) -> list[x509.CertificateRevocationList]:
    """One list in DER, or any number in PEM."""
    begin, end = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
    try:
        content = file.read_bytes()
        if begin not in content:
            return [x509.load_der_x509_crl(content)]
        parts = content.split(begin)[1:]
        return [x509.load_pem_x509_crl(begin + part.partition(end)[0] + end + b"\n") for part in parts]
    except OSError as error:
        raise TrustFileError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise TrustFileError(f"{file}: not a revocation list in PEM or DER") from None


def _signed_list(listed: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    try:
        return listed.is_signature_valid(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _taken(file: Path, listed: x509.CertificateRevocationList, *, of_root: bool) -> RevocationList:
    """Raises TrustFileError for a list that isn't whole: of changes alone, or of some certificates or reasons alone.

    A root's list may be of CAs alone, since that is all a root issues.
    """
    for extension in listed.extensions:
        match extension.value:
            case x509.DeltaCRLIndicator():
                raise TrustFileError(f"{file}: holds changes alone (delta CRL); the whole list is needed")
            case x509.IssuingDistributionPoint() as scope:
                partial = scope.only_contains_ca_certs and not of_root
                if partial or scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs:
                    raise TrustFileError(f"{file}: holds some certificates alone; the whole list is needed")
            case _ if extension.critical:
                raise TrustFileError(f"{file}: critical extension {extension.oid.dotted_string} isn't understood")
    expires = listed.next_update_utc
    return RevocationList(
        frozenset(revoked.serial_number for revoked in listed),
        listed.last_update_utc.timestamp(),
        0.0 if expires is None else expires.timestamp(),
    )


Stamp = tuple[tuple[int, int, int] | None, ...]


def stamp(files: Sequence[Path]) -> Stamp:
    """What tells that a file was changed or replaced: inode, time and size of each; None where it is missing."""
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            seen = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
    return tuple(found)
