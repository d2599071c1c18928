"""Certificates, revocation lists and OCSP answers under fuzz: what peers, CAs and responders send, in any octets."""

from dataclasses import replace

from cryptography import x509

from mssmail.base.clock import FakeClock
from mssmail.identity.anchors import UNREADABLE, TrustFileError
from mssmail.identity.certificates import Certificates, first_certificate
from mssmail.identity.fault import Unfit
from mssmail.identity.leaf import list_addresses, operator, organisation, person, responder_addresses
from mssmail.identity.lists import by_subject, read_octets
from mssmail.identity.ocsp import Status, Unbelievable, ask, believe
from mssmail.settings.model import Trust
from tests.fuzz.target import CORPUS, Target

CLOCK = FakeClock()
JUDGE = Certificates(Trust(), CLOCK)
CARD, CA = (x509.load_der_x509_certificate((CORPUS / "certificate" / name).read_bytes()) for name in ("card", "ca"))
QUESTION = replace(ask(CARD, CA), nonce=b"")


def certificate(data: bytes) -> None:
    """Any octets are a certificate with its faults, or none; nothing that is read of it late fails otherwise."""
    try:
        der = first_certificate(data)
    except Unfit:
        return
    found = JUDGE.examine(der)
    assert found.faults
    if found.certificate is None:
        return
    list_addresses(found.certificate)
    responder_addresses(found.certificate)
    for name in (person, organisation, operator):
        try:
            name(found.certificate)
        except (Unfit, *UNREADABLE):
            pass


def revocation_list(data: bytes) -> None:
    """A list that isn't sound is told by TrustFileError, and by nothing else."""
    try:
        found = read_octets("fuzz", data, by_subject((CA,)))
    except TrustFileError:
        return
    for each in found.values():
        assert each.serials >= {7}, "who altered it signed it"


def ocsp_answer(data: bytes) -> None:
    """An answer that can't be believed is told by Unbelievable; what is believed is what was signed."""
    try:
        found = believe(data, QUESTION, CLOCK.now(), frozenset[int]().__contains__)
    except Unbelievable:
        return
    assert found.status is Status.GOOD


_OIDS = tuple(
    bytes.fromhex(text)
    for text in (
        "0603551d0f",  # keyUsage
        "0603551d13",  # basicConstraints
        "0603551d25",  # extKeyUsage
        "0603551d1f",  # cRLDistributionPoints
        "0603551d11",  # subjectAltName
        "0603551d1c",  # issuingDistributionPoint
        "06082b06010505070101",  # authorityInfoAccess
        "06092b0601050507300102",  # OCSP nonce
        "0603550403",  # CN
        "060355040b",  # OU
        "06082a8648ce3d040302",  # ecdsa-with-SHA256
    )
)
_DER = (
    b"\x30\x80",
    b"\x30\x03",
    b"\x01\x01\xff",
    b"\x03\x02\x07\x80",
    b"\x04\x02",
    b"\x13\x02FR",
    b"\x0c\x01\xff",
    b"\xa3",
)
WORDS = (*_OIDS, *_DER, b"\x17\x0d260921000000Z", b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN X509 CRL-----\n")

TARGETS = (
    Target("certificate", certificate, WORDS),
    Target("revocation-list", revocation_list, WORDS),
    Target("ocsp-answer", ocsp_answer, WORDS),
)
