"""Arguments of the commands about the connection: sign-in, ID, ENABLE. And of those that have none."""

import re
from collections.abc import Callable
from typing import TypeVar

from mssmail.base.secret import Secret
from mssmail.wire.imap import commands
from mssmail.wire.imap.fault import Fault, ProtocolError
from mssmail.wire.imap.grammar import ATOM, Cursor, astring, atom, nstring, string, syntax, text

MAX_ID_FIELDS = 30
MAX_ID_FIELD_OCTETS = 30
MAX_ID_VALUE_OCTETS = 1_024
"""RFC 2971 §3.3."""
MAX_ENABLED = 64
"""More than there are extensions to enable."""

_BASE64 = re.compile(rb"=|[A-Za-z0-9+/]+={0,2}")

_C = TypeVar("_C", bound=commands.Command)


def nothing(make: Callable[[], _C]) -> Callable[[Cursor], _C]:
    """Return a reader for a command without arguments."""

    def read(_: Cursor) -> _C:
        return make()

    return read


def login(cursor: Cursor) -> commands.Login:
    """login = "LOGIN" SP userid SP password ; userid = astring, password = astring"""
    cursor.space()
    user = text(astring(cursor))
    cursor.space()
    return commands.Login(user, Secret(text(astring(cursor))))


def authenticate(cursor: Cursor) -> commands.Authenticate:
    """authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")] *(CRLF base64) ; RFC 4959 §7

    The base64 is only skimmed here; sasl.exchange judges it.
    """
    cursor.space()
    mechanism = atom(cursor).upper().decode()
    initial = cursor.take(_BASE64, "base64 or =") if cursor.skip(b" ") else None
    return commands.Authenticate(mechanism, initial)


def identify(cursor: Cursor) -> commands.Id:
    """id = "ID" SP id-params-list

    id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
    """
    cursor.space()
    if cursor.line[cursor.at :].upper() == b"NIL":
        cursor.at += 3
        return commands.Id(())
    cursor.expect(b"(")
    fields: list[tuple[str, str | None]] = []
    while not cursor.skip(b")"):
        if fields:
            cursor.space()
        if len(fields) == MAX_ID_FIELDS:
            raise ProtocolError(Fault.TOO_MANY, "too many fields in ID")
        name = string(cursor)
        cursor.space()
        value = nstring(cursor)
        if len(name) > MAX_ID_FIELD_OCTETS or len(value or b"") > MAX_ID_VALUE_OCTETS:
            raise ProtocolError(Fault.TOO_MANY, "a field of ID is too long")
        fields.append((name.decode(errors="replace"), None if value is None else value.decode(errors="replace")))
    return commands.Id(tuple(fields))


def enable(cursor: Cursor) -> commands.Enable:
    """enable = "ENABLE" 1*(SP capability) ; RFC 5161 §4"""
    names: dict[str, None] = {}
    for _ in range(MAX_ENABLED):
        if not cursor.skip(b" "):
            break
        names[cursor.take(ATOM, "a capability").upper().decode()] = None
    if not names:
        raise syntax("ENABLE names no capability")
    return commands.Enable(tuple(names))
