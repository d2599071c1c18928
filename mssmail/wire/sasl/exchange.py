"""The shape of a SASL mechanism, server side (RFC 4422), and the base64 lines that carry it over IMAP and SMTP.

A mechanism is a small machine: `start` with the initial response or None, then `step` for each response, until it
says `Done` or `Failed`. It reads what the client presents and judges none of it: whether the credentials are good is
asked elsewhere. It must never know who the account is, and nothing here prints what was presented.
"""

import binascii
from dataclasses import dataclass
from enum import Enum, unique
from typing import Protocol

from mssmail.base.secret import Secret

MAX_LINE_OCTETS = 12_288
"""RFC 4954 §4: what a line of an exchange may take at most, without its CRLF; one limit for SMTP and IMAP."""
MAX_IDENTITY_OCTETS = 1024
"""RFC 4616 §2 asks for 255 at least in authzid, authcid and passwd; beyond this nobody means well."""


@dataclass(frozen=True, slots=True)
class Password:
    """A login and its password (with the code behind it, where one is asked for), strict UTF-8, not prepared."""

    authzid: str
    """The box to act as; empty for one's own."""
    authcid: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Certificate:
    """The client relies on the certificate that TLS verified."""

    authzid: str
    """The box to act as; empty for one's own."""


@unique
class Carrier(Enum):
    """The mechanism that a token came by, which is how its refusal is told."""

    OAUTHBEARER = "OAUTHBEARER"
    XOAUTH2 = "XOAUTH2"


@dataclass(frozen=True, slots=True)
class Token:
    """An OAuth 2.0 bearer token."""

    authzid: str
    """The box to act as; empty for one's own."""
    token: Secret
    """Visible ASCII; empty where the client only asks what is wanted."""
    carrier: Carrier


Credentials = Password | Certificate | Token


@unique
class Failure(Enum):
    """Why an exchange ended without credentials."""

    CANCELLED = "cancelled"
    """The client sent `*`."""
    ENCODING = "encoding"
    """Not base64."""
    MALFORMED = "malformed"
    """Base64, but not what the mechanism asks for."""
    TOO_LONG = "too-long"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the client must answer next; not encoded yet."""

    octets: bytes

    @property
    def line(self) -> bytes:
        """The challenge as base64, without `+ `, `334 ` or CRLF."""
        return binascii.b2a_base64(self.octets, newline=False)


@dataclass(frozen=True, slots=True)
class Done:
    """The client has presented its credentials."""

    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Failed:
    why: Failure


Step = Challenge | Done | Failed


class Mechanism(Protocol):
    """One exchange of one mechanism; used once."""

    def start(self, initial: bytes | None) -> Step:
        """Begin, with the client's initial response, or None where it sent none."""

    def step(self, response: bytes) -> Step:
        """Take the answer to the last challenge."""


class Exchange:
    """Drive one mechanism through the lines of a protocol."""

    __slots__ = ("_mechanism",)

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism

    def begin(self, initial: bytes | None) -> Step:
        """Start with the text after the mechanism's name: None where there is none, `=` for an empty response.

        RFC 4954 §4 and RFC 4959 §3: `=` alone stands for a response of no octets.
        """
        if initial is None:
            return self._mechanism.start(None)
        decoded = b"" if initial == b"=" else decode(initial)
        if isinstance(decoded, Failed):
            return decoded
        return self._mechanism.start(decoded)

    def answer(self, line: bytes) -> Step:
        """Take the client's next line, without CRLF; `*` cancels (RFC 3501 §6.2.2, RFC 4954 §4)."""
        decoded = decode(line)
        if isinstance(decoded, Failed):
            return decoded
        return self._mechanism.step(decoded)


def decode(line: bytes) -> bytes | Failed:
    """Return the octets of a base64 line, strictly: no space, no foreign character, right padding (RFC 4648 §3)."""
    if len(line) > MAX_LINE_OCTETS:
        return Failed(Failure.TOO_LONG)
    if line == b"*":
        return Failed(Failure.CANCELLED)
    try:
        octets = binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        return Failed(Failure.ENCODING)
    # strict_mode lets through non-zero bits under the padding (`QQ==` and `QR==` alike): only one form is taken.
    if binascii.b2a_base64(octets, newline=False) != line:
        return Failed(Failure.ENCODING)
    return octets


def identity(octets: bytes) -> str | None:
    """Read an authzid or authcid: strict UTF-8 without NUL (RFC 4616 §2 SAFE), bounded; None where it isn't."""
    if len(octets) > MAX_IDENTITY_OCTETS or b"\0" in octets:
        return None
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None
