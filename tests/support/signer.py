"""Who signs white lists: a key with a certificate of its own."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner

from mssmail.base.clock import FakeClock, utc

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = FakeClock().now()


class Signer:
    """A key with a certificate of its own."""

    def __init__(self, key: Key | None = None, *, ended_days_ago: int = -365) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "liste blanche")])
        ends = utc(NOW) - timedelta(days=ended_days_ago)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - timedelta(days=730))
            .not_valid_after(ends)
            .sign(self.key, hashes.SHA256())
        )

    def sign(self, octets: bytes) -> bytes:
        rsa_key = isinstance(self.key, rsa.RSAPrivateKey)
        signer = XMLSigner(
            method=SignatureConstructionMethod.enveloped,
            signature_algorithm=SignatureMethod.RSA_SHA256 if rsa_key else SignatureMethod.ECDSA_SHA256,
        )
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pem = self.certificate.public_bytes(Encoding.PEM).decode()
        root = signer.sign(etree.fromstring(octets), key=key, cert=pem)
        return bytes(etree.tostring(root))
