"""OCSP (RFC 6960, RFC 5019, RFC 9654): the question about one certificate, and whether an answer can be believed.

Pure: octets in, octets out. An answer counts only where its status is of the certificate asked about, it is signed by
the CA itself or by a responder that the CA certified for this (its certificate in its dates, and not on the CA's own
list), it is fresh, and it bears our nonce or none: responders that sign in advance leave it out.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from mssmail.identity.anchors import STRONG_HASHES, UNREADABLE, signed_by, strong_key, strong_signature

CONTENT_TYPE: Final = "application/ocsp-request"
MAX_ANSWER_OCTETS: Final = 64 * 1024
"""An answer with two certificates takes 4 KiB."""
NONCE_OCTETS: Final = 32
"""RFC 9654 §2.1."""
SKEW_S: Final = 300.0
"""How far the responder's clock may be off, and how old an answer may be that doesn't say until when it holds."""


class Unbelievable(Exception):
    """An answer that tells nothing; the text is for the log."""


@unique
class Status(Enum):
    """What a responder says of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """Another responder may know it: no answer to us (RFC 6960 §2.2)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one certificate."""

    octets: bytes
    issuer: x509.Certificate
    name_hash: bytes
    key_hash: bytes
    serial: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that can be believed, until then (epoch seconds)."""

    status: Status
    until: float


def ask(certificate: x509.Certificate, issuer: x509.Certificate) -> Question:
    """The question about a certificate to its issuer's responder."""
    nonce = os.urandom(NONCE_OCTETS)
    # The one hash that every responder knows (RFC 5019 §2.1.1); it only names the issuer, whose key then verifies.
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    return Question(
        request.public_bytes(Encoding.DER),
        issuer,
        request.issuer_name_hash,
        request.issuer_key_hash,
        request.serial_number,
        nonce,
    )


def believe(octets: bytes, question: Question, now: float, listed: Callable[[int], bool]) -> Answer:
    """What an answer says. `listed`: whether the issuer's revocation list holds a serial. Raises Unbelievable."""
    try:
        response = ocsp.load_der_ocsp_response(octets)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Unbelievable(f"the responder answers {response.response_status.name.lower()}")
        single = _single(response, question)
        _check_nonce(response, question)
        _check_signature(response, question.issuer, now, listed)
        return Answer(_STATUS[single.certificate_status], _fresh_until(single, now))
    except UNREADABLE:
        raise Unbelievable("malformed") from None


_STATUS: Final = {
    ocsp.OCSPCertStatus.GOOD: Status.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Status.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Status.UNKNOWN,
}


def _single(response: ocsp.OCSPResponse, question: Question) -> ocsp.OCSPSingleResponse:
    """The part about our certificate: hashes of the issuer's name and key, and the serial, as we asked."""
    for single in response.responses:
        if (
            single.serial_number == question.serial
            and isinstance(single.hash_algorithm, hashes.SHA1)
            and single.issuer_name_hash == question.name_hash
            and single.issuer_key_hash == question.key_hash
        ):
            return single
    raise Unbelievable("an answer about another certificate")


def _check_nonce(response: ocsp.OCSPResponse, question: Question) -> None:
    try:
        nonce = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if nonce != question.nonce:
        raise Unbelievable("an answer to another question: its nonce isn't ours")


def _check_signature(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: float, listed: Callable[[int], bool]
) -> None:
    for signer in _signers(response, issuer, now, listed):
        if _signed(response, signer):
            return
    raise Unbelievable("signed neither by the CA nor by a responder that it certified")


def _signers(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: float, listed: Callable[[int], bool]
) -> Iterator[x509.Certificate]:
    """The certificates that may have signed: of those that bear the responder's name or key (RFC 6960 §4.2.2.2)."""
    if _is(response, issuer):
        yield issuer
    for certificate in response.certificates[:4]:
        if (
            _is(response, certificate)
            and _delegated(certificate, issuer, now)
            and not listed(certificate.serial_number)
        ):
            yield certificate


def _is(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_key_hash is not None:
        digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
        return digest == response.responder_key_hash
    return response.responder_name == certificate.subject


def _delegated(certificate: x509.Certificate, issuer: x509.Certificate, now: float) -> bool:
    """Whether the CA itself certified this key for answering OCSP, and its certificate holds."""
    if not (
        certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp()
        and strong_key(certificate)
        and strong_signature(certificate)
        and signed_by(certificate, issuer)
    ):
        return False
    for_this = False
    for extension in certificate.extensions:
        match extension.value:
            case x509.ExtendedKeyUsage() as usages:
                for_this = ExtendedKeyUsageOID.OCSP_SIGNING in usages
            case x509.KeyUsage() as usage if not usage.digital_signature:
                return False
    return for_this


def _signed(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    algorithm = response.signature_hash_algorithm
    if not isinstance(algorithm, STRONG_HASHES):
        return False
    key = signer.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _fresh_until(single: ocsp.OCSPSingleResponse, now: float) -> float:
    """Until when it holds. Raises Unbelievable where that is over, or hasn't begun (RFC 6960 §4.2.2.1)."""
    begins = single.this_update_utc.timestamp()
    until = begins + SKEW_S if single.next_update_utc is None else single.next_update_utc.timestamp()
    if begins > now + SKEW_S:
        raise Unbelievable("an answer of the future")
    if until < now:
        raise Unbelievable("an old answer")
    return until
