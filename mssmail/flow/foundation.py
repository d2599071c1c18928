"""What a new server is founded on: folders and files with safe modes, a first certificate, anchors sorted by purpose.

Makes what is missing and replaces nothing: a key or certificate that is there is used as it is.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mssmail.base.clock import Clock, utc
from mssmail.identity.anchors import TrustFileError, load_anchors
from mssmail.identity.lists import load_lists
from mssmail.settings.model import Trust

SELF_MADE_LIFE: Final = timedelta(days=365)
_BACKDATE: Final = timedelta(hours=1)
_PURPOSES: Final = {"PERSONNES": "persons.pem", "ORGANISATIONS": "organisations.pem"}
"""IGC-Santé's CAs say in their CN whom they certify."""


class Unfit(Exception):
    """A file that was given can't serve; the text names it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


def write_new(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 that isn't there yet, durable on return, its folder 0700 where that is made.

    Raises FileExistsError.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def self_made(folder: Path, names: Sequence[str], clock: Clock) -> Pair:
    """A server certificate of its own making for these names, good for a year; one that is there is kept."""
    pair = Pair(folder / "server.pem", folder / "server.key")
    if pair.certificate.exists() and pair.key.exists():
        return pair
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = utc(clock.now())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + SELF_MADE_LIFE)
        .add_extension(x509.SubjectAlternativeName([_host(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_new(pair.key, plain)
    write_new(pair.certificate, certificate.public_bytes(encoding))
    return pair


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def sorted_anchors(files: Sequence[Path], folder: Path) -> Trust:
    """Sort CA certificates and revocation lists into what `trust` names. Raises Unfit, FileExistsError.

    Certificates are written to `folder`, a file for each purpose with the chain above its CA. Lists stay where they
    are, since they will be fetched anew there.
    """
    certificates: list[x509.Certificate] = []
    lists: list[Path] = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise Unfit(f"{file}: {error.strerror}") from None
        if b"-----BEGIN CERTIFICATE-----" in content:
            certificates += x509.load_pem_x509_certificates(content)
        else:
            lists.append(file.absolute())
    written = {purpose: _write_anchors(purpose, certificates, folder) for purpose in _PURPOSES}
    found = [file for file in written.values() if file is not None]
    if not found:
        raise Unfit("no CA whose name says PERSONNES or ORGANISATIONS is among them; set trust.* by hand")
    try:
        authorities = [
            anchor.certificate
            for file in found
            for anchors in load_anchors(file, allow_test_hierarchy=True).values()
            for anchor in anchors
        ]
        load_lists(lists, authorities)
    except TrustFileError as error:
        raise Unfit(str(error)) from None
    return Trust(persons_ca=written["PERSONNES"], organisations_ca=written["ORGANISATIONS"], crls=tuple(lists))


def _write_anchors(purpose: str, among: Sequence[x509.Certificate], folder: Path) -> Path | None:
    """The file of a purpose's CAs with those above them; None where there is none."""
    chosen: list[x509.Certificate] = []
    pending = [c for c in among if purpose in _common_name(c).upper()]
    while pending:
        one = pending.pop(0)
        if one not in chosen:
            chosen.append(one)
            pending += [c for c in among if c.subject == one.issuer and c not in chosen]
    if not chosen:
        return None
    path = folder / _PURPOSES[purpose]
    if not path.exists():
        write_new(path, b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chosen))
    return path


def _common_name(certificate: x509.Certificate) -> str:
    return " ".join(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
