"""The device authorization endpoint (RFC 8628 §3.1): a device is given a code for itself and one for its user."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from mssmail.flow.oauth import scope_of
from mssmail.servers.web.form import Form
from mssmail.servers.web.oauth.program import Endpoint, answer, client_of, guarded
from mssmail.servers.web.pages import with_query

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site


def endpoint(site: "Site") -> Endpoint:
    async def work(request: Request, sent: Form) -> Response:
        client = await client_of(site, request, sent)
        scope = scope_of(sent.get("scope"))
        site.throttle.check(request.scope["client"][0])
        begun = await site.devices.begin(client, scope)
        page = f"{site.address}/device"
        return answer(
            {
                "device_code": begun.device_code.reveal(),
                "user_code": begun.user_code,
                "verification_uri": page,
                "verification_uri_complete": with_query(page, {"user_code": begun.user_code}),
                "expires_in": begun.lifetime_s,
                "interval": begun.interval_s,
            }
        )

    return guarded(work)
