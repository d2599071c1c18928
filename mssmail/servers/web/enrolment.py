"""The page behind a one-time link: a holder chooses a password, scans a QR code and confirms by a first code.

Showing it uses nothing up: mail programs and scanners follow links. The link's code travels on in the form.
"""

import io
from typing import TYPE_CHECKING

from starlette.responses import Response

from mssmail.base.refusal import Reason, Refusal
from mssmail.base.secret import Secret
from mssmail.flow.activation import LEAST_BITS, Pending
from mssmail.servers.web import form, pages
from mssmail.servers.web.replies import REPLIES
from mssmail.servers.web.visitor import Visitor
from mssmail.servers.web.words import text

if TYPE_CHECKING:
    from markupsafe import Markup

_STAYS = (Reason.WEAK_PASSWORD, Reason.CREDENTIALS)


async def show(visitor: Visitor) -> Response:
    """GET: the form."""
    code = Secret(form.query(visitor.request).get("code"))
    return await _page(visitor, code, await visitor.site.activations.find(code))


async def act(visitor: Visitor) -> Response:
    """POST: set password and code."""
    sent = await form.body(visitor.request)
    visitor.check(sent)
    activations, code, password = visitor.site.activations, Secret(sent.get("code")), sent.get("password")
    if password != sent.get("repeated"):
        return await _page(visitor, code, await activations.find(code), "passwords-differ")
    first = "".join(sent.get("first_code").split())[:6]
    try:
        codes = await activations.complete(code, Secret(password), first, visitor.door.client)
    except Refusal as refusal:
        if refusal.reason not in _STAYS:
            raise
        problem = "code-wrong" if refusal.reason is Reason.CREDENTIALS else ""
        told = "" if problem else REPLIES[refusal.reason].text(visitor.language)
        return await _page(visitor, code, await activations.find(code), problem, told)
    return pages.page(visitor, "enrolled.html", codes=codes)


async def _page(visitor: Visitor, code: Secret, pending: Pending, problem: str = "", told: str = "") -> Response:
    said = text(problem, visitor.language) if problem else told
    return pages.page(
        visitor,
        "enrolment.html",
        400 if said else 200,
        code=code.reveal(),
        address=pending.address,
        qr=_drawn(pending.provisioning_uri),
        secret=_grouped(pending.totp_secret.reveal()),
        bits=LEAST_BITS,
        problem=said,
    )


def _drawn(uri: Secret) -> "Markup":
    """The QR code as SVG that stands in the page: no picture is fetched, and none lies in a cache."""
    import segno
    from markupsafe import Markup

    out = io.BytesIO()
    segno.make(uri.reveal(), error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, nl=False, omitsize=True, border=4, svgclass="qr", lineclass=None
    )
    return Markup(out.getvalue().decode())  # noqa: S704 - drawn here, of black and white squares alone


def _grouped(secret: str) -> str:
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
