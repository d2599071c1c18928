"""What the endpoints for programs share: who asks (RFC 6749 §2.3), and answers and errors in JSON (§5)."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.clients import Client
from mssmail.servers.web import form
from mssmail.servers.web.form import Form

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site

NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}
"""RFC 6749 §5.1."""
MAX_HEADER: Final = 2000
Endpoint = Callable[[Request], Awaitable[Response]]
Work = Callable[[Request, Form], Awaitable[Response]]

ERRORS: Final[dict[Reason, tuple[int, str]]] = {
    Reason.TOKEN: (400, "invalid_grant"),
    Reason.STRUCK_OFF: (400, "invalid_grant"),
    Reason.SUSPENDED: (400, "invalid_grant"),
    Reason.CREDENTIALS: (400, "invalid_grant"),
    Reason.CLIENT: (401, "invalid_client"),
    Reason.SCOPE: (400, "invalid_scope"),
    Reason.LOCKED: (429, "slow_down"),
}
"""What a program hears of a refusal; of those that aren't here, that it may try again."""
LATER: Final = (503, "temporarily_unavailable")


class Fault(Exception):
    """A request that can't be served, by its error code (RFC 6749 §5.2)."""

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status = status


def answer(content: Mapping[str, object], status: int = 200) -> JSONResponse:
    return JSONResponse(dict(content), status, headers=NO_STORE)


def guarded(work: Work) -> Endpoint:
    """An endpoint that takes a form and answers in JSON, errors too."""

    async def run(request: Request) -> Response:
        try:
            sent = await form.body(request)
            if not sent.is_plain:
                raise Fault("invalid_request", "a parameter is repeated")
            return await work(request, sent)
        except form.Malformed:
            return _error(request, 400, "invalid_request", "not a form of name and value pairs")
        except form.TooLarge:
            return _error(request, 413, "invalid_request", "too large")
        except Fault as fault:
            return _error(request, fault.status, fault.error, fault.description)
        except Refusal as refusal:
            return _error(request, *ERRORS.get(refusal.reason, LATER))

    return run


def _error(request: Request, status: int, error: str, description: str = "") -> JSONResponse:
    content = {"error": error} | ({"error_description": description} if description else {})
    response = answer(content, status)
    if status == 401:
        # RFC 6749 §5.2: a client that tried by the header is answered by it; RFC 9110 §15.5.2: a 401 always has one
        response.headers["www-authenticate"] = 'Basic realm="mssmail", charset="UTF-8"'
    if status == 413:
        response.headers["connection"] = "close"
    return response


async def client_of(site: "Site", request: Request, sent: Form) -> Client:
    """Who asks: by HTTP Basic, or by `client_id` and `client_secret` in the body, never both.

    Raises Fault, Refusal(CLIENT).
    """
    header = request.headers.get("authorization", "")
    if header:
        if sent.get("client_secret"):
            raise Fault("invalid_request", "two ways to authenticate at once")
        name, secret = _basic(header)
        if sent.get("client_id") not in ("", name):
            raise Fault("invalid_request", "two clients at once")
        return await site.clients.authenticate(name, secret)
    if not sent.get("client_id"):
        raise Refusal(Reason.CLIENT, "none was named")
    secret = Secret(sent.get("client_secret")) if sent.get("client_secret") else None
    return await site.clients.authenticate(sent.get("client_id"), secret)


def _basic(header: str) -> tuple[str, Secret | None]:
    """Id and secret, each form-encoded before (RFC 6749 §2.3.1). Raises Refusal(CLIENT)."""
    scheme, _, coded = header.partition(" ")
    try:
        if scheme.lower() != "basic" or len(coded) > MAX_HEADER:
            raise ValueError(scheme)
        name, colon, secret = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError(name)
    except (ValueError, binascii.Error):
        raise Refusal(Reason.CLIENT, "unreadable credentials") from None
    return unquote_plus(name), Secret(unquote_plus(secret)) if secret else None
