"""What a signed-in user has open: programs, grants, browsers; and taking any of it back."""

from starlette.responses import Response

from mssmail.servers.web import form, pages, signin
from mssmail.servers.web.visitor import Visitor


async def show(visitor: Visitor) -> Response:
    """GET: the list."""
    if visitor.principal is None:
        return pages.onward(visitor, signin.path_to("/account"))
    site, principal = visitor.site, visitor.principal
    authorizations = await site.authorizations.of_principal(principal)
    names = {client.client_id: client.name for client in await site.clients.list()} if authorizations else {}
    browsers = await site.visits.list(principal)
    return pages.page(
        visitor,
        "account.html",
        authorizations=[(each, names.get(each.client, each.client)) for each in authorizations],
        grants=await site.grants.list(principal),
        browsers=[(each, site.visits.is_of(each, visitor.seed)) for each in browsers],
    )


async def act(visitor: Visitor) -> Response:
    """POST: withdraw one thing, or all."""
    sent = await form.body(visitor.request)
    visitor.check(sent)
    site, principal = visitor.site, visitor.principal
    if principal is None:
        return pages.onward(visitor, signin.path_to("/account"))
    match sent.get("what"):
        case "program" if sent.get("number").isdecimal():
            await site.authorizations.revoke_own(principal, int(sent.get("number")[:18]))
        case "browser":
            await site.visits.end_one(principal, sent.get("name"))
        case "grant":
            await site.grants.end(principal, sent.get("name"))
        case "everything":
            await site.visits.end_everything(principal)
        case _:
            raise form.Malformed
    return pages.onward(visitor, "/account")
