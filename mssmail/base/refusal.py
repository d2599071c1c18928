"""Why the domain says no: a closed set of reasons. Edges map each to their protocol's code in one total table.

Permanence belongs to the reason. The detail goes to the trail, never to the wire.
"""

from enum import Enum, unique


@unique
class Reason(Enum):
    """Every cause of a refusal, with whether trying again later may help."""

    # recipients: the gate
    NOT_REGISTERED = "not-registered"
    STRUCK_OFF = "struck-off"
    OUTSIDE_TRUST = "outside-trust"
    NO_MAILBOX = "no-mailbox"
    SUSPENDED = "suspended"
    OVER_QUOTA = "over-quota"
    DIRECTORY_STALE = "directory-stale"
    """No directory was loaded for `directory.max_age`: nobody's registration can be vouched for."""
    # sign-in
    CREDENTIALS = "credentials"
    """Unknown login, wrong password, wrong code: told apart by nobody outside."""
    CODE_USED = "code-used"
    """Only for the trail; the wire hears CREDENTIALS."""
    GRANT_ENDED = "grant-ended"
    """The password with a code that a grant took which has ended: nothing is wrong but that a new code is due."""
    LOCKED = "locked"
    """Too many failures from this address or on this account; passes with time."""
    CERTIFICATE = "certificate"
    """The certificate is revoked, out of date, of the wrong kind or names nobody here."""
    SOURCE = "source"
    """This account signs in from other addresses alone."""
    NOT_DELEGATED = "not-delegated"
    NO_RIGHT = "no-right"
    """The box is delegated to this person, but not for that."""
    MECHANISM = "mechanism"
    """This account may not use this mechanism."""
    TOKEN = "token"  # noqa: S105 - a reason
    """The token or code is unknown, expired, revoked, used up, or another client's."""
    CLIENT = "client"
    """No such program is registered, or its secret is wrong."""
    SCOPE = "scope"
    """The access asked for isn't given, or isn't what the token is for."""
    DELEGATION = "delegation"
    """A delegation that can't be given: the kinds of the boxes, its rights or its term."""
    # sending
    NOT_YOUR_ADDRESS = "not-your-address"
    """MAIL FROM or header From isn't the signed-in identity's."""
    NULL_SENDER = "null-sender"
    """MAIL FROM is empty, and the message isn't what alone may go so: a read receipt."""
    TOO_LARGE = "too-large"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    BARE_NEWLINE = "bare-newline"
    LINE_TOO_LONG = "line-too-long"
    HEADERS_TOO_LARGE = "headers-too-large"
    BAD_HEADERS = "bad-headers"
    """No From field, or several where one is allowed."""
    LOOP = "loop"
    TOO_MANY_MESSAGES = "too-many-messages"
    """This account sent as many as it may in an hour; passes with time."""
    SENDING_LIMIT = "sending-limit"
    """This person sent as much as they may in an hour or a day; passes with time."""
    # other operators
    RELAY = "relay"
    """Another operator writes to a domain that isn't this server's."""
    PATIENT = "patient"
    """A patient writes to a professional who may not be written to by them."""
    OPERATOR_CERTIFICATE = "operator-certificate"
    """The peer showed no certificate of an operator's that is good now."""
    NOT_LISTED = "not-listed"
    """The white list doesn't give this operator the domain that it writes for."""
    OWN_DOMAIN = "own-domain"
    """Somebody outside writes in the name of a domain of this server."""
    MISALIGNED = "misaligned"
    """Header From names a domain that isn't the operator's, or another patient than MAIL FROM."""
    # mailboxes and messages
    FOLDER_MISSING = "folder-missing"
    FOLDER_EXISTS = "folder-exists"
    FOLDER_FIXED = "folder-fixed"
    """INBOX can't be deleted, a folder with children neither."""
    FOLDER_NAME = "folder-name"
    FOLDER_LIMIT = "folder-limit"
    KEYWORD_LIMIT = "keyword-limit"
    MESSAGE_GONE = "message-gone"
    """Expunged or erased while a session still showed it."""
    READ_ONLY = "read-only"
    SEARCH_CHARSET = "search-charset"
    SEARCH_TOO_WIDE = "search-too-wide"
    # state
    STORAGE_FULL = "storage-full"
    UNAVAILABLE = "unavailable"
    """Database, key provider or disk can't answer now."""
    ACCOUNT_EXISTS = "account-exists"
    ACCOUNT_MISSING = "account-missing"
    NOT_ELIGIBLE = "not-eligible"
    """No active registration in an allowed profession."""
    WEAK_PASSWORD = "weak-password"  # noqa: S105 - a reason
    TERM = "term"
    """A retention term outside what the controller allows."""
    RULE = "rule"
    """An absence or a forwarding that can't be set; the detail says why."""
    IMPORT = "import"
    """A directory file is malformed, empty or sharply shrunk."""
    NOT_PERMITTED = "not-permitted"
    """This administrator's roles don't reach so far."""
    ADMINISTRATOR = "administrator"
    """No administrator can be made or changed so; the detail says why."""
    ORDER = "order"
    """No such order waits for a second person, or not for this one."""

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later with nothing changed by the asker."""
        return self in _TEMPORARY


_TEMPORARY = frozenset(
    {
        Reason.LOCKED,
        Reason.OVER_QUOTA,
        Reason.DIRECTORY_STALE,
        Reason.STORAGE_FULL,
        Reason.UNAVAILABLE,
        Reason.TOO_MANY_MESSAGES,
        Reason.SENDING_LIMIT,
    }
)


class Refusal(Exception):
    """The domain says no.

    `reason` is for replies, logs, metrics and the trail alike; `detail` (no content, no secret) is for the trail
    and for an administrator, never for a peer.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value, detail)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[Reason, str]]:
        return type(self), (self.reason, self.detail)
