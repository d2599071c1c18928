"""The routes of the HTTPS port, and what is done around each request.

Around: only hosts that are ours are answered (421 otherwise), strict headers stand on every answer, a refusal becomes
its reply, our own failure an incident number, and the log gets method, route, status and time: no query, no path as it
was written, no address.
"""

import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mssmail.base.refusal import Refusal
from mssmail.flow.activation import Activations
from mssmail.flow.clients import Clients
from mssmail.flow.devices import Devices
from mssmail.flow.holder import OwnGrants
from mssmail.flow.house import House
from mssmail.flow.login import Login
from mssmail.flow.oauth import Authorizations
from mssmail.flow.standing import Standing
from mssmail.flow.visits import Visits
from mssmail.metrics.logs import failure, get_logger
from mssmail.metrics.registry import counter
from mssmail.servers.web import account, device, enrolment, pages, signin
from mssmail.servers.web.form import Gone, Malformed, TooLarge
from mssmail.servers.web.oauth import authorize, begin_device, inspection, metadata, register, token
from mssmail.servers.web.replies import REPLIES
from mssmail.servers.web.throttle import Throttle
from mssmail.servers.web.visitor import Forged, Visitor, visitor_of
from mssmail.servers.web.words import text
from mssmail.settings.place import web_address

STRICT: Final = (
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # `no-referrer` would make a browser call the origin of our own forms `null`
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)
"""On every answer (RFC 6797 §7.1 for the first)."""
METADATA: Final = "/.well-known/oauth-authorization-server"
NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of what is no page."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]+)(?::[0-9]{1,5})?")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
_log = get_logger("servers.web")
_answers = counter("mssmail_web_answers_total", "Answers on the HTTPS port.", labels=("outcome",))

PageEndpoint = Callable[[Visitor], Awaitable[Response]]


class Site:
    """What endpoints are given: the use-cases, and where this site is."""

    def __init__(self, house: House, login: Login, standing: Standing, port: int) -> None:
        self.house = house
        self.login = login
        self.clients = Clients(house, "")
        self.visits = Visits(house, standing)
        self.authorizations = Authorizations(house, standing)
        self.devices = Devices(house, self.authorizations)
        self.activations = Activations(house, standing)
        self.grants = OwnGrants(house)
        self.throttle = Throttle(house)
        self._port = port

    @property
    def address(self) -> str:
        """`https://host[:port]`: the issuer (RFC 8414 §2), never taken from what a peer calls us."""
        return web_address(self.house.settings, self._port)

    def is_ours(self, host: str) -> bool:
        """Whether a Host field names this site. Its port isn't compared: a proxy before us may have another."""
        settings, named = self.house.settings, _HOST.fullmatch(host)
        address = _HOST.fullmatch(self.address.partition("://")[2])
        ours = {address[1] if address else "", settings.server.name, settings.listen.host}
        return named is not None and named[1].lower() in ours


def make_app(site: Site) -> ASGIApp:
    """The whole site as an ASGI application."""

    def paged(path: str, show: PageEndpoint | None = None, act: PageEndpoint | None = None) -> Route:
        """A page, and what its forms do."""
        by_method = {"GET": show, "HEAD": show, "POST": act}

        async def run(request: Request) -> Response:
            endpoint = by_method[request.method]
            assert endpoint is not None  # the route takes no other method
            return await endpoint(await visitor_of(site, request))

        return Route(path, run, methods=[method for method, endpoint in by_method.items() if endpoint is not None])

    async def home(visitor: Visitor) -> Response:
        return pages.onward(visitor, "/account" if visitor.principal else "/sign-in")

    def kept(path: str, content: bytes, media_type: str) -> Route:
        """A file that browsers keep for an hour."""

        async def run(_: Request) -> Response:
            return Response(content, media_type=media_type, headers={"cache-control": "max-age=3600"})

        return Route(path, run, methods=["GET"])

    routes = [
        paged("/", home),
        kept("/style.css", pages.STYLE, "text/css"),
        kept("/icon.svg", pages.ICON, "image/svg+xml"),
        paged("/sign-in", signin.show, signin.by_password),
        paged("/sign-in/certificate", act=signin.by_certificate),
        paged("/sign-out", act=signin.sign_out),
        paged("/account", account.show, account.act),
        paged("/device", device.show, device.act),
        paged("/enrolment", enrolment.show, enrolment.act),
        paged("/oauth/authorize", authorize.show, authorize.act),
        Route("/oauth/token", token.endpoint(site), methods=["POST"]),
        Route("/oauth/device_authorization", begin_device.endpoint(site), methods=["POST"]),
        Route("/oauth/introspect", inspection.introspect(site), methods=["POST"]),
        Route("/oauth/revoke", inspection.revoke(site), methods=["POST"]),
        Route("/oauth/register", register.endpoint(site), methods=["POST"]),
        Route(METADATA, metadata.endpoint(site), methods=["GET"]),
    ]
    handlers = {kind: _handler(site) for kind in (Refusal, HTTPException, Forged, Malformed, TooLarge, Gone, Exception)}
    inner = Starlette(routes=routes, exception_handlers=handlers)
    inner.router.redirect_slashes = False
    return _Around(inner, site, frozenset(r.path for r in routes))


def _handler(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        try:
            visitor = await visitor_of(site, request)
        except Refusal as refusal:
            return Response(REPLIES[refusal.reason].english, REPLIES[refusal.reason].status)
        return _told(visitor, error)

    return handle


def _told(visitor: Visitor, error: Exception) -> Response:
    """The page that says what went wrong."""
    language = visitor.language
    match error:
        case Refusal():
            reply = REPLIES[error.reason]
            return pages.message(visitor, reply.text(language), reply.status)
        case Forged():
            return pages.message(visitor, text("form-expired", language), 403)
        case Malformed() | Gone():
            return pages.message(visitor, text("bad-request", language), 400)
        case TooLarge():
            response: Response = pages.message(visitor, text("too-large", language), 413)
            response.headers["connection"] = "close"
            return response
        case HTTPException():
            said = {404: "not-found", 405: "method"}.get(error.status_code, "bad-request")
            response = pages.message(visitor, text(said, language), error.status_code)
            response.headers.update(error.headers or {})
            return response
    incident = failure(_log, "request failed", error)
    return pages.message(visitor, text("own-fault", language).format(incident=incident), 500)


class _Around:
    """What is done around each request."""

    def __init__(self, inner: ASGIApp, site: Site, paths: frozenset[str]) -> None:
        self._inner = inner
        self._site = site
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clock = self._site.house.clock
        began, status = clock.monotonic(), 0

        async def send_strictly(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": self._strict(message.get("headers", []))}
            await send(message)

        try:
            if self._host_is_ours(scope):
                await self._inner(scope, receive, send_strictly)
            else:
                await Response(status_code=421)(scope, receive, send_strictly)
        except Exception as error:  # noqa: BLE001 - answered and logged by the handler; one request's failure ends there
            if not status:
                failure(_log, "request failed", error)
                await Response(status_code=500)(scope, receive, send_strictly)
        finally:
            _answers.labels(outcome=f"{status // 100}xx" if status else "none").inc()
            _log.info(
                "request",
                method=scope["method"] if scope["method"] in _METHODS else "other",
                route=scope["path"] if scope["path"] in self._paths else "other",
                status=status,
                ms=round((clock.monotonic() - began) * 1000),
            )

    def _host_is_ours(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and self._site.is_ours(hosts[0].decode("latin-1"))

    def _strict(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        there = {name.lower() for name, _ in headers}
        added = [*STRICT, (b"date", formatdate(self._site.house.clock.now(), usegmt=True).encode())]
        if b"cache-control" not in there:
            added.append((b"cache-control", b"no-store"))
        if b"content-security-policy" not in there:
            added.append((b"content-security-policy", NOTHING))
        return [*headers, *added]
