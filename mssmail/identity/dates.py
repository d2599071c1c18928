"""How long certificates and revocation lists still hold, for an administrator. Judges no client."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from mssmail.identity.anchors import UNREADABLE, TrustFileError
from mssmail.identity.certificates import Certificates


@dataclass(frozen=True, slots=True)
class Dated:
    """A certificate or list, and the span in which it holds (epoch seconds)."""

    name: str
    begins_at: float
    ends_at: float
    """0 where a CA that issues has no list at all, or one without an end."""

    def grows_old(self, now: float) -> bool:
        """Whether it is in its last tenth: a list is published anew well before, so it wasn't fetched."""
        return self.ends_at - now < (self.ends_at - self.begins_at) / 10


def server_certificate(file: Path) -> tuple[Dated, frozenset[str]]:
    """The first certificate of a PEM file, and the host names it is for. Raises TrustFileError."""
    try:
        certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return _dated(certificate), frozenset()
    except OSError as error:
        raise TrustFileError(f"{file}: {error.strerror}") from None
    except UNREADABLE:
        raise TrustFileError(f"{file}: no PEM certificates in it") from None
    return _dated(certificate), frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))


def anchors(certificates: Certificates) -> Iterator[Dated]:
    """Each CA of the anchors files."""
    yield from map(_dated, certificates.trusted.authorities)


def lists(certificates: Certificates) -> Iterator[Dated]:
    """The newest revocation list of each CA of the anchors files."""
    for certificate in certificates.trusted.authorities:
        listed = certificates.trusted.lists.get(certificate.subject.public_bytes())
        name = name_of(certificate.subject)
        yield Dated(name, listed.made_at, listed.expires_at) if listed is not None else Dated(name, 0.0, 0.0)


def _dated(certificate: x509.Certificate) -> Dated:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Dated(name_of(certificate.subject), begins.timestamp(), ends.timestamp())


def name_of(name: x509.Name) -> str:
    """A CA's CN, else all of its name."""
    names = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else name.rfc4514_string()
