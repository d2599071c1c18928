"""Pages out of templates: every value escaped, every text from `words`, nothing loaded from elsewhere, no script."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse, RedirectResponse

from mssmail.base.clock import utc
from mssmail.servers.web import words
from mssmail.servers.web.visitor import TOKEN_FIELD, Visitor
from mssmail.servers.web.words import Language

if TYPE_CHECKING:
    from jinja2 import Environment

HERE: Final = Path(__file__).parent
STYLE: Final = (HERE / "static" / "style.css").read_bytes()
ICON: Final = (HERE / "static" / "icon.svg").read_bytes()
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action {}; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy; a browser holds `form-action` against the redirect that answers a form, too."""


@cache
def _environment() -> "Environment":
    """Made with the first page: a worker that never shows one spends no memory on it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["moment"] = moment
    return made


def moment(at: float) -> str:
    """A time in UTC, to the minute."""
    return utc(at).strftime("%Y-%m-%d %H:%M UTC")


def page(
    visitor: Visitor,
    template: str,
    status: int = 200,
    *,
    form_action: str = "'self'",
    **values: object,
) -> HTMLResponse:
    """Render a template; `form_action`: the sources that its forms may lead to."""
    language = visitor.language

    def say(key: str, **more: object) -> str:
        said = words.text(key, language)
        return said.format(**more) if more else said

    content = (
        _environment()
        .get_template(template)
        .render(
            say=say,
            language=language.value,
            other=_other(language).value,
            switch=_switch(visitor),
            principal=visitor.principal,
            form_token=visitor.form_token,
            token_field=TOKEN_FIELD,
            **values,
        )
    )
    response = HTMLResponse(content, status)
    response.headers["content-security-policy"] = POLICY.format(form_action)
    visitor.leave_marks(response)
    return response


def message(visitor: Visitor, text: str, status: int, *, title: str = "failed") -> HTMLResponse:
    """A page that says one thing."""
    return page(visitor, "message.html", status, title=words.text(title, visitor.language), text=text)


def onward(visitor: Visitor, address: str) -> RedirectResponse:
    """Send the browser on: by 303, so that no form travels with it, and with what it is to keep."""
    response = RedirectResponse(address, 303)
    visitor.leave_marks(response)
    return response


def _other(language: Language) -> Language:
    return Language.ENGLISH if language is Language.FRENCH else Language.FRENCH


def _switch(visitor: Visitor) -> str:
    """The address of this page in the other language; of a page that answered a form, the page to begin again."""
    request = visitor.request
    query: list[tuple[str, Any]] = []
    if request.method in ("GET", "HEAD"):
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    path = "/" + quote(request.scope["path"].lstrip("/\\"))  # never `//elsewhere`
    return f"{path}?{urlencode([*query, ('lang', _other(visitor.language).value)])}"


def with_query(address: str, parameters: Mapping[str, str]) -> str:
    """An address with parameters added to its query; empty ones are left out."""
    added = urlencode({name: value for name, value in parameters.items() if value})
    return f"{address}{'&' if '?' in address else '?'}{added}" if added else address
