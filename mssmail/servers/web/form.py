"""Request parameters: a query or a form's body, bounded, each name once.

`application/x-www-form-urlencoded` in UTF-8 is the only kind of body there is, but for registration's JSON. A parameter
that is sent twice is a fault (RFC 6749 §3.1); one without a value counts as left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from mssmail.servers.web.connection import MAX_BODY_OCTETS

MAX_FIELDS: Final = 50
FORM: Final = "application/x-www-form-urlencoded"


class Malformed(Exception):
    """No parameters can be read of it: answered 400."""


class TooLarge(Exception):
    """Answered 413."""


class Gone(Exception):
    """The peer left while it sent: nobody hears an answer."""


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters by name. Values are what a peer wrote, of any length up to the body's limit."""

    fields: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str:
        """Empty where it wasn't sent."""
        return self.fields.get(name, "")

    @property
    def is_plain(self) -> bool:
        """Whether every name was sent once."""
        return not self.repeated


def parse(text: bytes) -> Form:
    """Read `a=b&c=d`. Raises Malformed."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=False, errors="strict", max_num_fields=MAX_FIELDS)
    except (ValueError, UnicodeError):
        raise Malformed from None
    fields: dict[str, str] = {}
    repeated = set()
    for name, value in pairs:
        if name in fields:
            repeated.add(name)
        fields[name] = value
    return Form(fields, frozenset(repeated))


def query(request: Request) -> Form:
    """Raises Malformed."""
    return parse(request.scope["query_string"])


async def body(request: Request) -> Form:
    """A form's fields. Raises Malformed, TooLarge, Gone."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Malformed
    return parse(await _octets(request))


async def json_body(request: Request) -> dict[str, object]:
    """A JSON object. Raises Malformed, TooLarge, Gone."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Malformed
    try:
        content = json.loads(await _octets(request))
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(content, dict):
        raise Malformed
    return content


async def _octets(request: Request) -> bytes:
    collected = bytearray()
    try:
        async for chunk in request.stream():
            collected += chunk
            if len(collected) > MAX_BODY_OCTETS:
                raise TooLarge
    except ClientDisconnect:
        raise Gone from None
    return bytes(collected)
