"""What a token is good for (RFC 7662), asked by confidential programs; and giving a token back (RFC 7009)."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.oauth import ACCESS
from mssmail.servers.web.form import Form
from mssmail.servers.web.oauth.program import NO_STORE, Endpoint, Fault, answer, client_of, guarded

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site


def introspect(site: "Site") -> Endpoint:
    async def work(request: Request, sent: Form) -> Response:
        client = await client_of(site, request, sent)
        if not client.confidential:
            raise Refusal(Reason.CLIENT, "a public program may not ask")
        active = await site.authorizations.introspect(Secret(_token(sent)))
        if active is None:
            return answer({"active": False})  # RFC 7662 §2.2: and nothing more
        content: dict[str, object] = {
            "active": True,
            "scope": active.scope,
            "client_id": active.client,
            "username": str(active.address),
            "sub": str(active.account),
            "iss": site.address,
            "exp": active.expires_at,
        }
        if active.kind is ACCESS:
            content["token_type"] = "Bearer"  # noqa: S105 - a type
        return answer(content)

    return guarded(work)


def revoke(site: "Site") -> Endpoint:
    async def work(request: Request, sent: Form) -> Response:
        client = await client_of(site, request, sent)
        await site.authorizations.revoke(client, Secret(_token(sent)))
        return Response(status_code=200, headers=NO_STORE)  # RFC 7009 §2.2: for an unknown token too

    return guarded(work)


def _token(sent: Form) -> str:
    """Raises Fault."""
    if not sent.get("token"):
        raise Fault("invalid_request", "token is missing")
    return sent.get("token")
