"""Programs that register themselves (RFC 7591), where `oauth.registration` lets them: public ones alone.

Nobody vouches for such a program's name, and the consent page says so.
"""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from mssmail.base.refusal import Reason, Refusal
from mssmail.servers.web import form
from mssmail.servers.web.oauth.program import Endpoint, answer
from mssmail.servers.web.oauth.token import GRANTS

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site

UNNAMED = "(sans nom)"


def endpoint(site: "Site") -> Endpoint:
    async def run(request: Request) -> Response:
        if not site.house.settings.oauth.registration:
            return answer(
                {"error": "access_denied", "error_description": "programs are registered by the operator"}, 403
            )
        try:
            site.throttle.check(request.scope["client"][0])
            sent = await form.json_body(request)
        except (form.Malformed, form.TooLarge):
            return _refused("invalid_client_metadata", "not a JSON object of 64 KiB at most")
        except Refusal:
            return answer({"error": "slow_down"}, 429)
        return await _register(site, sent)

    return run


async def _register(site: "Site", sent: dict[str, object]) -> Response:
    redirects, name = sent.get("redirect_uris", []), sent.get("client_name", UNNAMED)
    if not isinstance(redirects, list) or not all(isinstance(each, str) for each in redirects):
        return _refused("invalid_redirect_uri", "redirect_uris is a list of texts")
    if not isinstance(name, str):
        return _refused("invalid_client_metadata", "client_name is a text")
    if sent.get("token_endpoint_auth_method", "none") != "none":
        return _refused("invalid_client_metadata", "only public programs: token_endpoint_auth_method none")
    try:
        client = await site.clients.register(name, tuple(redirects))
    except Refusal as refusal:
        if refusal.reason is not Reason.CLIENT:
            return answer({"error": "temporarily_unavailable"}, 503)
        return _refused("invalid_redirect_uri" if redirects else "invalid_client_metadata", refusal.detail)
    return answer(
        {
            "client_id": client.client_id,
            "client_id_issued_at": client.created_at,
            "client_name": client.name,
            "redirect_uris": list(client.redirects),
            "token_endpoint_auth_method": "none",
            "grant_types": list(GRANTS),
            "response_types": ["code"],
            "scope": "imap smtp",
        },
        201,
    )


def _refused(error: str, description: str) -> Response:
    """RFC 7591 §3.2.2."""
    return answer({"error": error, "error_description": description}, 400)
