"""Client certificates: which are taken, for what, and whom they name (IGC-Santé).

TLS has verified that a certificate chains to some anchor and that the client holds its key. Here it is judged again,
at every sign-in, for what TLS doesn't know or a resumed session skips: the anchor of the right purpose, dates,
revocation, key, usages, and the identity.

What follows from the octets alone is worked out once for a certificate and remembered; dates and revocation are looked
at each time. A revocation list that is missing or expired closes out all that its issuer signed, but for certificates
that an OCSP responder vouches for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mssmail.base.clock import Clock
from mssmail.identity.anchors import (
    UNREADABLE,
    Anchor,
    Stamp,
    TrustFileError,
    is_test_name,
    load_anchors,
    signed_by,
    stamp,
)
from mssmail.identity.fault import Cause, Fault, Unfit
from mssmail.identity.leaf import (
    End,
    Holder,
    Name,
    Operator,
    Organisation,
    Person,
    faults_of_use,
    list_addresses,
    operator,
    organisation,
    person,
)
from mssmail.identity.lists import ListReader, RevocationList, by_subject, fetched_file
from mssmail.metrics.registry import counter
from mssmail.settings.model import Trust

__all__ = [
    "Certificates",
    "End",
    "Examined",
    "Holder",
    "Judged",
    "Link",
    "Operator",
    "Organisation",
    "Person",
    "Purpose",
]

_REMEMBERED: Final = 5_000
_REVOKED_REMEMBERED: Final = 10_000
MAX_DER_OCTETS: Final = 16 * 1024
MAX_ADDRESSES: Final = 32
_PASSING: Final = frozenset({Cause.EARLY, Cause.EXPIRED, Cause.REVOKED, Cause.NO_LIST, Cause.OLD_LIST})
"""What is judged anew each time."""
_PEM: Final = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")

_kept = counter("mssmail_trust_files_kept_total", "Times changed anchors or revocation lists couldn't be taken.")
_log = structlog.get_logger("mssmail.certificates")


@unique
class Purpose(Enum):
    """What a CA's certificates are for. One CA may serve organisations and operators: the door tells them apart."""

    PERSON = "person"
    ORGANISATION = "organisation"
    OPERATOR = "operator"


SIGN_IN: Final = (Purpose.PERSON, Purpose.ORGANISATION)
_NAMES: Final[Mapping[Purpose, Name]] = {
    Purpose.PERSON: person,
    Purpose.ORGANISATION: organisation,
    Purpose.OPERATOR: operator,
}
Link = tuple[bytes, int]
"""Issuer's name (DER) and serial: what a certificate is known by."""
Anchors = Mapping[bytes, tuple[Anchor, ...]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows from a good certificate's octets and the anchors alone."""

    holder: Holder | Operator
    purpose: Purpose
    path: tuple[x509.Certificate, ...]
    """The certificate itself, its CA, the root."""
    links: tuple[Link, ...]
    """Issuer's name (DER) and serial of each but the root: what revocation lists are asked for."""
    not_before: float
    not_after: float
    """The span in which the whole path is valid."""


@dataclass(frozen=True, slots=True)
class Examined:
    """All that can be said of a certificate, good or not."""

    certificate: x509.Certificate | None
    """None where it can't be read."""
    purpose: Purpose | None
    path: tuple[x509.Certificate, ...]
    """As far as it is known: empty without a certificate, of one without an anchor."""
    holder: Holder | Operator | None
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the files held when they were last read."""

    anchors: Mapping[Purpose, Anchors]
    lists: Mapping[bytes, RevocationList]
    """By the DER of the issuer's name."""
    by: Trust
    files: tuple[Path, ...]
    stamp: Stamp
    """What the files were like before they were read."""

    @property
    def authorities(self) -> list[x509.Certificate]:
        """Every CA of the anchors files, each once."""
        return _authorities(self.anchors)


class Certificates:
    """Judges certificates by the files of `trust.*`. Used on the loop; `judge` costs 150 µs at first, then 2."""

    def __init__(self, trust: Trust, clock: Clock) -> None:
        """Read all files. Raises TrustFileError."""
        self._trust = trust
        self._clock = clock
        self._reader = ListReader()
        self._trusted = self._read()
        self._seen = self._trusted.stamp
        self._known: dict[tuple[bytes, End], Judged] = {}
        self._revoked: dict[Link, None] = {}
        self.list_addresses: dict[str, None] = {}
        """Where certificates that were judged say that their issuers' lists are published."""

    @property
    def trusted(self) -> Trusted:
        return self._trusted

    # --- the files ---

    def _read(self) -> Trusted:
        trust = self._trust
        named = {
            Purpose.PERSON: trust.persons_ca,
            Purpose.ORGANISATION: trust.organisations_ca,
            Purpose.OPERATOR: trust.operators_ca,
        }
        files = tuple(file for file in named.values() if file is not None)
        seen = stamp(files)
        anchors = {purpose: self._anchors(file) for purpose, file in named.items()}
        persons = _issuing(anchors[Purpose.PERSON])
        for purpose in (Purpose.ORGANISATION, Purpose.OPERATOR):
            if persons & _issuing(anchors[purpose]):
                raise TrustFileError(f"trust.persons_ca and trust.{purpose.value}s_ca hold the same CA")
        known = by_subject(_authorities(anchors))
        fetched = [fetched_file(trust.crl_folder, issuer) for issuer in known] if trust.crl_folder != Path() else []
        lists = (*trust.crls, *fetched)
        seen += stamp(lists)
        return Trusted(anchors, self._reader.read(trust.crls, fetched, known), trust, (*files, *lists), seen)

    def _anchors(self, file: Path | None) -> Anchors:
        return {} if file is None else load_anchors(file, allow_test_hierarchy=self._trust.allow_test_hierarchy)

    def renew(self, fresh: "Certificates") -> None:
        """Judge from now on by what another has just read, by other settings perhaps. On the loop, as all else."""
        self._trust, self._reader, self._seen = fresh._trust, fresh._reader, fresh._seen
        self._trusted, self._known = fresh._trusted, {}

    def changed(self) -> bool:
        """Whether a file was changed since this was last asked: then `read_anew`. A few microseconds a file."""
        seen = stamp(self._trusted.files)
        changed, self._seen = seen != self._seen, seen
        return changed

    def read_anew(self) -> Trusted | None:
        """Read the changed files; for any thread, one at a time. None where they can't be used: counted and logged.

        What was read before then stays in force, until its lists expire.
        """
        try:
            return self._read()
        except TrustFileError as error:
            _kept.inc()
            _log.error("trust files kept", why=str(error))
            return None

    def take(self, trusted: Trusted) -> bool:
        """Put in force what was read anew; False where other settings came into force meanwhile."""
        if trusted.by is not self._trust:
            return False
        self._trusted, self._seen, self._known = trusted, trusted.stamp, {}
        return True

    def reload_if_changed(self) -> bool:
        """All of this at once; whether there was anything new. Blocks while it reads."""
        trusted = self.read_anew() if self.changed() else None
        return trusted is not None and self.take(trusted)

    # --- judging ---

    def judge(self, der: bytes) -> Holder:
        """Who signs in by a certificate. Raises Unfit where it isn't good now, the detail saying why."""
        judged = self.identify(der)
        self.check_lists(judged)
        assert not isinstance(judged.holder, Operator)
        return judged.holder

    def judge_operator(self, der: bytes) -> Operator:
        """Whom another operator's certificate names. Raises Unfit, likewise."""
        judged = self.identify(der, (Purpose.OPERATOR,))
        self.check_lists(judged)
        assert isinstance(judged.holder, Operator)
        return judged.holder

    def identify(self, der: bytes, purposes: Sequence[Purpose] = SIGN_IN, end: End = End.CLIENT) -> Judged:
        """As `judge`, without asking whether it was revoked. Raises Unfit."""
        judged = self._known.get((der, end))
        if judged is None or judged.purpose not in purposes:
            judged = self._judge_octets(der, purposes, end)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[der, end] = judged
            if self._trust.crl_distribution_points:
                self._note_addresses(judged)
        if not judged.not_before <= self._clock.now() <= judged.not_after:
            for fault in self._faults_of_dates(judged.path):
                raise Unfit(fault.cause, fault.text)
        return judged

    def check_lists(self, judged: Judged, *, vouched: bool = False) -> None:
        """Ask the revocation lists. `vouched`: OCSP has said that the certificate itself is good. Raises Unfit."""
        if not vouched and judged.links[0] in self._revoked:
            raise Unfit(Cause.REVOKED, "revoked, as OCSP said before")
        for fault in self._faults_of_revocation(judged.links, vouched=vouched):
            raise Unfit(fault.cause, fault.text)

    def is_revoked(self, issuer: bytes, serial: int) -> bool:
        """Whether the newest lists, expired or not, or OCSP's last answer hold a certificate or its CA revoked.

        For sessions that are open.
        """
        if (issuer, serial) in self._revoked or self.lists(issuer, serial):
            return True
        return any(
            self.lists(anchor.certificate.issuer.public_bytes(), anchor.certificate.serial_number)
            for by in self._trusted.anchors.values()
            for anchor in by.get(issuer, ())
        )

    def note_revoked(self, issuer: bytes, serial: int, *, revoked: bool) -> bool:
        """Remember what OCSP said; whether it is news that this one is revoked."""
        key = (issuer, serial)
        if not revoked:
            self._revoked.pop(key, None)
            return False
        news = key not in self._revoked
        if news and len(self._revoked) >= _REVOKED_REMEMBERED:
            del self._revoked[next(iter(self._revoked))]
        self._revoked[key] = None
        return news

    def examine(self, der: bytes, purposes: Sequence[Purpose] = SIGN_IN, end: End = End.CLIENT) -> Examined:
        """Everything that is wrong with a certificate now, revocation lists included."""
        if len(der) > MAX_DER_OCTETS:
            return Examined(
                None, None, (), None, (Fault(Cause.TOO_LARGE, f"too large: more than {MAX_DER_OCTETS} octets"),)
            )
        faults: list[Fault] = []
        certificate, purpose, holder = None, None, None
        path: tuple[x509.Certificate, ...] = ()
        try:
            certificate = x509.load_der_x509_certificate(der)
            path = (certificate,)
            issuer = certificate.issuer
            faults += faults_of_use(
                certificate, end, usage_required=self._trust.require_client_usage and end is End.CLIENT
            )
            if is_test_name(issuer) and not self._trust.allow_test_hierarchy:
                faults.append(Fault(Cause.TEST_HIERARCHY, "of the test hierarchy"))
            purpose, anchor = self._anchor_of(certificate, purposes)
            if anchor is None or purpose is None:
                faults.append(Fault(Cause.STRANGER, "issued by none of the anchors"))
            else:
                path = (certificate, *anchor.chain)
                if purpose not in purposes:
                    faults.append(Fault(Cause.PURPOSE, f"a CA for {purpose.value}s issued it: not for signing in"))
                holder = _NAMES[purpose](certificate)
        except Unfit as unfit:
            faults.append(unfit.fault)
        except UNREADABLE:
            faults.append(Fault(Cause.MALFORMED, "malformed"))
        faults += self._faults_of_dates(path)
        if len(path) > 1:
            faults += self._faults_of_revocation(_links(path), vouched=False)
        return Examined(certificate, purpose, path, holder, tuple(faults))

    def _judge_octets(self, der: bytes, purposes: Sequence[Purpose], end: End) -> Judged:
        """Raises Unfit for what is wrong with it for good."""
        found = self.examine(der, purposes, end)
        for fault in found.faults:
            if fault.cause not in _PASSING:
                raise Unfit(fault.cause, fault.text)
        assert found.holder is not None
        assert found.purpose is not None
        return Judged(found.holder, found.purpose, found.path, _links(found.path), *_span(found.path))

    def _anchor_of(
        self, certificate: x509.Certificate, purposes: Sequence[Purpose]
    ) -> tuple[Purpose | None, Anchor | None]:
        """The anchor that signed it, of a wanted purpose where there is one.

        Anchors files hold the purpose's CA and the root above it, which signs CAs of other purposes too: a root that
        signs leaves itself isn't one.
        """
        issuer = certificate.issuer.public_bytes()
        for purpose in sorted(Purpose, key=lambda p: p not in purposes):
            for anchor in self._trusted.anchors[purpose].get(issuer, ()):
                if anchor.issues and signed_by(certificate, anchor.certificate):
                    return purpose, anchor
        return None, None

    def _faults_of_dates(self, path: Sequence[x509.Certificate]) -> Iterator[Fault]:
        now = self._clock.now()
        for certificate in path:
            whose = "it" if certificate is path[0] else "its CA"
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            if now < begins.timestamp():
                yield Fault(Cause.EARLY, f"out of date: {whose} is only valid from {begins:%Y-%m-%d %H:%M}Z")
            elif now > ends.timestamp():
                yield Fault(Cause.EXPIRED, f"out of date: {whose} expired on {ends:%Y-%m-%d %H:%M}Z")

    def _faults_of_revocation(self, links: Sequence[Link], *, vouched: bool) -> Iterator[Fault]:
        now, lists, leaf = self._clock.now(), self._trusted.lists, True
        for issuer, serial in links:
            listed = lists.get(issuer)
            if listed is not None and serial in listed.serials:
                yield Fault(Cause.REVOKED, "revoked" if leaf else "its CA is revoked", leaf)
            elif not (leaf and vouched) and (listed is None or listed.expires_at < now):
                whose = "its issuer's revocation list" if leaf else "the revocation list of its CA's issuer"
                if listed is None:
                    yield Fault(Cause.NO_LIST, f"{whose} is missing", leaf)
                else:
                    yield Fault(Cause.OLD_LIST, f"{whose} has expired", leaf)
            leaf = False

    def lists(self, issuer: bytes, serial: int) -> bool:
        """Whether the issuer's newest list, expired or not, holds this serial."""
        listed = self._trusted.lists.get(issuer)
        return listed is not None and serial in listed.serials

    def _note_addresses(self, judged: Judged) -> None:
        """A few addresses a CA: an issuer that gives each certificate its own can't fill the memory."""
        for address in list_addresses(judged.path[0]):
            if len(self.list_addresses) < MAX_ADDRESSES:
                self.list_addresses[address] = None


def _authorities(anchors: Mapping[Purpose, Anchors]) -> list[x509.Certificate]:
    every = (anchor.certificate for by in anchors.values() for named in by.values() for anchor in named)
    return list(dict.fromkeys(every))


def _issuing(anchors: Anchors) -> set[bytes]:
    return {subject for subject, named in anchors.items() if any(anchor.issues for anchor in named)}


def _links(path: Sequence[x509.Certificate]) -> tuple[Link, ...]:
    return tuple((c.issuer.public_bytes(), c.serial_number) for c in path[:-1])


def _span(path: Sequence[x509.Certificate]) -> tuple[float, float]:
    return (
        max(c.not_valid_before_utc.timestamp() for c in path),
        min(c.not_valid_after_utc.timestamp() for c in path),
    )


def first_certificate(content: bytes) -> bytes:
    """The DER of the first certificate in a PEM or DER file. Raises Unfit."""
    if len(content) > 4 * MAX_DER_OCTETS:
        raise Unfit(Cause.TOO_LARGE, f"too large: more than {4 * MAX_DER_OCTETS} octets")
    found = _PEM.search(content)
    if found is None:
        return content
    try:
        return x509.load_pem_x509_certificate(content[found.start() :]).public_bytes(Encoding.DER)
    except UNREADABLE:
        raise Unfit(Cause.MALFORMED, "not a certificate in PEM") from None
