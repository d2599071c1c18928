"""The sign-in page: a card or certificate, or address, password and code; and signing out.

A code is used up here like anywhere, and grants say nothing (`flow.login`). After a sign-in the browser goes on to the
page of ours that sent it here, and to no other place.
"""

import re
from typing import Final

from starlette.responses import Response

from mssmail.base.principal import Principal
from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.activation import RECOVERY_MARK
from mssmail.servers.web import form, pages
from mssmail.servers.web.replies import REPLIES
from mssmail.servers.web.visitor import Visitor
from mssmail.servers.web.words import text

AFTER: Final = re.compile(r"/(?:oauth/authorize|device|account)(?:\?[!-~]*)?")
"""Pages that a sign-in may go on to."""
HOME: Final = "/account"
_CODE: Final = re.compile(r"\s*(\d{3})\s?(\d{3})\s*", re.ASCII)


def path_to(next_path: str) -> str:
    """The sign-in page's path, to go on to a page of ours."""
    return pages.with_query("/sign-in", {"next": next_path})


def _after(given: str) -> str:
    return given if AFTER.fullmatch(given) else HOME


async def show(visitor: Visitor) -> Response:
    """GET: who is signed in already goes on."""
    asked = form.query(visitor.request)
    after = _after(asked.get("next"))
    if visitor.principal is not None:
        return pages.onward(visitor, after)
    return await _page(visitor, after, asked.get("login_hint"))


async def _page(visitor: Visitor, after: str, address: str = "", *, refusal: Refusal | None = None) -> Response:
    status, problem = 200, ""
    if refusal is not None:
        reply = REPLIES[refusal.reason]
        status, problem = reply.status, reply.text(visitor.language)
        if refusal.reason is Reason.CERTIFICATE and visitor.door.certificate is None:
            problem = text("no-certificate-shown", visitor.language)
    return pages.page(
        visitor,
        "signin.html",
        status,
        after=after,
        address=address[:254],
        problem=problem,
        client=await _client(visitor, after),
    )


async def _client(visitor: Visitor, after: str) -> str:
    """The name of the program that waits for this sign-in, if one does."""
    path, _, query = after.partition("?")
    if path != "/oauth/authorize":
        return ""
    try:
        return (await visitor.site.clients.find(form.parse(query.encode()).get("client_id"))).name
    except (Refusal, form.Malformed):
        return ""


async def by_password(visitor: Visitor) -> Response:
    """POST: address, password and code."""
    sent = await form.body(visitor.request)
    visitor.check(sent)
    after, address = _after(sent.get("next")), sent.get("address").strip()
    secret = Secret(sent.get("password") + _behind(sent.get("code")))
    try:
        principal = await visitor.site.login.by_password(visitor.door, "", address, secret)
    except Refusal as refusal:
        return await _page(visitor, after, address, refusal=refusal)
    return await _enter(visitor, principal, after)


def _behind(typed: str) -> str:
    """What stands behind a password for a code that was typed: six digits, or else maybe a recovery code."""
    code = _CODE.fullmatch(typed)
    return code[1] + code[2] if code else RECOVERY_MARK + typed


async def by_certificate(visitor: Visitor) -> Response:
    """POST: the certificate that this connection showed."""
    sent = await form.body(visitor.request)
    visitor.check(sent)
    after = _after(sent.get("next"))
    try:
        principal = await visitor.site.login.by_certificate(visitor.door, "")
    except Refusal as refusal:
        return await _page(visitor, after, refusal=refusal)
    return await _enter(visitor, principal, after)


async def _enter(visitor: Visitor, principal: Principal, after: str) -> Response:
    await visitor.sign_in(principal)
    return pages.onward(visitor, after)


async def sign_out(visitor: Visitor) -> Response:
    """POST: end this browser's visit."""
    visitor.check(await form.body(visitor.request))
    await visitor.sign_out()
    return pages.onward(visitor, "/sign-in")
