"""Revocation lists (RFC 5280 §5): read from files, checked, and kept on disk when fetched.

Knows lists, their issuers' signatures and the files they lie in; never where they are fetched from. What counts of an
issuer is its newest list, wherever it lies. A list that an administrator names must be right, or is an error with its
file's name: a server that starts without would let the revoked in. One that was fetched was checked before it was
kept; where it can't be read any more it is left aside, and its absence closes its issuer's certificates out.

A list of 100,000 entries takes 60 ms to read: never on the loop, and only where its file was changed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mssmail.files import write_whole
from mssmail.identity.anchors import STRONG_HASHES, UNREADABLE, Stamp, TrustFileError, stamp

MAX_LIST_OCTETS: Final = 64 << 20
"""A million entries and a half; IGC-Santé's largest holds a tenth of that."""
EARLY_S: Final = 3600.0
"""How far in the future a fetched list may have been made; else one wrong date would keep all later lists out."""
_BEGIN: Final = b"-----BEGIN X509 CRL-----"
_END: Final = b"-----END X509 CRL-----"


@dataclass(frozen=True, slots=True)
class RevocationList:
    """What one issuer has revoked, as of one list."""

    serials: frozenset[int]
    made_at: float
    expires_at: float
    """Epoch seconds; without nextUpdate a list would be good for ever: it is taken as expired at once."""


Authorities = Mapping[bytes, Sequence[x509.Certificate]]
"""CAs by the DER of their subject."""


def by_subject(authorities: Iterable[x509.Certificate]) -> dict[bytes, list[x509.Certificate]]:
    """CAs by the DER of their subject."""
    known: dict[bytes, list[x509.Certificate]] = {}
    for certificate in authorities:
        known.setdefault(certificate.subject.public_bytes(), []).append(certificate)
    return known


class ListReader:
    """Reads list files, each again only where it or the CAs were changed. For one thread at a time."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[Stamp, bytes, dict[bytes, RevocationList]]] = {}

    def read(self, named: Iterable[Path], fetched: Iterable[Path], known: Authorities) -> dict[bytes, RevocationList]:
        """Each issuer's newest list, by the DER of the issuer's name. Raises TrustFileError for a file of `named`.

        Lists of issuers that aren't known are left aside; one in a known issuer's name that it didn't sign is an
        error, as is one that can't be read.
        """
        mark = _mark(known)
        found: dict[bytes, RevocationList] = {}
        kept: dict[Path, tuple[Stamp, bytes, dict[bytes, RevocationList]]] = {}
        for file, needed in (*((f, True) for f in named), *((f, False) for f in fetched)):
            seen = stamp((file,))
            before = self._read.get(file)
            try:
                held = before[2] if before is not None and before[:2] == (seen, mark) else _read_file(file, known)
            except TrustFileError:
                if needed:
                    raise
                continue
            kept[file] = seen, mark, held
            for issuer, new in held.items():
                if issuer not in found or new.made_at > found[issuer].made_at:
                    found[issuer] = new
        self._read = kept
        return found


def load_lists(files: Iterable[Path], authorities: Iterable[x509.Certificate]) -> dict[bytes, RevocationList]:
    """As `ListReader.read`, once."""
    return ListReader().read(files, (), by_subject(authorities))


def fetched_file(folder: Path, issuer: bytes) -> Path:
    """Where the fetched list of an issuer lies."""
    return folder / f"{hashlib.sha256(issuer).hexdigest()[:32]}.crl"


class Foreign(TrustFileError):
    """A list of a CA that isn't among the anchors."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a fetched list lies, and whether it is newer than what lay there."""

    file: Path
    newer: bool


def keep(folder: Path, content: bytes, known: Authorities, now: float) -> Kept:
    """Keep a fetched list, durably and whole, unless one at least as new lies there.

    Raises TrustFileError where it isn't a sound list of a known CA's that holds now, Foreign, OSError.
    """
    lists = _parsed("what was fetched", content)
    if len(lists) != 1:
        raise TrustFileError("what was fetched holds several lists")
    issuer = _issuer("what was fetched", lists[0])
    if issuer not in known:
        raise Foreign("the list is of a CA that isn't among the anchors")
    new = _checked("what was fetched", lists[0], known[issuer])
    if new.expires_at < now or new.made_at > now + EARLY_S:
        raise TrustFileError("the list has expired already, or is of the future")
    file = fetched_file(folder, issuer)
    try:
        before = _read_file(file, known).get(issuer)
    except TrustFileError:
        before = None
    # Over HTTP anybody on the way can send an old list again; the one that revokes more must not give way to it.
    if before is not None and before.made_at >= new.made_at:
        return Kept(file, newer=False)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(file, lists[0].public_bytes(Encoding.DER), 0o666)
    return Kept(file, newer=True)


def _mark(known: Authorities) -> bytes:
    """What tells one set of CAs from another."""
    digest = hashlib.sha256()
    for subject in sorted(known):
        for certificate in known[subject]:
            digest.update(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())
    return digest.digest()


def _read_file(file: Path, known: Authorities) -> dict[bytes, RevocationList]:
    """The known issuers' lists of a file. Raises TrustFileError."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_LIST_OCTETS + 1)
    except OSError as error:
        raise TrustFileError(f"{file}: {error.strerror}") from None
    return read_octets(str(file), content, known)


def read_octets(place: str, content: bytes, known: Authorities) -> dict[bytes, RevocationList]:
    """The same of octets; `place` stands in the error's text. Raises TrustFileError."""
    found: dict[bytes, RevocationList] = {}
    for listed in _parsed(place, content):
        issuer = _issuer(place, listed)
        if issuer not in known:
            continue
        new = _checked(place, listed, known[issuer])
        if issuer not in found or new.made_at > found[issuer].made_at:
            found[issuer] = new
    return found


def _parsed(place: str, content: bytes) -> list[x509.CertificateRevocationList]:
    """One list in DER, or any number in PEM. Raises TrustFileError."""
    if len(content) > MAX_LIST_OCTETS:
        raise TrustFileError(f"{place}: larger than {MAX_LIST_OCTETS >> 20} MiB")
    try:
        if _BEGIN not in content:
            return [x509.load_der_x509_crl(content)]
        parts = content.split(_BEGIN)[1:]
        return [x509.load_pem_x509_crl(_BEGIN + part.partition(_END)[0] + _END + b"\n") for part in parts]
    except UNREADABLE:
        raise TrustFileError(f"{place}: not a revocation list in PEM or DER") from None


def _issuer(place: str, listed: x509.CertificateRevocationList) -> bytes:
    """The DER of its issuer's name. Raises TrustFileError."""
    try:
        return listed.issuer.public_bytes()
    except UNREADABLE:
        raise TrustFileError(f"{place}: a revocation list of a malformed issuer") from None


def _checked(place: str, listed: x509.CertificateRevocationList, issuers: Sequence[x509.Certificate]) -> RevocationList:
    """Raises TrustFileError for a list that none of its issuer's certificates signed, or that isn't whole."""
    try:
        if not any(_signed(listed, issuer) for issuer in issuers):
            raise TrustFileError(f"{place}: {listed.issuer.rfc4514_string()} didn't sign its list")
        _check_whole(place, listed, of_root=any(c.subject == c.issuer for c in issuers))
        expires = listed.next_update_utc
        return RevocationList(
            frozenset(revoked.serial_number for revoked in listed),
            listed.last_update_utc.timestamp(),
            0.0 if expires is None else expires.timestamp(),
        )
    except UNREADABLE:
        raise TrustFileError(f"{place}: a revocation list that is malformed within") from None


def _signed(listed: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether this CA may sign lists, and did (RFC 5280 §6.3.3 (f), (g))."""
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) or not _may_sign(issuer):
        return False
    try:
        return isinstance(listed.signature_hash_algorithm, STRONG_HASHES) and listed.is_signature_valid(key)
    except UNREADABLE:
        return False


def _may_sign(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _check_whole(place: str, listed: x509.CertificateRevocationList, *, of_root: bool) -> None:
    """Raises TrustFileError for a list of changes alone, or of some certificates or reasons alone.

    A root's list may be of CAs alone, since that is all a root issues.
    """
    for extension in listed.extensions:
        match extension.value:
            case x509.DeltaCRLIndicator():
                raise TrustFileError(f"{place}: holds changes alone (delta CRL); the whole list is needed")
            case x509.IssuingDistributionPoint() as scope:
                partial = scope.only_contains_ca_certs and not of_root
                if partial or scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs:
                    raise TrustFileError(f"{place}: holds some certificates alone; the whole list is needed")
            case _ if extension.critical:
                raise TrustFileError(f"{place}: critical extension {extension.oid.dotted_string} isn't understood")
