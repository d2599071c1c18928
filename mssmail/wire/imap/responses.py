"""What a server says, as values: status responses with their codes, and untagged data. `encode` turns them to octets.

Text for people is French, then English; the encoder keeps it to one line of US-ASCII, whatever it holds. Nothing
here decides what to say to a domain refusal: the server's own table does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, unique

from mssmail.base.ranges import Ranges
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.values import FlagList, Numbering, StatusItem


@unique
class Condition(Enum):
    """RFC 3501 §7.1."""

    OK = "OK"
    NO = "NO"
    BAD = "BAD"
    BYE = "BYE"
    PREAUTH = "PREAUTH"


@unique
class Word(Enum):
    """Response codes without arguments."""

    # RFC 3501 §7.1
    ALERT = "ALERT"
    PARSE = "PARSE"
    READ_ONLY = "READ-ONLY"
    READ_WRITE = "READ-WRITE"
    TRYCREATE = "TRYCREATE"
    # RFC 4315
    UIDNOTSTICKY = "UIDNOTSTICKY"
    # RFC 4469
    TOOBIG = "TOOBIG"
    # RFC 5530
    UNAVAILABLE = "UNAVAILABLE"
    AUTHENTICATIONFAILED = "AUTHENTICATIONFAILED"
    AUTHORIZATIONFAILED = "AUTHORIZATIONFAILED"
    EXPIRED = "EXPIRED"
    PRIVACYREQUIRED = "PRIVACYREQUIRED"
    CONTACTADMIN = "CONTACTADMIN"
    NOPERM = "NOPERM"
    INUSE = "INUSE"
    EXPUNGEISSUED = "EXPUNGEISSUED"
    CORRUPTION = "CORRUPTION"
    SERVERBUG = "SERVERBUG"
    CLIENTBUG = "CLIENTBUG"
    CANNOT = "CANNOT"
    LIMIT = "LIMIT"
    OVERQUOTA = "OVERQUOTA"
    ALREADYEXISTS = "ALREADYEXISTS"
    NONEXISTENT = "NONEXISTENT"
    # RFC 6154
    USEATTR = "USEATTR"


@dataclass(frozen=True, slots=True)
class BadCharset:
    """BADCHARSET, with those that are known."""

    charsets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CapabilityCode:
    """CAPABILITY, in a greeting or after a sign-in, sparing the client a round trip."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PermanentFlags:
    """PERMANENTFLAGS; `more` adds `\\*`: new keywords can be made."""

    flags: FlagList
    more: bool


@dataclass(frozen=True, slots=True)
class UidNext:
    uid: int


@dataclass(frozen=True, slots=True)
class UidValidity:
    validity: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """UNSEEN: the first unseen message's sequence number."""

    number: int


@dataclass(frozen=True, slots=True)
class HighestModSeq:
    """HIGHESTMODSEQ: of a mailbox's latest change (RFC 7162 §3.1.2.1)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Modified:
    """MODIFIED: message numbers or UIDs that a conditional STORE left alone (RFC 7162 §3.1.3); never empty."""

    messages: Ranges


@dataclass(frozen=True, slots=True)
class AppendUid:
    """APPENDUID (RFC 4315 §3)."""

    validity: int
    uids: Ranges


@dataclass(frozen=True, slots=True)
class CopyUid:
    """COPYUID (RFC 4315 §3): both sets ascending, the n-th of one being the n-th of the other; never empty."""

    validity: int
    source: Ranges
    target: Ranges


Code = (
    Word
    | BadCharset
    | CapabilityCode
    | PermanentFlags
    | UidNext
    | UidValidity
    | Unseen
    | HighestModSeq
    | Modified
    | AppendUid
    | CopyUid
)


@dataclass(frozen=True, slots=True)
class Status:
    """A status response: tagged, or untagged with `*`."""

    condition: Condition
    text: str
    code: Code | None = None
    tag: bytes = b"*"
    """As `tag_of` gave it."""


@dataclass(frozen=True, slots=True)
class Continue:
    """`+`: go on. `text` for people."""

    text: str


@dataclass(frozen=True, slots=True)
class ContinueWith:
    """`+` and a SASL challenge in base64, as `sasl.exchange.Challenge.line` spells it."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Capabilities:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enabled:
    names: tuple[str, ...]


@unique
class Attribute(Enum):
    """Mailbox attributes of LIST and LSUB, special uses aside (RFC 3501 §7.2.2, RFC 3348)."""

    NOINFERIORS = "\\Noinferiors"
    NOSELECT = "\\Noselect"
    MARKED = "\\Marked"
    UNMARKED = "\\Unmarked"
    HAS_CHILDREN = "\\HasChildren"
    HAS_NO_CHILDREN = "\\HasNoChildren"
    # RFC 5258 §3
    NONEXISTENT = "\\NonExistent"
    SUBSCRIBED = "\\Subscribed"


@dataclass(frozen=True, slots=True)
class Listed:
    """LIST or LSUB: one mailbox. `attributes` are spelt as the enums Attribute and SpecialUse hold them."""

    attributes: tuple[str, ...]
    delimiter: str | None
    name: str
    lsub: bool = False
    children: tuple[str, ...] = ()
    """Selection options that something below meets, for CHILDINFO (RFC 5258 §3.5)."""


@dataclass(frozen=True, slots=True)
class StatusData:
    """STATUS of one mailbox."""

    name: str
    items: tuple[tuple[StatusItem, int], ...]


@dataclass(frozen=True, slots=True)
class QuotaRoots:
    """QUOTAROOT: the quota roots of a mailbox (RFC 9208 §4.2.2)."""

    mailbox: str
    roots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """QUOTA: what a root's STORAGE takes and may take, in units of 1024 octets (RFC 9208 §4.2.1)."""

    root: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class AccessList:
    """ACL: identifiers with the letters of their rights (RFC 4314 §3.6)."""

    mailbox: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RightsOf:
    """LISTRIGHTS: what an identifier always has and what it can be given, tied letters together (RFC 4314 §3.7)."""

    mailbox: str
    identifier: str
    """As the client gave it."""
    required: str
    optional: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MyRights:
    """MYRIGHTS (RFC 4314 §3.8)."""

    mailbox: str
    rights: str


@dataclass(frozen=True, slots=True)
class Found:
    """SEARCH: sequence numbers or UIDs."""

    numbers: Sequence[int]
    modseq: int | None = None
    """The highest of those found, where one was looked for (RFC 7162 §3.1.6)."""


@dataclass(frozen=True, slots=True)
class FoundInShort:
    """ESEARCH: what RETURN asked for, of sequence numbers or UIDs (RFC 4731 §3.1). None is left out."""

    tag: bytes
    """Of the SEARCH."""
    numbering: Numbering
    lowest: int | None
    highest: int | None
    all: Ranges | None
    """None, too, where nothing was found."""
    count: int | None
    modseq: int | None


@dataclass(frozen=True, slots=True)
class Flags:
    """FLAGS: those that the mailbox knows."""

    flags: FlagList


@dataclass(frozen=True, slots=True)
class Exists:
    count: int


@dataclass(frozen=True, slots=True)
class Recent:
    count: int


@dataclass(frozen=True, slots=True)
class Expunged:
    """EXPUNGE: the message of this number is gone, and those above it move down by one."""

    number: int


@dataclass(frozen=True, slots=True)
class Identity:
    """ID: what the server says of itself (RFC 2971)."""

    fields: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """NAMESPACE: (prefix, delimiter) pairs, personal, other users', shared (RFC 2342 §5)."""

    personal: tuple[tuple[str, str | None], ...]
    others: tuple[tuple[str, str | None], ...] = ()
    shared: tuple[tuple[str, str | None], ...] = ()


Response = (
    Status
    | Continue
    | ContinueWith
    | Capabilities
    | Enabled
    | Listed
    | StatusData
    | QuotaRoots
    | StorageQuota
    | AccessList
    | RightsOf
    | MyRights
    | Found
    | FoundInShort
    | Flags
    | Exists
    | Recent
    | Expunged
    | Identity
    | Namespaces
)


def refusal(error: ProtocolError, tag: bytes) -> Status:
    """Return the reply to a command that broke the protocol."""
    condition, code, sentence = FAULT_REPLIES[error.fault]
    detail = f" ({error.detail})" if error.detail else ""
    return Status(condition, sentence + detail, code, tag)


_CHARSETS = BadCharset(("US-ASCII", "UTF-8"))

FAULT_REPLIES: dict[Fault, tuple[Condition, Code | None, str]] = {
    Fault.SYNTAX: (Condition.BAD, None, "Syntaxe incorrecte / Syntax error"),
    Fault.UNKNOWN_COMMAND: (Condition.BAD, None, "Commande inconnue / Unknown command"),
    Fault.WRONG_STATE: (Condition.BAD, None, "Commande impossible à ce stade / Command not valid in this state"),
    Fault.PRIVACY_REQUIRED: (
        Condition.NO,
        Word.PRIVACYREQUIRED,
        "Connexion non chiffrée : activez STARTTLS ou SSL/TLS / Turn on STARTTLS or SSL/TLS first",
    ),
    Fault.LINE_TOO_LONG: (Condition.BAD, Word.TOOBIG, "Ligne trop longue / Line too long"),
    Fault.LITERAL_TOO_BIG: (Condition.BAD, Word.TOOBIG, "Donnée trop longue / Literal too big"),
    Fault.MESSAGE_TOO_BIG: (
        Condition.NO,
        Word.TOOBIG,
        "Message trop volumineux pour ce serveur / Message too big for this server",
    ),
    Fault.COMMAND_TOO_BIG: (Condition.BAD, Word.TOOBIG, "Commande trop longue / Command too big"),
    Fault.TOO_MANY_LITERALS: (Condition.BAD, Word.LIMIT, "Trop de données / Too many literals"),
    Fault.TOO_MANY: (Condition.BAD, Word.LIMIT, "Commande trop longue / Too many elements"),
    Fault.TOO_DEEP: (Condition.BAD, Word.LIMIT, "Commande trop imbriquée / Nested too deep"),
    Fault.CHARSET: (Condition.NO, _CHARSETS, "Jeu de caractères inconnu / Unknown charset"),
    Fault.MAILBOX_NAME: (Condition.NO, Word.CANNOT, "Nom de dossier incorrect / Not a valid mailbox name"),
    Fault.USE_ATTRIBUTE: (Condition.NO, Word.USEATTR, "Usage de dossier inconnu / Unknown special use"),
}
"""The reply of each fault; total."""
