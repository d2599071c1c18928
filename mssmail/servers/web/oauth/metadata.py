"""What this authorization server is and can (RFC 8414): read by programs that are told the issuer alone.

Only under its own well-known path: this is no OpenID provider, and an `openid-configuration` would promise one.
"""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mssmail.flow.oauth import SCOPES
from mssmail.servers.web.oauth.program import Endpoint
from mssmail.servers.web.oauth.token import GRANTS

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site

CONFIDENTIAL = ["client_secret_basic", "client_secret_post"]


def endpoint(site: "Site") -> Endpoint:
    async def run(_: Request) -> Response:
        issuer = site.address
        content: dict[str, object] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
            "introspection_endpoint": f"{issuer}/oauth/introspect",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANTS),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", *CONFIDENTIAL],
            "introspection_endpoint_auth_methods_supported": CONFIDENTIAL,
            "revocation_endpoint_auth_methods_supported": ["none", *CONFIDENTIAL],
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": ["fr", "en"],
        }
        if site.house.settings.oauth.registration:
            content["registration_endpoint"] = f"{issuer}/oauth/register"
        return JSONResponse(content, headers={"cache-control": "max-age=300"})

    return run
