"""What a client's certificate says of itself: whom it names, what it is for, where its standing can be asked.

Knows X.509 (RFC 5280) and IGC-Santé's subjects; never anchors, dates or revocation. Subjects are read by OID, never
from a printed string; the RDNs' order, and which attributes share one, says nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mssmail.base.dn import DistinguishedName
from mssmail.identity.anchors import UNREADABLE, strong_key, strong_signature
from mssmail.identity.credentials import organisation_subject, person_subject
from mssmail.identity.fault import Cause, Fault, Unfit

_NATIONAL_ID: Final = re.compile(r"[0-9A-Z][0-9A-Z/]{7,39}")
"""`8`+RPPS, `0`+ADELI, an employee's `3760021832/000000018`, a test identity's `ANS20231122132732`: one token."""
_STRUCTURE_ID: Final = re.compile(r"[0-9A-Z]{5,40}")
_HOST: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})+")
MAX_COMMON_NAME: Final = 255
MAX_ADDRESSES: Final = 3
"""Addresses of one kind that are looked at in a certificate."""
MAX_ADDRESS_OCTETS: Final = 512


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a person's certificate names."""

    national_id: str
    serial: int
    issuer: bytes
    """DER of the issuer's name."""

    @property
    def subject(self) -> str:
        return person_subject(self.national_id)


@dataclass(frozen=True, slots=True)
class Organisation:
    """What an organisation's certificate names."""

    organisational_unit: str
    common_name: str
    serial: int
    issuer: bytes

    @property
    def subject(self) -> str:
        return organisation_subject(self.organisational_unit, self.common_name)


@dataclass(frozen=True, slots=True)
class Operator:
    """What another operator's certificate names: the hosts that may speak for it."""

    hosts: frozenset[str]
    """In lower case: the DNS names of its SAN, else its CN; those that are no host's names left out."""
    serial: int
    issuer: bytes
    name: DistinguishedName
    """Its subject, by which the white list knows it."""


@unique
class End(Enum):
    """The end of a connection at which a certificate is shown: its extended key usage."""

    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH


Holder = Person | Organisation
"""Who signs in."""
_ENDS: Final = {End.CLIENT: "signing in as a client", End.SERVER: "a server"}
Name = Callable[[x509.Certificate], Holder | Operator]


def person(certificate: x509.Certificate) -> Person:
    """The CN is the national id, in one multi-valued RDN with SN and GN on a card. Raises Unfit, UNREADABLE."""
    national_id = _only(certificate, NameOID.COMMON_NAME, "CN")
    if _NATIONAL_ID.fullmatch(national_id) is None:
        raise Unfit(Cause.SUBJECT, "its CN is no national id")
    return Person(national_id, certificate.serial_number, certificate.issuer.public_bytes())


def organisation(certificate: x509.Certificate) -> Organisation:
    """OU and CN, as `1750000001` and a host or application. Raises Unfit, UNREADABLE."""
    unit = _only(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU")
    if _STRUCTURE_ID.fullmatch(unit) is None:
        raise Unfit(Cause.SUBJECT, "its OU is no structure's id")
    name = _only(certificate, NameOID.COMMON_NAME, "CN")
    if len(name) > MAX_COMMON_NAME or not name.isprintable():
        raise Unfit(Cause.SUBJECT, "its CN is no name")
    return Organisation(unit, name, certificate.serial_number, certificate.issuer.public_bytes())


def operator(certificate: x509.Certificate) -> Operator:
    """Its subject, by which the white list knows it, and the hosts it is for. Raises Unfit, UNREADABLE.

    It may name none: one in a few hundred operators' CNs is a word (`CN=rassconsult`).
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        hosts = [_only(certificate, NameOID.COMMON_NAME, "CN")]
    found = frozenset(host for name in hosts if _HOST.fullmatch(host := name.lower()))
    name = DistinguishedName.of(
        (each.oid.dotted_string, each.value if isinstance(each.value, str) else each.value.hex())
        for rdn in reversed(certificate.subject.rdns)  # as RFC 4514 §2.1 prints it, and the white list
        for each in rdn
    )
    return Operator(found, certificate.serial_number, certificate.issuer.public_bytes(), name)


def _only(certificate: x509.Certificate, oid: ObjectIdentifier, word: str) -> str:
    """The attribute's one value: of two, which one a reader takes would be chance."""
    values = certificate.subject.get_attributes_for_oid(oid)
    if len(values) != 1:
        raise Unfit(Cause.SUBJECT, f"{len(values)} values of {word} ({oid.dotted_string}) in its subject")
    value = values[0].value
    if not isinstance(value, str) or not value or "\0" in value:
        raise Unfit(Cause.SUBJECT, f"its {word} isn't text")
    return value


def faults_of_use(certificate: x509.Certificate, end: End, *, usage_required: bool) -> Iterator[Fault]:
    """What keeps it from being an end entity's for this end of a connection, with strong key and signature.

    `usage_required`: it must say that it is for that; else one that names no use is for any (RFC 5280 §4.2.1.12).
    Raises UNREADABLE where its extensions can't be read.
    """
    if not strong_key(certificate):
        yield Fault(Cause.WEAK_KEY, "its key is too short, or of a kind not taken")
    if not strong_signature(certificate):
        yield Fault(Cause.WEAK_SIGNATURE, "signed with a weak hash, or in a way not taken")
    named = False
    for extension in certificate.extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True):
                yield Fault(Cause.AUTHORITY, "a CA's certificate")
            case x509.KeyUsage() as usage if not usage.digital_signature:
                yield Fault(Cause.USAGE, "its key may not sign, thus not sign in")
            case x509.ExtendedKeyUsage() as usages:
                named = True
                if end.value not in usages:
                    yield Fault(Cause.USAGE, f"not for {_ENDS[end]}")
            case x509.UnrecognizedExtension() if extension.critical:
                text = f"critical extension {extension.oid.dotted_string} isn't understood"
                yield Fault(Cause.EXTENSION, text)
    if usage_required and not named:
        yield Fault(Cause.USAGE, f"doesn't say that it is for {_ENDS[end]}")


def list_addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where its issuer publishes its revocation list over HTTP (RFC 5280 §4.2.1.13); for one whose issuer is trusted.

    Points that name another issuer, or some reasons alone, are left out.
    """
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()
    names = [name for point in points if not point.crl_issuer and not point.reasons for name in (point.full_name or ())]
    return _http(names)


def responder_addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where an OCSP responder answers for it (RFC 5280 §4.2.2.1), likewise."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()
    return _http([one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.OCSP])


def _http(names: list[x509.GeneralName]) -> tuple[str, ...]:
    texts = (name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
    usable = (text for text in texts if text.lower().startswith(("http://", "https://")))
    return tuple(dict.fromkeys(text for text in usable if len(text) <= MAX_ADDRESS_OCTETS))[:MAX_ADDRESSES]
