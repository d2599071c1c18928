"""The CAs that certificates are judged by: anchors of one purpose, each with the chain above it.

Knows PEM, DER, signatures and what makes a CA (RFC 5280 §6); never who a certificate's holder is here. A file that
can't be read or doesn't hold what it should is an error with the file's name, since a server that starts without its
anchors lets nobody in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

MIN_RSA_BITS = 2048
MIN_CURVE_BITS = 256
STRONG_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a certificate, list or answer may raise, at once or when some part of it is asked for."""
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


def load_anchors(file: Path, *, allow_test_hierarchy: bool) -> dict[bytes, tuple[Anchor, ...]]:
    """The CAs of a PEM file by the DER of their subject. Raises TrustFileError.

    Each CA's signature is checked up to the self-signed root in the same file.
    """
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        raise TrustFileError(f"{file}: {error.strerror}") from None
    except UNREADABLE:
        raise TrustFileError(f"{file}: no PEM certificates in it") from None
    for certificate in certificates:
        _check_authority(file, certificate)
    found: dict[bytes, tuple[Anchor, ...]] = {}
    for certificate in certificates:
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
    except (x509.ExtensionNotFound, *UNREADABLE):
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
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            oid = extension.oid.dotted_string
            raise TrustFileError(f"{file}: {name} has the critical extension {oid}, which isn't understood")


def _chain(
    file: Path, certificate: x509.Certificate, among: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    chain = [certificate]
    while chain[-1].subject != chain[-1].issuer:
        above = next((c for c in among if signed_by(chain[-1], c)), None)
        if above is None or len(chain) >= MAX_CHAIN:
            name = chain[-1].subject.rfc4514_string()
            raise TrustFileError(f"{file}: the issuer of {name} isn't in it (a file holds the CA and its root)")
        if not strong_signature(chain[-1]):
            raise TrustFileError(f"{file}: {chain[-1].subject.rfc4514_string()} is signed with a weak hash")
        chain.append(above)
        _check_length(file, above, between=len(chain) - 1)
    if not signed_by(chain[-1], chain[-1]):
        raise TrustFileError(f"{file}: {chain[-1].subject.rfc4514_string()} isn't signed by itself")
    return tuple(chain)


def _check_length(file: Path, certificate: x509.Certificate, *, between: int) -> None:
    """Raises TrustFileError where fewer CAs than `between` may stand below this one (RFC 5280 §4.2.1.9)."""
    most = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if most is not None and most < between:
        raise TrustFileError(f"{file}: below {certificate.subject.rfc4514_string()} at most {most} CAs may stand")


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names match and the signature holds."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def strong_key(certificate: x509.Certificate) -> bool:
    """RSA of 2048 bits at least, or a curve of 256 bits at least; nothing else."""
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= MIN_CURVE_BITS


def strong_signature(certificate: x509.Certificate) -> bool:
    """SHA-256, SHA-384 or SHA-512; nothing else."""
    try:
        return isinstance(certificate.signature_hash_algorithm, STRONG_HASHES)
    except UnsupportedAlgorithm:
        return False


def is_test_name(name: x509.Name) -> bool:
    """Whether a CA's name is of IGC-Santé's test hierarchy: `TEST AC …`, or `OU=IGC-SANTE TEST`."""
    words = {x509.NameOID.COMMON_NAME: "TEST AC", x509.NameOID.ORGANIZATIONAL_UNIT_NAME: "IGC-SANTE TEST"}
    return any(str(a.value).upper().startswith(words[a.oid]) for a in name if a.oid in words)


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
