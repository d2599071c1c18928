"""The authorization endpoint (RFC 6749 §3.1): the user signs in, sees which program asks for what, and decides.

The decision's form carries the request's parameters, which are read and checked anew: a form can be altered.
"""

from typing import Final

from starlette.responses import Response

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.servers.web import form, pages, signin
from mssmail.servers.web.form import Form
from mssmail.servers.web.oauth.authorization import NAMES, Asked, BadRedirect, Destination, ToClient, asked, destination
from mssmail.servers.web.visitor import Visitor
from mssmail.servers.web.words import text

_PUT_OFF: Final = frozenset({Reason.UNAVAILABLE, Reason.STORAGE_FULL})


async def show(visitor: Visitor) -> Response:
    """GET: sign-in first, then the consent page."""
    sent = form.query(visitor.request)
    try:
        where = await _where(visitor, sent)
    except BadRedirect as bad:
        return pages.message(visitor, text(str(bad), visitor.language), 400)
    try:
        request = asked(sent)
    except ToClient as error:
        return _back(visitor, where, error=error.error, error_description=error.description)
    if visitor.principal is None:
        hint = {"login_hint": sent.get("login_hint"), "lang": visitor.language.value}
        return pages.onward(visitor, pages.with_query(_sign_in_first(sent), hint))
    return _consent(visitor, where, request, _kept(sent))


def _kept(sent: Form) -> dict[str, str]:
    return {name: sent.get(name) for name in NAMES if sent.get(name)}


def _sign_in_first(sent: Form) -> str:
    """The sign-in page's path, to go on to this request."""
    return signin.path_to(pages.with_query("/oauth/authorize", _kept(sent)))


async def _where(visitor: Visitor, sent: Form) -> Destination:
    """Raises BadRedirect."""
    if "client_id" in sent.repeated:
        raise BadRedirect("unknown-client")
    try:
        client = await visitor.site.clients.find(sent.get("client_id"))
    except Refusal as refusal:
        if refusal.reason is not Reason.CLIENT:
            raise
        raise BadRedirect("unknown-client") from None
    return destination(sent, client)


def _consent(visitor: Visitor, where: Destination, request: Asked, kept: dict[str, str]) -> Response:
    return pages.page(
        visitor,
        "consent.html",
        form_action=f"'self' {where.source}",
        client=where.client,
        scopes=request.scope.split(),
        kept=kept,
        returns_to="" if "://127.0.0.1" in where.redirect or "://[::1]" in where.redirect else _host(where.redirect),
    )


def _host(redirect: str) -> str:
    """What a user is shown of a redirect: its host, or its scheme where it has none that means anything."""
    scheme, _, rest = redirect.partition("://")
    return rest.partition("/")[0].partition("?")[0] if scheme in ("http", "https") else redirect.partition(":")[0]


async def act(visitor: Visitor) -> Response:
    """POST: what the user decided."""
    sent = await form.body(visitor.request)
    visitor.check(sent)
    try:
        where = await _where(visitor, sent)
    except BadRedirect as bad:
        return pages.message(visitor, text(str(bad), visitor.language), 400)
    if visitor.principal is None:
        return pages.onward(visitor, _sign_in_first(sent))
    try:
        return await _decide(visitor, visitor.principal, where, sent)
    except ToClient as error:
        return _back(visitor, where, error=error.error, error_description=error.description)
    except Refusal as refusal:
        error_code = "temporarily_unavailable" if refusal.reason in _PUT_OFF else "access_denied"
        return _back(visitor, where, error=error_code)


async def _decide(visitor: Visitor, principal: Principal, where: Destination, sent: Form) -> Response:
    """Raises ToClient, Refusal."""
    request, authorizations = asked(sent), visitor.site.authorizations
    match sent.get("decision"):
        case "allow":
            code = await authorizations.grant(principal, where.client, request.scope, where.given, request.challenge)
            return _back(visitor, where, code=code.reveal())
        case "deny":
            await authorizations.deny(principal, where.client)
            raise ToClient("access_denied", "")
    raise form.Malformed


def _back(visitor: Visitor, where: Destination, **parameters: str) -> Response:
    """Send the browser back to the program (RFC 6749 §4.1.2)."""
    return pages.onward(visitor, where.answer(visitor.site.address, **parameters))
