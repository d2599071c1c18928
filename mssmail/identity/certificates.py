"""Client certificates: which are taken, and whom they name (IGC-Santé).

TLS has verified that a certificate chains to some anchor and that the client holds its key. Here it is judged again,
at every sign-in, for what TLS doesn't know or a resumed session skips: the anchor of the right purpose, dates,
revocation, key, usages, and the identity. Subjects are read by OID, never from a printed string.

What follows from the octets alone is worked out once for a certificate and remembered; dates and revocation are looked
at each time. A revocation list that is missing or expired closes out all that its issuer signed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.identity.anchors import (
    Anchor,
    RevocationList,
    TrustFileError,
    is_test_name,
    load_anchors,
    load_lists,
    signed_by,
    stamp,
    strong_key,
)
from mssmail.identity.credentials import organisation_subject, person_subject
from mssmail.metrics.registry import counter
from mssmail.settings.model import Trust

_REMEMBERED: Final = 5_000
_NATIONAL_ID: Final = re.compile(r"[0-9A-Z][0-9A-Z/]{7,39}")
"""`8`+RPPS, `0`+ADELI, an employee's `3760021832/000000018`, a test identity's `ANS20231122132732`: one token."""
_ORGANISATION: Final = re.compile(r"[0-9A-Z]{5,40}")
MAX_DER_OCTETS: Final = 16 * 1024

_kept = counter("mssmail_trust_files_kept_total", "Times changed anchors or revocation lists couldn't be taken.")
_log = structlog.get_logger("mssmail.certificates")


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a person's certificate names."""

    national_id: str
    serial: int
    issuer: bytes

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


Holder = Person | Organisation


@dataclass(frozen=True, slots=True)
class _Judged:
    """What follows from a certificate's octets and the anchors alone."""

    holder: Holder
    path: tuple[tuple[bytes, int], ...]
    """Issuer and serial of the certificate itself and of its CA: what revocation lists are asked for."""
    not_before: float
    not_after: float
    """The span in which the whole path is valid."""


@dataclass(frozen=True, slots=True)
class _Trusted:
    """What the files held when they were last read."""

    persons: dict[bytes, tuple[Anchor, ...]]
    organisations: dict[bytes, tuple[Anchor, ...]]
    lists: dict[bytes, RevocationList]


class Certificates:
    """Judges certificates by the files of `trust.*`. Used on the loop; `judge` costs 100 µs at first, then 2."""

    def __init__(self, trust: Trust, clock: Clock) -> None:
        """Read all files. Raises TrustFileError."""
        self._trust = trust
        self._clock = clock
        self._files = tuple(f for f in (trust.persons_ca, trust.organisations_ca, *trust.crls) if f is not None)
        self._stamp = stamp(self._files)
        self._trusted = self._read()
        self._known: dict[bytes, _Judged] = {}

    def _read(self) -> _Trusted:
        persons = self._anchors(self._trust.persons_ca)
        organisations = self._anchors(self._trust.organisations_ca)
        if _issuing(persons) & _issuing(organisations):
            raise TrustFileError("trust.persons_ca and trust.organisations_ca hold the same CA")
        authorities = [a.certificate for by in (persons, organisations) for anchors in by.values() for a in anchors]
        return _Trusted(persons, organisations, load_lists(self._trust.crls, authorities))

    def _anchors(self, file: Path | None) -> dict[bytes, tuple[Anchor, ...]]:
        return {} if file is None else load_anchors(file, allow_test_hierarchy=self._trust.allow_test_hierarchy)

    def renew(self, fresh: "Certificates") -> None:
        """Judge from now on by what another has just read, by other settings perhaps. On the loop, as all else."""
        self._trust, self._files, self._stamp = fresh._trust, fresh._files, fresh._stamp
        self._trusted, self._known = fresh._trusted, {}

    def reload_if_changed(self) -> bool:
        """Read the files again where one was changed; whether that was so. A few microseconds a file when not.

        Files that can't be used leave what was read before in force, until its lists expire: counted and logged.
        """
        seen = stamp(self._files)
        if seen == self._stamp:
            return False
        self._stamp = seen
        try:
            self._trusted = self._read()
        except TrustFileError as error:
            _kept.inc()
            _log.error("trust files kept", why=str(error))
            return False
        self._known = {}
        return True

    def judge(self, der: bytes) -> Holder:
        """Whom a certificate names. Raises Refusal(CERTIFICATE) where it isn't good now, the detail saying why."""
        judged = self._known.get(der)
        if judged is None:
            judged = self._judge_octets(der)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[der] = judged
        now = self._clock.now()
        if not judged.not_before <= now <= judged.not_after:
            raise _no("out of date, or its CA is")
        for issuer, serial in judged.path:
            self._check_revocation(issuer, serial, now)
        return judged.holder

    def _check_revocation(self, issuer: bytes, serial: int, now: float) -> None:
        listed = self._trusted.lists.get(issuer)
        if listed is None:
            raise _no("its issuer's revocation list is missing")
        if listed.expires_at < now:
            raise _no("its issuer's revocation list has expired")
        if serial in listed.serials:
            raise _no("revoked, or its CA is")

    def is_revoked(self, issuer: bytes, serial: int) -> bool:
        """Whether the newest lists, expired or not, hold a certificate or its CA; for sessions that are open."""
        for anchors in (self._trusted.persons, self._trusted.organisations):
            for anchor in anchors.get(issuer, ()):
                certificate = anchor.certificate
                if self._lists(certificate.issuer.public_bytes(), certificate.serial_number):
                    return True
        return self._lists(issuer, serial)

    def _lists(self, issuer: bytes, serial: int) -> bool:
        listed = self._trusted.lists.get(issuer)
        return listed is not None and serial in listed.serials

    def _judge_octets(self, der: bytes) -> _Judged:
        if len(der) > MAX_DER_OCTETS:
            raise _no("too large")
        try:
            certificate = x509.load_der_x509_certificate(der)
            issuer = certificate.issuer.public_bytes()
            _check_use(certificate)
            if is_test_name(certificate.issuer) and not self._trust.allow_test_hierarchy:
                raise _no("of the test hierarchy")
            for anchors, name in ((self._trusted.persons, _person), (self._trusted.organisations, _organisation)):
                anchor = _issuer_among(certificate, anchors.get(issuer, ()))
                if anchor is not None:
                    path = (certificate, *anchor.chain)
                    issued = tuple((c.issuer.public_bytes(), c.serial_number) for c in path[:-1])
                    return _Judged(name(certificate, issuer), issued, *_span(path))
        except ValueError:
            raise _no("malformed") from None
        raise _no("issued by none of the anchors")


def _issuing(anchors: dict[bytes, tuple[Anchor, ...]]) -> set[bytes]:
    return {subject for subject, named in anchors.items() if any(anchor.issues for anchor in named)}


def _no(detail: str) -> Refusal:
    return Refusal(Reason.CERTIFICATE, detail)


def _issuer_among(certificate: x509.Certificate, anchors: Sequence[Anchor]) -> Anchor | None:
    """The anchor that signed it. A root that signs leaves itself isn't one: the file's CA of the purpose is.

    Anchors files hold the purpose's CA and the root above it, which signs CAs of other purposes too.
    """
    return next((a for a in anchors if a.issues and signed_by(certificate, a.certificate)), None)


def _span(path: Sequence[x509.Certificate]) -> tuple[float, float]:
    return (
        max(c.not_valid_before_utc.timestamp() for c in path),
        min(c.not_valid_after_utc.timestamp() for c in path),
    )


def _check_use(certificate: x509.Certificate) -> None:
    """Raises Refusal(CERTIFICATE) unless it is an end entity's, for signing in as a client, with a strong key."""
    if not strong_key(certificate):
        raise _no("key too short, or of a kind not taken")
    for extension in certificate.extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True):
                raise _no("a CA's certificate")
            case x509.KeyUsage() as usage if not usage.digital_signature:
                raise _no("its key may not sign")
            case x509.ExtendedKeyUsage() as usages if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
                raise _no("not for signing in as a client")
            case x509.UnrecognizedExtension() if extension.critical:
                raise _no("has a critical extension that isn't understood")


def _person(certificate: x509.Certificate, issuer: bytes) -> Person:
    """The CN is the national id, in one multi-valued RDN with SN and GN on a card; the RDNs' order says nothing."""
    national_id = _only(certificate, NameOID.COMMON_NAME)
    if _NATIONAL_ID.fullmatch(national_id) is None:
        raise _no("its CN is no national id")
    return Person(national_id, certificate.serial_number, issuer)


def _organisation(certificate: x509.Certificate, issuer: bytes) -> Organisation:
    unit = _only(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if _ORGANISATION.fullmatch(unit) is None:
        raise _no("its OU is no structure's id")
    return Organisation(unit, _only(certificate, NameOID.COMMON_NAME), certificate.serial_number, issuer)


def _only(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    """The attribute's one value: of two, which one a reader takes would be chance."""
    values = certificate.subject.get_attributes_for_oid(oid)
    if len(values) != 1:
        raise _no(f"{len(values)} values of {oid.dotted_string} in its subject")
    value = values[0].value
    if not isinstance(value, str) or not value or "\0" in value:
        raise _no("an attribute that isn't text")
    return value
