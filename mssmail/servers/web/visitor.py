"""Who asks for a page: the browser by its cookie, who is signed in there, the language, and whether a form is its own.

One cookie, random, `__Host-` (RFC 6265 §4.1.2 and its successor: this host alone, over TLS alone): before a sign-in it
means nothing but "the same browser", which is what a form is tied to; a sign-in gives another one.

A form is taken only with the token that this server made for that cookie, and where the browser tells, from a page of
ours (Origin, Sec-Fetch-Site).
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from mssmail.base.principal import Door, Principal
from mssmail.base.secret import Secret
from mssmail.servers.web.form import Form
from mssmail.servers.web.words import Language, language_of

if TYPE_CHECKING:
    from mssmail.servers.web.app import Site

COOKIE: Final = "__Host-mssmail"
LANGUAGE_COOKIE: Final = "__Host-language"
TOKEN_FIELD: Final = "form_token"  # noqa: S105 - a field's name
_SEED: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
_YEAR_S: Final = 365 * 86_400


class Forged(Exception):
    """A form that isn't this browser's: answered 403, and nothing is done."""


@dataclass(slots=True)
class Visitor:
    """The browser behind a request."""

    site: "Site"
    request: Request
    language: Language
    seed: str
    """The cookie's value; a new one where the browser brought none."""
    is_new: bool
    principal: Principal | None = None
    chosen: Language | None = None
    """A language that was chosen with this request."""
    _set: str | None = field(default=None, repr=False)

    @property
    def door(self) -> Door:
        """The connection, as sign-in sees it."""
        scope = self.request.scope
        return Door("https", scope["client"][0], scope["extensions"]["tls"]["certificate"])

    @property
    def form_token(self) -> str:
        return self.site.visits.form_token(self.seed)

    def check(self, form: Form) -> None:
        """Raises Forged."""
        headers = self.request.headers
        origin, fetched = headers.get("origin"), headers.get("sec-fetch-site")
        ours = f"https://{headers.get('host', '')}"
        if (origin is not None and origin != ours) or fetched not in (None, "same-origin", "none"):
            raise Forged
        given = form.get(TOKEN_FIELD)
        if self.is_new or not hmac.compare_digest(given.encode(), self.form_token.encode()):
            raise Forged

    async def sign_in(self, principal: Principal) -> None:
        """Begin a visit under a cookie that nobody knew before."""
        if not self.is_new:
            await self.site.visits.end(self.seed)
        cookie: Secret = await self.site.visits.begin(principal)
        self.principal, self._set = principal, cookie.reveal()

    async def sign_out(self) -> None:
        await self.site.visits.end(self.seed)
        self.principal, self._set = None, ""

    def leave_marks(self, response: Response) -> None:
        """Set the cookies that this request calls for."""
        value = self._set if self._set is not None else self.seed if self.is_new else None
        if value is not None:
            _put(response, COOKIE, value, max_age=None if value else 0)
        if self.chosen is not None:
            _put(response, LANGUAGE_COOKIE, self.chosen.value, max_age=_YEAR_S)


def _put(response: Response, name: str, value: str, *, max_age: int | None) -> None:
    response.set_cookie(name, value, max_age=max_age, path="/", secure=True, httponly=True, samesite="lax")


async def visitor_of(site: "Site", request: Request) -> Visitor:
    """Raises Refusal(UNAVAILABLE) where the database can't be asked."""
    cookies = request.cookies
    seed = cookies.get(COOKIE, "")
    known = _SEED.fullmatch(seed) is not None
    chosen = _language(request.query_params.get("lang", "")) or _language(request.query_params.get("ui_locales", ""))
    language = chosen or _language(cookies.get(LANGUAGE_COOKIE, ""))
    visitor = Visitor(
        site,
        request,
        language or language_of(request.headers.get("accept-language", "")),
        seed if known else secrets.token_urlsafe(32),
        not known,
        chosen=chosen if chosen is not _language(cookies.get(LANGUAGE_COOKIE, "")) else None,
    )
    if known:
        visitor.principal = await site.visits.find(seed, visitor.door.client)
    return visitor


def _language(tag: str) -> Language | None:
    return next((language for language in Language if tag[:2].lower() == language.value), None)
