"""The token endpoint (RFC 6749 §3.2): codes, refresh tokens and device codes become tokens."""

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final, assert_never

from starlette.requests import Request
from starlette.responses import Response

from mssmail.base.secret import Secret
from mssmail.flow.clients import Client
from mssmail.flow.devices import Wait
from mssmail.flow.oauth import Issued
from mssmail.servers.web.form import Form
from mssmail.servers.web.oauth.program import Endpoint, Fault, answer, client_of, guarded

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site

DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS: Final = ("authorization_code", "refresh_token", DEVICE)
VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
"""RFC 7636 §4.1."""


def endpoint(site: "Site") -> Endpoint:
    async def work(request: Request, sent: Form) -> Response:
        client = await client_of(site, request, sent)
        issued = await _issue(site, client, sent)
        return answer(
            {
                "access_token": issued.access.reveal(),
                "token_type": "Bearer",
                "expires_in": issued.lifetime_s,
                "refresh_token": issued.refresh.reveal(),
                "scope": issued.of.scope,
            }
        )

    return guarded(work)


async def _issue(site: "Site", client: Client, sent: Form) -> Issued:
    """Raises Fault, Refusal."""
    match sent.get("grant_type"):
        case "authorization_code":
            verifier = _needed(sent, "code_verifier")
            if VERIFIER.fullmatch(verifier) is None:
                raise Fault("invalid_request", "code_verifier is 43 to 128 unreserved characters")
            code = Secret(_needed(sent, "code"))
            return await site.authorizations.redeem(client, code, sent.get("redirect_uri"), challenge_of(verifier))
        case "refresh_token":
            presented = Secret(_needed(sent, "refresh_token"))
            return await site.authorizations.refresh(client, presented, sent.get("scope"))
        case grant if grant == DEVICE:
            return _polled(await site.devices.poll(client, Secret(_needed(sent, "device_code"))))
        case "":
            raise Fault("invalid_request", "grant_type is missing")
    raise Fault("unsupported_grant_type")


def _polled(outcome: Issued | Wait) -> Issued:
    """Raises Fault with the codes of RFC 8628 §3.5."""
    match outcome:
        case Issued():
            return outcome
        case Wait.PENDING:
            raise Fault("authorization_pending")
        case Wait.SLOWER:
            raise Fault("slow_down")
        case Wait.DENIED:
            raise Fault("access_denied")
        case Wait.EXPIRED:
            raise Fault("expired_token")
    assert_never(outcome)


def _needed(sent: Form, name: str) -> str:
    """Raises Fault."""
    value = sent.get(name)
    if not value:
        raise Fault("invalid_request", f"{name} is missing")
    return value


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()
