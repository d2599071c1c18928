"""What can be wrong with a client's certificate: a closed set of causes, each with its remedy.

The peer hears one answer for all of them; the trail and an administrator hear the text, metrics the cause.
"""

from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from mssmail.base.refusal import Reason, Refusal


@unique
class Cause(Enum):
    """Why a certificate isn't taken."""

    NONE_SHOWN = "none-shown"
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    STRANGER = "stranger"
    """Issued by none of the anchors."""
    PURPOSE = "purpose"
    """Of a CA whose certificates are for something else."""
    TEST_HIERARCHY = "test-hierarchy"
    WEAK_KEY = "weak-key"
    WEAK_SIGNATURE = "weak-signature"
    AUTHORITY = "authority"
    """A CA's own."""
    USAGE = "usage"
    EXTENSION = "extension"
    SUBJECT = "subject"
    EARLY = "early"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NO_LIST = "no-list"
    OLD_LIST = "old-list"
    NO_ANSWER = "no-answer"
    """OCSP is required, and no responder vouches for it."""


REMEDIES: Final = {
    Cause.NONE_SHOWN: "choose a certificate in the mail program",
    Cause.MALFORMED: "export the certificate anew, as PEM or DER",
    Cause.TOO_LARGE: "ask the issuer for a certificate of the usual size",
    Cause.STRANGER: "ask for one of the CAs in trust.persons_ca or trust.organisations_ca, or add its CA there",
    Cause.PURPOSE: "use the holder's certificate for signing in",
    Cause.TEST_HIERARCHY: "use a certificate of the production hierarchy; never set allow_test_hierarchy in production",
    Cause.WEAK_KEY: "ask for one with an RSA key of 2048 bits or more, or P-256, P-384 or P-521",
    Cause.WEAK_SIGNATURE: "ask for one signed with SHA-256 or better",
    Cause.AUTHORITY: "use a holder's certificate, not a CA's",
    Cause.USAGE: "use the certificate for authentication, not the one for signature or for servers",
    Cause.EXTENSION: "ask the issuer for a certificate without this extension, or not critical",
    Cause.SUBJECT: "ask the issuer for one whose subject names the holder as IGC-Santé does",
    Cause.EARLY: "wait until it begins, or check the clock",
    Cause.EXPIRED: "have the certificate renewed",
    Cause.REVOKED: "use the holder's present certificate",
    Cause.NO_LIST: "mssmail cert refresh, or name the CA's list in trust.crls or trust.crl_sources",
    Cause.OLD_LIST: "mssmail cert refresh, and see that trust.crl_sources can be reached",
    Cause.NO_ANSWER: "see that the OCSP responder can be reached, or set trust.ocsp to prefer",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. The text names no person."""

    cause: Cause
    text: str
    of_leaf: bool = True
    """Whether it is the certificate's own, not its CA's."""

    @property
    def remedy(self) -> str:
        return REMEDIES[self.cause]


class Unfit(Refusal):
    """A certificate isn't taken; the detail is the fault's text."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(Reason.CERTIFICATE, text)
        self.fault = Fault(cause, text)
