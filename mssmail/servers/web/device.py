"""The page where a user enters the code that a device shows, and lets it in or not (RFC 8628 §3.3).

The code may come with the address, but never counts before the user has seen what it asks for, and said yes.
"""

from starlette.responses import Response

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.flow.devices import Decision
from mssmail.servers.web import form, pages, signin
from mssmail.servers.web.visitor import Visitor
from mssmail.servers.web.words import text

MOST_CHARACTERS = 20


async def show(visitor: Visitor) -> Response:
    """GET: the field for the code, with the code in it where the address brought one."""
    code = form.query(visitor.request).get("user_code")[:MOST_CHARACTERS]
    if visitor.principal is None:
        return pages.onward(visitor, signin.path_to(pages.with_query("/device", {"user_code": code})))
    return pages.page(visitor, "device.html", code=code, problem="")


async def act(visitor: Visitor) -> Response:
    """POST: first the code, then the decision."""
    sent = await form.body(visitor.request)
    visitor.check(sent)
    if visitor.principal is None:
        return pages.onward(visitor, signin.path_to("/device"))
    code = sent.get("user_code")[:MOST_CHARACTERS]
    try:
        return await _judge(visitor, visitor.principal, code, sent.get("decision"))
    except Refusal as refusal:
        if refusal.reason is not Reason.TOKEN:
            raise
        problem = text("device-unknown", visitor.language)
        return pages.page(visitor, "device.html", 400, code=code, problem=problem)


async def _judge(visitor: Visitor, principal: Principal, code: str, decision: str) -> Response:
    site = visitor.site
    asking = await site.devices.find(principal, code)
    client = await site.clients.find(asking.client)
    if decision not in ("allow", "deny"):
        return pages.page(visitor, "device-consent.html", client=client, scopes=asking.scope.split(), code=code)
    decided = Decision.GRANTED if decision == "allow" else Decision.DENIED
    await site.devices.decide(principal, code, client, decided)
    said = "device-allowed" if decided is Decision.GRANTED else "device-denied"
    return pages.message(visitor, text(said, visitor.language), 200, title="device")
