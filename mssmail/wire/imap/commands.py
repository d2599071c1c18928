"""A client's commands as values: one frozen class each, with what its arguments mean. What a client says of itself
or presents as a secret does not print. Which of them is allowed when stands in `table`."""

from dataclasses import dataclass, field
from datetime import datetime

from mssmail.base.folder import SpecialUse
from mssmail.base.search import Key, SequenceSet, UidSet
from mssmail.base.secret import Secret
from mssmail.wire.imap.acl import Revision
from mssmail.wire.imap.values import (
    FetchAttribute,
    FlagList,
    ListReturn,
    ListSelection,
    Numbering,
    SearchResult,
    StatusItem,
    StoreMode,
)

Messages = SequenceSet | UidSet
"""Which messages a command is for; a UidSet makes it the UID variant, answered with UIDs."""


@dataclass(frozen=True, slots=True)
class Command:
    """Any command."""


@dataclass(frozen=True, slots=True)
class Capability(Command):
    """CAPABILITY (RFC 3501 §6.1.1)."""


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP (RFC 3501 §6.1.2)."""


@dataclass(frozen=True, slots=True)
class Logout(Command):
    """LOGOUT (RFC 3501 §6.1.3)."""


@dataclass(frozen=True, slots=True)
class Id(Command):
    """ID (RFC 2971): what the client says of itself."""

    fields: tuple[tuple[str, str | None], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """STARTTLS (RFC 3501 §6.2.1)."""


@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """AUTHENTICATE (RFC 3501 §6.2.2, RFC 4959)."""

    mechanism: str
    """Upper case."""
    initial: bytes | None = field(repr=False)
    """The initial response in base64, or `=`; None where there is none. As `sasl.exchange.Exchange.begin` takes it."""


@dataclass(frozen=True, slots=True)
class Login(Command):
    """LOGIN (RFC 3501 §6.2.3)."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Enable(Command):
    """ENABLE (RFC 5161)."""

    capabilities: tuple[str, ...]
    """Upper case, as many as were named, known or not."""


@dataclass(frozen=True, slots=True)
class Select(Command):
    """SELECT (RFC 3501 §6.3.1)."""

    mailbox: str
    condstore: bool = False
    """Asks to be told mod-sequences from now on (RFC 7162 §3.1.8)."""


@dataclass(frozen=True, slots=True)
class Examine(Command):
    """EXAMINE (RFC 3501 §6.3.2)."""

    mailbox: str
    condstore: bool = False
    """As in Select."""


@dataclass(frozen=True, slots=True)
class Create(Command):
    """CREATE (RFC 3501 §6.3.3, RFC 6154 §3)."""

    mailbox: str
    """May end in the hierarchy delimiter: the client means to create names under it."""
    uses: tuple[SpecialUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete(Command):
    """DELETE (RFC 3501 §6.3.4)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename(Command):
    """RENAME (RFC 3501 §6.3.5)."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    """SUBSCRIBE (RFC 3501 §6.3.6)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    """UNSUBSCRIBE (RFC 3501 §6.3.7)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How an extended LIST selects and what it returns (RFC 5258 §3)."""

    selection: frozenset[ListSelection]
    returns: frozenset[ListReturn]
    status: tuple[StatusItem, ...] = ()
    """Of ListReturn.STATUS; else empty."""


@dataclass(frozen=True, slots=True)
class List(Command):
    """LIST (RFC 3501 §6.3.8), extended where it has options, or several patterns."""

    reference: str
    patterns: tuple[str, ...]
    """With `%` and `*`; `pattern.Pattern` matches it. An empty one asks for the delimiter, or if extended nothing."""
    options: ListOptions | None = None


@dataclass(frozen=True, slots=True)
class Lsub(Command):
    """LSUB (RFC 3501 §6.3.9)."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Status(Command):
    """STATUS (RFC 3501 §6.3.10)."""

    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One message of an APPEND (RFC 3502). Its octets are streamed beside it."""

    flags: FlagList
    at: datetime | None
    """INTERNALDATE, where the client gave one."""
    size_octets: int


@dataclass(frozen=True, slots=True)
class Append(Command):
    """APPEND (RFC 3501 §6.3.11), as far as its first message."""

    mailbox: str
    message: NewMessage


@dataclass(frozen=True, slots=True)
class GetQuota(Command):
    """GETQUOTA (RFC 9208 §4.1.1)."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot(Command):
    """GETQUOTAROOT (RFC 9208 §4.1.2)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetAcl(Command):
    """SETACL (RFC 4314 §3.1)."""

    mailbox: str
    identifier: str
    """Prepared by SASLprep."""
    revision: Revision


@dataclass(frozen=True, slots=True)
class DeleteAcl(Command):
    """DELETEACL (RFC 4314 §3.2)."""

    mailbox: str
    identifier: str
    """As in SetAcl."""


@dataclass(frozen=True, slots=True)
class GetAcl(Command):
    """GETACL (RFC 4314 §3.3)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights(Command):
    """LISTRIGHTS (RFC 4314 §3.4)."""

    mailbox: str
    identifier: str
    """As in SetAcl."""


@dataclass(frozen=True, slots=True)
class MyRights(Command):
    """MYRIGHTS (RFC 4314 §3.5)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Namespace(Command):
    """NAMESPACE (RFC 2342)."""


@dataclass(frozen=True, slots=True)
class Idle(Command):
    """IDLE (RFC 2177): until the line DONE."""


@dataclass(frozen=True, slots=True)
class Check(Command):
    """CHECK (RFC 3501 §6.4.1)."""


@dataclass(frozen=True, slots=True)
class Close(Command):
    """CLOSE (RFC 3501 §6.4.2)."""


@dataclass(frozen=True, slots=True)
class Unselect(Command):
    """UNSELECT (RFC 3691)."""


@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """EXPUNGE (RFC 3501 §6.4.3)."""


@dataclass(frozen=True, slots=True)
class UidExpunge(Command):
    """UID EXPUNGE (RFC 4315 §2.1)."""

    messages: UidSet


@dataclass(frozen=True, slots=True)
class Search(Command):
    """SEARCH and UID SEARCH (RFC 3501 §6.4.4)."""

    key: Key = field(repr=False)
    """At most `parse.search.MAX_DEPTH` deep and `MAX_KEYS` wide."""
    numbering: Numbering
    results: frozenset[SearchResult] | None = None
    """What RETURN asks for (RFC 4731 §3.1), never empty; None where there is no RETURN."""
    by_modseq: bool = False
    """Whether a mod-sequence is looked for, so that the answer tells the highest found (RFC 7162 §3.1.5)."""


@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """FETCH and UID FETCH (RFC 3501 §6.4.5). UID FETCH has FetchItem.UID among its attributes, asked for or not."""

    messages: Messages
    attributes: tuple[FetchAttribute, ...]
    changed_since: int | None = None
    """Only messages of a later mod-sequence (RFC 7162 §3.1.4.1); then FetchItem.MODSEQ is among the attributes."""


@dataclass(frozen=True, slots=True)
class Store(Command):
    """STORE and UID STORE (RFC 3501 §6.4.6)."""

    messages: Messages
    mode: StoreMode
    silent: bool
    flags: FlagList
    unchanged_since: int | None = None
    """Only messages of no later mod-sequence (RFC 7162 §3.1.3)."""


@dataclass(frozen=True, slots=True)
class Copy(Command):
    """COPY and UID COPY (RFC 3501 §6.4.7)."""

    messages: Messages
    mailbox: str


@dataclass(frozen=True, slots=True)
class Move(Command):
    """MOVE and UID MOVE (RFC 6851)."""

    messages: Messages
    mailbox: str
