"""An authorization request, read and checked (RFC 6749 §4.1.1, RFC 7636 §4.3), with where its errors may go.

Until client and redirect are known to belong together, an error is shown to the user and nobody is sent anywhere: or
this server would forward whoever follows a link of ours to any place.
"""

import re
from dataclasses import dataclass
from typing import Final

from mssmail.base.refusal import Refusal
from mssmail.flow.clients import Client
from mssmail.flow.oauth import scope_of
from mssmail.servers.web.form import Form
from mssmail.servers.web.pages import with_query

MAX_STATE_CHARACTERS: Final = 2000
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
"""SHA-256 in base64url without padding (RFC 7636 §4.2)."""
_ORIGIN: Final = re.compile(r"(https?://(?:[A-Za-z0-9.\-]+|\[::1\])(?::[0-9]+)?)(?:[/?].*)?")
NAMES: Final = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
    "response_mode", "login_hint",
)  # fmt: skip
"""Parameters that are kept from the request to the decision; others are ignored (RFC 6749 §3.1)."""


class BadRedirect(Exception):
    """Client or redirect can't be trusted: told to the user alone. The text is a key of `words`."""


class ToClient(Exception):
    """An error that the client is told, by way of its user (RFC 6749 §4.1.2.1)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the answer goes."""

    client: Client
    redirect: str
    given: str
    """The redirect as it was sent, empty where it was left out; the code is bound to that (RFC 6749 §4.1.3)."""
    state: str

    def answer(self, issuer: str, **parameters: str) -> str:
        """The address of an answer, with `iss` (RFC 9207 §2)."""
        return with_query(self.redirect, {**parameters, "state": self.state, "iss": issuer})

    @property
    def source(self) -> str:
        """The redirect as a source of Content-Security-Policy's form-action."""
        found = _ORIGIN.fullmatch(self.redirect)
        if found is None:
            return self.redirect.partition(":")[0] + ":"
        # the policy's grammar has no IPv6 addresses
        return "http:" if "[" in found[1] else found[1]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for."""

    scope: str
    challenge: str


def destination(sent: Form, client: Client) -> Destination:
    """Raises BadRedirect."""
    given = sent.get("redirect_uri")
    if "redirect_uri" in sent.repeated:
        raise BadRedirect("bad-redirect")
    if given and not client.returns_to(given):
        raise BadRedirect("bad-redirect")
    if not given and len(client.redirects) != 1:
        raise BadRedirect("bad-redirect")
    state = sent.get("state")
    if len(state) > MAX_STATE_CHARACTERS or "state" in sent.repeated:
        state = ""
    return Destination(client, given or client.redirects[0], given, state)


def asked(sent: Form) -> Asked:
    """Raises ToClient."""
    if not sent.is_plain:
        raise ToClient("invalid_request", "a parameter is repeated")
    if len(sent.get("state")) > MAX_STATE_CHARACTERS:
        raise ToClient("invalid_request", "state is too long")
    if not sent.get("response_type"):
        raise ToClient("invalid_request", "response_type is missing")
    if sent.get("response_type") != "code":
        raise ToClient("unsupported_response_type", "only code")
    if sent.get("response_mode") not in ("", "query"):
        raise ToClient("invalid_request", "only response_mode query")
    if sent.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(sent.get("code_challenge")):
        raise ToClient("invalid_request", "code_challenge by S256 is required (RFC 7636)")
    try:
        return Asked(scope_of(sent.get("scope")), sent.get("code_challenge"))
    except Refusal:
        raise ToClient("invalid_scope", "imap, smtp") from None
