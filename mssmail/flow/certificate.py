"""Examining a certificate before anybody shows it: would it be taken, for what, whom does it name, what would it open.

And what certificates are judged by: anchors, and how long revocation lists still hold. Judges by the same checks as a
sign-in, and tells everything that is wrong where that stops at the first. Reads alone; the trail holds nothing of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mssmail.base.clock import Clock
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.rights import FULL, NONE, Right
from mssmail.flow.finding import Finding, error, note, ok, warning
from mssmail.flow.house import House
from mssmail.flow.standing import Standing
from mssmail.identity import dates
from mssmail.identity.certificates import Certificates, Examined, Operator, Organisation, Person, first_certificate
from mssmail.identity.dates import Dated
from mssmail.identity.fault import Cause, Unfit
from mssmail.identity.ocsp import Status
from mssmail.policy.access import access
from mssmail.policy.facts import AccessFacts
from mssmail.policy.facts import Standing as AccountStanding
from mssmail.policy.verdict import Deny
from mssmail.settings.model import DAY
from mssmail.store import accounts, delegations
from mssmail.store.accounts import AccountRow, State
from mssmail.store.interface import Transaction

MAX_FILE_OCTETS: Final = 1 << 16
"""How much of a file is looked at: a certificate takes 2 KiB, with its chain and key 8."""
_SOON_DAYS: Final = 30
_SUBJECTS: Final = {
    "form": (Cause.MALFORMED, Cause.TOO_LARGE),
    "issuer": (Cause.STRANGER, Cause.PURPOSE, Cause.TEST_HIERARCHY),
    "key": (Cause.WEAK_KEY,),
    "signature": (Cause.WEAK_SIGNATURE,),
    "use": (Cause.AUTHORITY, Cause.USAGE, Cause.EXTENSION),
    "dates": (Cause.EARLY, Cause.EXPIRED),
    "revocation": (Cause.REVOKED, Cause.NO_LIST, Cause.OLD_LIST, Cause.NO_ANSWER),
    "subject": (Cause.SUBJECT,),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A box that a certificate opens, or would."""

    address: str
    kind: str
    rights: Right
    """FULL in one's own."""
    refused: Reason | None
    """Why it doesn't open at present."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is to be said of a certificate."""

    purpose: str
    """`person`, `organisation`, `operator`; empty where no anchor issued it."""
    names: dict[str, str | list[str]]
    """Whom it names: `national_id`; `structure_id` and `common_name`; or `hosts`."""
    serial: int | None
    issuer: str
    opens: tuple[Opened, ...]
    findings: tuple[Finding, ...]
    accepted: bool
    """Whether somebody would be let in by it now."""


async def inspect(house: House, standing: Standing, content: bytes) -> Inspection:
    """Examine the first certificate of a PEM or DER file. Asks OCSP where `trust.ocsp` does."""
    try:
        der = first_certificate(content)
    except Unfit as unfit:
        fault = unfit.fault
        return Inspection("", {}, None, "", (), (error("form", fault.text, fault.remedy),), False)
    found = standing.certificates.examine(der)
    vouched = await _asked(house, standing, der, found)
    findings = [*_findings(house, standing.certificates, found, vouched)]
    fit = all(finding.severity.value != "error" for finding in findings)
    opens: Sequence[Opened] = ()
    if isinstance(found.holder, Person | Organisation):
        opens = await _opens(house, standing, found.holder)
        findings.append(_boxes(found.holder, opens))
    certificate = found.certificate
    return Inspection(
        "" if found.purpose is None else found.purpose.value,
        _names(found),
        None if certificate is None else certificate.serial_number,
        "" if certificate is None or not _readable(found) else dates.name_of(certificate.issuer),
        tuple(opens),
        tuple(findings),
        fit and any(box.refused is None for box in opens),
    )


async def _asked(house: House, standing: Standing, der: bytes, found: Examined) -> Status | None:
    """What OCSP says of a certificate that nothing else is wrong with."""
    passing = {*_SUBJECTS["revocation"]}
    if house.settings.trust.ocsp == "off" or any(fault.cause not in passing for fault in found.faults):
        return None
    return await standing.ask(der)


def _findings(house: House, certificates: Certificates, found: Examined, asked: Status | None) -> Iterator[Finding]:
    faults = list(found.faults)
    if asked is Status.GOOD:
        # as at a sign-in: the list matters for the certificate itself only where it revokes
        faults = [fault for fault in faults if fault.cause not in (Cause.NO_LIST, Cause.OLD_LIST) or not fault.of_leaf]
    readable = _readable(found)
    for subject, causes in _SUBJECTS.items():
        wrong = [fault for fault in faults if fault.cause in causes]
        yield from (error(subject, fault.text, fault.remedy) for fault in wrong)
        if not wrong and readable:
            yield from _right(subject, found, house.clock)
    yield from _of_ocsp(house, asked, found)


def _readable(found: Examined) -> bool:
    return found.certificate is not None and all(fault.cause is not Cause.MALFORMED for fault in found.faults)


def _right(subject: str, found: Examined, clock: Clock) -> Iterator[Finding]:
    """What is to be said of what is in order."""
    certificate = found.certificate
    assert certificate is not None
    match subject:
        case "issuer" if found.purpose is not None:
            yield ok(subject, f"{dates.name_of(certificate.issuer)}, whose certificates are for {found.purpose.value}s")
        case "key":
            yield ok(subject, _key(certificate))
        case "dates":
            days = (certificate.not_valid_after_utc.timestamp() - clock.now()) / DAY
            text = f"until {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}Z"
            if days < _SOON_DAYS:
                yield warning(subject, f"{text}: {days:.0f} days are left", "have it renewed")
            else:
                yield ok(subject, text)
        case "revocation" if len(found.path) > 1:
            yield ok(subject, "neither it nor its CA is revoked")
        case "use":
            yield ok(subject, "for signing in as a client")


def _key(certificate: x509.Certificate) -> str:
    match certificate.public_key():
        case rsa.RSAPublicKey() as key:
            return f"RSA of {key.key_size} bits"
        case ec.EllipticCurvePublicKey() as key:
            return f"curve {key.curve.name}"
    return ""


def _of_ocsp(house: House, asked: Status | None, found: Examined) -> Iterator[Finding]:
    mode, subject = house.settings.trust.ocsp, "OCSP"
    if mode == "off" or len(found.path) < 2:
        return
    match asked:
        case Status.GOOD:
            yield ok(subject, "the responder vouches for it")
        case Status.REVOKED:
            yield error(subject, "the responder says that it is revoked", "use the holder's present certificate")
        case _ if mode == "require":
            yield error(subject, "no responder vouches for it, and one is required", "see that it can be reached")
        case _:
            yield note(subject, "no responder answers; the lists decide", "see that it can be reached")


def _names(found: Examined) -> dict[str, str | list[str]]:
    match found.holder:
        case Person() as person:
            return {"national_id": person.national_id}
        case Organisation() as organisation:
            return {"structure_id": organisation.organisational_unit, "common_name": organisation.common_name}
        case Operator() as operator:
            return {"hosts": sorted(operator.hosts)}
    return {}


def _boxes(holder: Person | Organisation, opens: Sequence[Opened]) -> Finding:
    if not opens:
        who = "that person" if isinstance(holder, Person) else "that structure and CN"
        return error("box", f"no box here is of {who}", "mssmail account create ADDRESS --holder ID")
    shut = [box for box in opens if box.refused is not None]
    if len(shut) == len(opens):
        return error("box", f"none opens: {shut[0].refused.value if shut[0].refused else ''}", "mssmail account show")
    return ok("box", f"opens {len(opens) - len(shut)}" + (f", and {len(shut)} not" if shut else ""))


async def _opens(house: House, standing: Standing, holder: Person | Organisation) -> list[Opened]:
    """Its holder's own boxes, oldest first, then those delegated to them."""
    digest = standing.credentials.subject_digest(holder.subject)

    def read(tx: Transaction) -> list[tuple[AccountRow, AccountRow, Right]]:
        own = [row for row in accounts.by_subject(tx, digest) if row.state is not State.CLOSED]
        given = [
            (row, accounts.by_id(tx, each.account_id), each.delegation.at(tx.now))
            for row in own
            for each in delegations.of_person(tx, row.account_id)
        ]
        return [*((row, row, FULL) for row in own), *(each for each in given if each[2] != NONE)]

    return [_opened(standing, *each) for each in await house.read.run(read)]


def _opened(standing: Standing, person: AccountRow, box: AccountRow, rights: Right) -> Opened:
    dossier = standing.credentials.dossier(box.account_id, box.sealed)
    try:
        facts = AccessFacts(
            AccountStanding(person.state.value),
            holder_listed=standing.listed(person),
            same_box=person is box,
            delegated=NONE if person is box else rights,
            box_standing=AccountStanding(box.state.value),
            box_holder_listed=standing.listed(box),
        )
        verdict = access(facts)
        refused = verdict.reason if isinstance(verdict, Deny) else None
    except Refusal as refusal:
        refused = refusal.reason
    return Opened(str(dossier.address), dossier.kind.value, rights, refused)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA of the anchors files, as an administrator sees it. Times are epoch seconds."""

    name: str
    purposes: tuple[str, ...]
    issues: bool
    """False for a root, which stands above CAs of other purposes too."""
    until: float
    list_made_at: float | None
    """None where it has no revocation list."""
    list_until: float | None
    revoked: int
    state: str
    """Of its list: `ok`, `old` in its last tenth, `expired`, `missing`."""


def authorities(certificates: Certificates, now: float) -> list[Authority]:
    """What certificates are judged by."""
    trusted = certificates.trusted
    found: dict[x509.Certificate, tuple[list[str], bool]] = {}
    for purpose, by in trusted.anchors.items():
        for anchor in (anchor for named in by.values() for anchor in named):
            purposes, _ = found.setdefault(anchor.certificate, ([], anchor.issues))
            purposes.append(purpose.value)
    out = []
    for certificate, (purposes, issues) in found.items():
        listed = trusted.lists.get(certificate.subject.public_bytes())
        out.append(
            Authority(
                dates.name_of(certificate.subject),
                tuple(purposes),
                issues,
                certificate.not_valid_after_utc.timestamp(),
                None if listed is None else listed.made_at,
                None if listed is None else listed.expires_at,
                0 if listed is None else len(listed.serials),
                "missing" if listed is None else _state(Dated("", listed.made_at, listed.expires_at), now),
            )
        )
    return out


def _state(listed: Dated, now: float) -> str:
    if listed.ends_at < now:
        return "expired"
    return "old" if listed.grows_old(now) else "ok"
