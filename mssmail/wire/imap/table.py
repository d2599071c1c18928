"""One row a command: its name, class, reader, when it is in order, the capability that announces it, its RFC.

An extension adds rows here (and FEATURES, for what adds no command); what is announced and what is understood follow
from them. Handlers are the server's: it refuses to start while a row has none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mssmail.wire.imap import commands
from mssmail.wire.imap.commands import Command
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.frame import UINT32_MAX, Frame, tag_of
from mssmail.wire.imap.grammar import Cursor, keyword, syntax
from mssmail.wire.imap.machine import ANY_STATE, BEFORE_SIGN_IN, SELECTED, SIGNED_IN, Machine, Stage, State, Tls
from mssmail.wire.imap.parse import acl, fetch, listing, mailbox, message, search, session
from mssmail.wire.imap.values import Numbering

_SEQUENCE = Numbering.SEQUENCE
_UID = Numbering.UID


@dataclass(frozen=True, slots=True)
class Row:
    name: bytes
    """Upper case; a UID variant with its `UID `."""
    command: type[Command]
    read: Callable[[Cursor], Command]
    """Reads what follows the name, its leading space included."""
    states: frozenset[State]
    rfc: str
    capability: str | None = None
    """What announces it; None for what IMAP4rev1 has."""
    tls: Tls = Tls.EITHER


@dataclass(frozen=True, slots=True)
class Feature:
    """A capability, and the stages at which it is announced."""

    capability: str
    stages: frozenset[Stage]
    rfc: str


_ALL_STAGES = frozenset(Stage)
_OVER_TLS = frozenset({Stage.SECURED, Stage.SIGNED_IN})
_AFTER_SIGN_IN = frozenset({Stage.SIGNED_IN})

ROWS: tuple[Row, ...] = (
    # any state
    Row(b"CAPABILITY", commands.Capability, session.nothing(commands.Capability), ANY_STATE, "RFC 3501 §6.1.1"),
    Row(b"NOOP", commands.Noop, session.nothing(commands.Noop), ANY_STATE, "RFC 3501 §6.1.2"),
    Row(b"LOGOUT", commands.Logout, session.nothing(commands.Logout), ANY_STATE, "RFC 3501 §6.1.3"),
    Row(b"ID", commands.Id, session.identify, ANY_STATE, "RFC 2971 §3.1", "ID"),
    # before sign-in
    Row(
        b"STARTTLS",
        commands.StartTls,
        session.nothing(commands.StartTls),
        BEFORE_SIGN_IN,
        "RFC 3501 §6.2.1",
        tls=Tls.ABSENT,
    ),
    Row(
        b"AUTHENTICATE",
        commands.Authenticate,
        session.authenticate,
        BEFORE_SIGN_IN,
        "RFC 3501 §6.2.2, RFC 4959",
        tls=Tls.NEEDED,
    ),
    Row(b"LOGIN", commands.Login, session.login, BEFORE_SIGN_IN, "RFC 3501 §6.2.3", tls=Tls.NEEDED),
    # signed in
    # RFC 5161 §3.1 wants ENABLE before any SELECT and lets servers not check it.
    Row(b"ENABLE", commands.Enable, session.enable, SIGNED_IN, "RFC 5161 §3.1", "ENABLE"),
    Row(b"SELECT", commands.Select, mailbox.opened(commands.Select), SIGNED_IN, "RFC 3501 §6.3.1"),
    Row(b"EXAMINE", commands.Examine, mailbox.opened(commands.Examine), SIGNED_IN, "RFC 3501 §6.3.2"),
    Row(b"CREATE", commands.Create, mailbox.create, SIGNED_IN, "RFC 3501 §6.3.3, RFC 6154 §3"),
    Row(b"DELETE", commands.Delete, mailbox.one_mailbox(commands.Delete), SIGNED_IN, "RFC 3501 §6.3.4"),
    Row(b"RENAME", commands.Rename, mailbox.rename, SIGNED_IN, "RFC 3501 §6.3.5"),
    Row(b"SUBSCRIBE", commands.Subscribe, mailbox.one_mailbox(commands.Subscribe), SIGNED_IN, "RFC 3501 §6.3.6"),
    Row(b"UNSUBSCRIBE", commands.Unsubscribe, mailbox.one_mailbox(commands.Unsubscribe), SIGNED_IN, "RFC 3501 §6.3.7"),
    Row(b"LIST", commands.List, listing.listing, SIGNED_IN, "RFC 3501 §6.3.8, RFC 5258"),
    Row(b"LSUB", commands.Lsub, listing.lsub, SIGNED_IN, "RFC 3501 §6.3.9"),
    Row(b"STATUS", commands.Status, mailbox.status, SIGNED_IN, "RFC 3501 §6.3.10"),
    Row(b"APPEND", commands.Append, mailbox.append, SIGNED_IN, "RFC 3501 §6.3.11"),
    Row(b"GETQUOTA", commands.GetQuota, mailbox.get_quota, SIGNED_IN, "RFC 9208 §4.1.1", "QUOTA"),
    Row(
        b"GETQUOTAROOT",
        commands.GetQuotaRoot,
        mailbox.one_mailbox(commands.GetQuotaRoot),
        SIGNED_IN,
        "RFC 9208 §4.1.2",
        "QUOTA",
    ),
    Row(b"SETACL", commands.SetAcl, acl.set_acl, SIGNED_IN, "RFC 4314 §3.1", "ACL"),
    Row(b"DELETEACL", commands.DeleteAcl, acl.of_somebody(commands.DeleteAcl), SIGNED_IN, "RFC 4314 §3.2", "ACL"),
    Row(b"GETACL", commands.GetAcl, mailbox.one_mailbox(commands.GetAcl), SIGNED_IN, "RFC 4314 §3.3", "ACL"),
    Row(b"LISTRIGHTS", commands.ListRights, acl.of_somebody(commands.ListRights), SIGNED_IN, "RFC 4314 §3.4", "ACL"),
    Row(b"MYRIGHTS", commands.MyRights, mailbox.one_mailbox(commands.MyRights), SIGNED_IN, "RFC 4314 §3.5", "ACL"),
    Row(b"NAMESPACE", commands.Namespace, session.nothing(commands.Namespace), SIGNED_IN, "RFC 2342 §5", "NAMESPACE"),
    Row(b"IDLE", commands.Idle, session.nothing(commands.Idle), SIGNED_IN, "RFC 2177 §3", "IDLE"),
    # selected
    Row(b"CHECK", commands.Check, session.nothing(commands.Check), SELECTED, "RFC 3501 §6.4.1"),
    Row(b"CLOSE", commands.Close, session.nothing(commands.Close), SELECTED, "RFC 3501 §6.4.2"),
    Row(b"UNSELECT", commands.Unselect, session.nothing(commands.Unselect), SELECTED, "RFC 3691 §2", "UNSELECT"),
    Row(b"EXPUNGE", commands.Expunge, session.nothing(commands.Expunge), SELECTED, "RFC 3501 §6.4.3"),
    Row(b"SEARCH", commands.Search, search.search(_SEQUENCE), SELECTED, "RFC 3501 §6.4.4"),
    Row(b"FETCH", commands.Fetch, fetch.fetch(_SEQUENCE), SELECTED, "RFC 3501 §6.4.5"),
    Row(b"STORE", commands.Store, message.store(_SEQUENCE), SELECTED, "RFC 3501 §6.4.6"),
    Row(b"COPY", commands.Copy, message.copy(_SEQUENCE), SELECTED, "RFC 3501 §6.4.7"),
    Row(b"MOVE", commands.Move, message.move(_SEQUENCE), SELECTED, "RFC 6851 §3.1", "MOVE"),
    Row(b"UID EXPUNGE", commands.UidExpunge, message.uid_expunge, SELECTED, "RFC 4315 §2.1", "UIDPLUS"),
    Row(b"UID SEARCH", commands.Search, search.search(_UID), SELECTED, "RFC 3501 §6.4.8"),
    Row(b"UID FETCH", commands.Fetch, fetch.fetch(_UID), SELECTED, "RFC 3501 §6.4.8"),
    Row(b"UID STORE", commands.Store, message.store(_UID), SELECTED, "RFC 3501 §6.4.8"),
    Row(b"UID COPY", commands.Copy, message.copy(_UID), SELECTED, "RFC 3501 §6.4.8"),
    Row(b"UID MOVE", commands.Move, message.move(_UID), SELECTED, "RFC 6851 §3.2", "MOVE"),
)

FEATURES: tuple[Feature, ...] = (
    Feature("IMAP4rev1", _ALL_STAGES, "RFC 3501 §6.1.1"),
    Feature("STARTTLS", frozenset({Stage.CLEAR}), "RFC 3501 §6.2.1"),
    Feature("LOGINDISABLED", frozenset({Stage.CLEAR}), "RFC 3501 §6.2.3"),
    Feature("SASL-IR", frozenset({Stage.SECURED}), "RFC 4959"),
    Feature("LITERAL+", _OVER_TLS, "RFC 7888"),
    Feature("MULTIAPPEND", _AFTER_SIGN_IN, "RFC 3502"),
    Feature("CONDSTORE", _AFTER_SIGN_IN, "RFC 7162 §3.1"),
    Feature("ESEARCH", _AFTER_SIGN_IN, "RFC 4731"),
    Feature("CHILDREN", _AFTER_SIGN_IN, "RFC 3348"),
    Feature("LIST-EXTENDED", _AFTER_SIGN_IN, "RFC 5258 §3"),
    Feature("LIST-STATUS", _AFTER_SIGN_IN, "RFC 5819"),
    Feature("STATUS=SIZE", _AFTER_SIGN_IN, "RFC 8438"),
    Feature("QUOTA=RES-STORAGE", _AFTER_SIGN_IN, "RFC 9208 §5.1"),
    Feature("RIGHTS=texk", _AFTER_SIGN_IN, "RFC 4314 §5.1.1"),
    Feature("SPECIAL-USE", _AFTER_SIGN_IN, "RFC 6154 §2"),
    Feature("CREATE-SPECIAL-USE", _AFTER_SIGN_IN, "RFC 6154 §3"),
)
"""What is announced for itself: states of the connection, and syntax that belongs to no one command."""

ENABLABLE = frozenset({"CONDSTORE"})
"""What ENABLE can turn on (RFC 5161); upper case."""

_BY_NAME = {row.name: row for row in ROWS}


@lru_cache(maxsize=32)
def capabilities(stage: Stage, mechanisms: tuple[str, ...], append_octets: int) -> tuple[str, ...]:
    """Return what to announce at `stage`; `mechanisms` are those on offer to this client, announced over TLS alone.

    `append_octets`: the largest message that is taken (RFC 7889 §2).

    A command's capability is announced where the command is in order, save that before TLS there is nothing to do
    but STARTTLS.
    """
    names = dict.fromkeys(feature.capability for feature in FEATURES if stage in feature.stages)
    if stage is Stage.SECURED:
        names.update(dict.fromkeys(f"AUTH={mechanism}" for mechanism in mechanisms))
    if stage is not Stage.CLEAR:
        state = State.NOT_AUTHENTICATED if stage is Stage.SECURED else State.AUTHENTICATED
        reachable = (row for row in ROWS if state in row.states or stage is Stage.SIGNED_IN)
        names.update(dict.fromkeys(row.capability for row in reachable if row.capability is not None))
    if stage is Stage.SIGNED_IN:
        names[f"APPENDLIMIT={min(append_octets, UINT32_MAX)}"] = None
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Request:
    """A command in order, read."""

    tag: bytes
    row: Row
    command: Command


@dataclass(frozen=True, slots=True)
class Rejected:
    """A command that isn't; `responses.refusal(error, tag)` answers it. `name` is the row's, where one was found."""

    tag: bytes
    error: ProtocolError
    name: bytes | None = None


def read(frame: Frame, machine: Machine) -> Request | Rejected:
    """Read a command. Its arguments are looked at only once it is known to be in order where the session stands.

    command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
    """
    tag = tag_of(frame.texts[0])
    row: Row | None = None
    try:
        cursor = Cursor(frame)
        if not cursor.skip(tag + b" "):
            raise syntax("expected a tag and a command")
        row = _row(cursor)
        objection = machine.objection(row.states, row.tls)
        if objection is not None:
            return Rejected(tag, objection, row.name)
        command = row.read(cursor)
        cursor.finish()
    except ProtocolError as error:
        return Rejected(tag, error, None if row is None else row.name)
    return Request(tag, row, command)


def read_message(frame: Frame) -> commands.NewMessage | ProtocolError:
    """Read what an APPEND says of a message that follows another (RFC 3502)."""
    try:
        cursor = Cursor(frame)
        message = mailbox.new_message(cursor)
        cursor.finish()
    except ProtocolError as error:
        return error
    return message


def _row(cursor: Cursor) -> Row:
    name = keyword(cursor)
    if name == b"UID":
        cursor.space()
        name = b"UID " + keyword(cursor)
    row = _BY_NAME.get(name)
    if row is None:
        raise ProtocolError(Fault.UNKNOWN_COMMAND)
    return row
