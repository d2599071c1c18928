"""The white list's signature (XML Signature, enveloped): by a certificate given beforehand, or it doesn't count.

Knows octets and certificates. What is signed is what is read: a list says nothing that its signature doesn't cover.
`signxml` and lxml take 20 MB, and are loaded where a signer is configured, once a list has come.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mssmail.directory.trustlist import Cause, Unfit, read

MIN_RSA_BITS: Final = 2048


def signers_of(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, each of which may sign. Raises ValueError."""
    found = x509.load_pem_x509_certificates(pem)
    for each in found:
        key = each.public_key()
        strong = isinstance(key, ec.EllipticCurvePublicKey) or (
            isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS
        )
        if not strong:
            raise ValueError("a signer's key must be ECDSA, or RSA of 2048 bits and more")
    return found


def check(octets: bytes, trusted: Sequence[x509.Certificate], now: float) -> None:
    """Raises Unfit where no trusted certificate that is valid now signed the whole list, and for what is no list."""
    claimed = read(octets)  # bounds its size, and rules out a document type, before anything else parses it
    at = datetime.fromtimestamp(now, UTC)
    valid = [each for each in trusted if each.not_valid_before_utc <= at <= each.not_valid_after_utc]
    if not valid:
        raise Unfit(Cause.SIGNATURE, "every certificate of trust_list.signers is out of its dates")
    for certificate in valid:
        signed = _signed(octets, certificate)
        if signed is None:
            continue
        covered = read(signed)
        if (covered.operators, covered.generated_at) != (claimed.operators, claimed.generated_at):
            raise Unfit(Cause.SIGNATURE, "the signature doesn't cover all of the list")
        return
    raise Unfit(Cause.SIGNATURE, "not signed by a certificate of trust_list.signers, or altered since")


def _signed(octets: bytes, certificate: x509.Certificate) -> bytes | None:
    """The canonical octets that a certificate signed; None where its signature isn't there or doesn't hold."""
    from lxml import etree
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    wanted = SignatureConfiguration(
        location="./",
        signature_methods=frozenset(
            {
                *(SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512),
                *(SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512),
            }
        ),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}),
    )
    try:
        result = XMLVerifier().verify(octets, x509_cert=certificate, expect_config=wanted)
    except (SignXMLException, etree.LxmlError, ValueError, TypeError):
        return None
    if isinstance(result, list):
        return None
    return bytes(result.signed_data)
