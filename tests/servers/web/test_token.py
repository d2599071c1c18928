"""The token endpoint: codes and refresh tokens become tokens, once, for whom they are; every error by its code."""

import httpx
import pytest

from mssmail.base.secret import Secret
from mssmail.identity.tokens import Tokens
from tests.servers.web.portal import MAIL, REDIRECT, RESOURCE, VERIFIER, Portal, answer, said
from tests.support.town import CLAIRE, address


async def works(portal: Portal, token: str) -> bool:
    """Whether an access token would be taken by the mail protocols."""
    return Tokens(portal.house.keys).judge(portal.town.home.tx(), Secret(token)) is not None


async def test_code_to_tokens(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A code with its verifier gives a pair of tokens; the answer is kept by no cache (RFC 6749 §5.1)."""
    sent = await portal.token(claire, code=await portal.code(claire))
    assert sent.status_code == 200, sent.text
    assert sent.headers["cache-control"] == "no-store" and sent.headers["content-type"] == "application/json"
    issued = sent.json()
    assert (issued["token_type"], issued["expires_in"], issued["scope"]) == ("Bearer", 3600, "imap smtp")
    assert await works(portal, issued["access_token"])
    assert not await works(portal, issued["refresh_token"])


async def test_rotation_and_reuse(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Each refresh token gives the next; one that comes twice ends all that came of the consent, and is traced."""
    first = (await portal.token(claire, code=await portal.code(claire))).json()
    second = (await portal.refresh(claire, first["refresh_token"])).json()
    third = (await portal.refresh(claire, second["refresh_token"])).json()
    assert await works(portal, third["access_token"])
    assert said(await portal.refresh(claire, first["refresh_token"])) == (400, "invalid_grant")
    assert ("tokens-refused", "replayed") in [(kind, outcome) for kind, _, outcome, _ in portal.town.events()]
    for issued in (first, second, third):
        assert not await works(portal, issued["access_token"])
    assert said(await portal.refresh(claire, third["refresh_token"])) == (400, "invalid_grant")


async def test_code_replayed(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A code that comes twice gives nothing and takes back what it gave."""
    code = await portal.code(claire)
    issued = (await portal.token(claire, code=code)).json()
    assert said(await portal.token(claire, code=code)) == (400, "invalid_grant")
    assert not await works(portal, issued["access_token"])


async def test_code_too_late(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A code serves for a minute."""
    code = await portal.code(claire)
    portal.town.clock.advance(60)
    assert said(await portal.token(claire, code=code)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"grant_type": None}, (400, "invalid_request")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"grant_type": "client_credentials"}, (400, "unsupported_grant_type")),
        ({"code": None}, (400, "invalid_request")),
        ({"code": "nonsense"}, (400, "invalid_grant")),
        ({"code": "mssac_" + "A" * 43}, (400, "invalid_grant")),
        ({"code_verifier": None}, (400, "invalid_request")),
        ({"code_verifier": "short"}, (400, "invalid_request")),
        ({"code_verifier": "é" * 43}, (400, "invalid_request")),
        ({"code_verifier": "x" * 129}, (400, "invalid_request")),
        ({"code_verifier": "x" * 43}, (400, "invalid_grant")),
        ({"redirect_uri": None}, (400, "invalid_grant")),
        ({"redirect_uri": "http://127.0.0.1:4712/"}, (400, "invalid_grant")),
        ({"client_id": None}, (401, "invalid_client")),
        ({"client_id": "nobody"}, (401, "invalid_client")),
        ({"client_id": "\0"}, (401, "invalid_client")),
        ({"client_secret": "anything"}, (401, "invalid_client")),
        ({"client_id": "resource"}, (401, "invalid_client")),
        ({"client_id": "resource", "client_secret": "wrong"}, (401, "invalid_client")),
        ({"grant_type": "refresh_token"}, (400, "invalid_request")),
        ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, (400, "invalid_grant")),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, (400, "invalid_request")),
    ],
)
async def test_errors(
    portal: Portal, claire: httpx.AsyncClient, changed: dict[str, str | None], expected: tuple[int, str]
) -> None:
    """Each error by its code (RFC 6749 §5.2), and no token with it."""
    code = await portal.code(claire)
    sent = await portal.token(claire, **{"code": code, **changed})
    assert said(sent) == expected
    assert "access_token" not in sent.json()
    if expected[0] == 401:
        assert sent.headers["www-authenticate"].startswith("Basic ")


async def test_wrong_verifier_once(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Whoever brings a stolen code with a wrong verifier has used it up: nobody may try verifiers."""
    code = await portal.code(claire)
    assert said(await portal.token(claire, code=code, code_verifier="x" * 43)) == (400, "invalid_grant")
    assert said(await portal.token(claire, code=code)) == (400, "invalid_grant")


async def test_not_a_form(portal: Portal, browser: httpx.AsyncClient) -> None:
    """What is no form, or a form with a field twice, is invalid_request."""
    assert said(await browser.post("/oauth/token", json={"grant_type": "x"})) == (400, "invalid_request")
    assert said(await browser.post("/oauth/token")) == (400, "invalid_request")
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"a=1&a=2", b"a=%ff", b"\xff=1", b"&".join(b"n%d=1" % n for n in range(100))):
        assert said(await browser.post("/oauth/token", content=body, headers=form)) == (400, "invalid_request")


async def test_confidential(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A confidential program shows its secret by Basic or in the body, never both; it needs PKCE all the same."""
    basic = httpx.BasicAuth(RESOURCE.client_id, portal.secret.reveal())
    redirect = RESOURCE.redirects[0]
    for auth, secret in ((basic, None), (None, portal.secret.reveal())):
        code = await portal.code(claire, client_id=RESOURCE.client_id, redirect_uri=redirect)
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": redirect}
        if secret is not None:
            fields |= {"client_id": RESOURCE.client_id, "client_secret": secret}
        sent = await claire.post("/oauth/token", data=fields, **({"auth": auth} if auth else {}))  # type: ignore[arg-type]
        assert sent.status_code == 200, sent.text
    both = await claire.post("/oauth/token", data={"client_secret": "x", "grant_type": "refresh_token"}, auth=basic)
    assert said(both) == (400, "invalid_request")
    for header in ("Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer x", "Basic " + "A" * 4000):
        sent = await claire.post("/oauth/token", data={"grant_type": "x"}, headers={"authorization": header})
        assert said(sent) == (401, "invalid_client")


async def test_redirect_left_out(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A program with one redirect may leave it out, and then leaves it out at both endpoints (RFC 6749 §4.1.3)."""
    basic = httpx.BasicAuth(RESOURCE.client_id, portal.secret.reveal())
    back = answer(await portal.decide(claire, client_id=RESOURCE.client_id, redirect_uri=None))
    fields = {"grant_type": "authorization_code", "code": back["code"], "code_verifier": VERIFIER}
    assert (await claire.post("/oauth/token", data=fields, auth=basic)).status_code == 200


async def test_another_program(portal: Portal, claire: httpx.AsyncClient) -> None:
    """One program's code and refresh token give another nothing, and serve their own afterwards."""
    other = {"client_id": RESOURCE.client_id, "client_secret": portal.secret.reveal()}
    code = await portal.code(claire)
    assert said(await portal.token(claire, code=code, **other)) == (400, "invalid_grant")
    issued = (await portal.token(claire, code=code)).json()
    assert said(await portal.refresh(claire, issued["refresh_token"], **other)) == (400, "invalid_grant")
    assert (await portal.refresh(claire, issued["refresh_token"])).status_code == 200


async def test_refresh_scope(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A refresh asks for no more than was granted (RFC 6749 §6), and refusing it uses nothing up."""
    issued = (await portal.token(claire, code=await portal.code(claire, scope="imap"))).json()
    refresh = issued["refresh_token"]
    assert said(await portal.refresh(claire, refresh, scope="imap smtp")) == (400, "invalid_scope")
    assert (await portal.refresh(claire, refresh, scope="imap")).json()["scope"] == "imap"


@pytest.mark.parametrize("end", ["password", "suspension", "closing", "strike-off", "removal"])
async def test_ends(portal: Portal, claire: httpx.AsyncClient, end: str) -> None:
    """A new password, a suspension, closing, a strike-off and the program's removal end what it was given."""
    issued = (await portal.token(claire, code=await portal.code(claire))).json()
    people, box = portal.town.people, address(CLAIRE)
    match end:
        case "password":
            await people.set_password(box, Secret("autre-Tulipe8-Quai4-mauve"))
        case "suspension":
            await people.suspend(box)
        case "closing":
            await people.close(box)
        case "strike-off":
            holder = (await people.show(box)).holder
            await portal.town.load(portal.town.population.without(holder))
        case "removal":
            await portal.web.site.clients.remove(MAIL.client_id)
    refreshed = await portal.refresh(claire, issued["refresh_token"])
    assert said(refreshed) == ((401, "invalid_client") if end == "removal" else (400, "invalid_grant"))
    assert (await portal.introspect(claire, issued["access_token"])) == {"active": False}


async def test_nothing_in_trail_for_strangers(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Tries with codes that were never issued write nothing."""
    before = len(portal.town.events())
    for code in ("x", "mssac_" + "A" * 43):
        assert said(await portal.token(browser, code=code)) == (400, "invalid_grant")
        assert said(await portal.refresh(browser, code)) == (400, "invalid_grant")
    assert len(portal.town.events()) == before


def test_redirect_of_tests() -> None:
    """The redirect that these tests use is one that a program registered by another port."""
    assert MAIL.returns_to(REDIRECT) and REDIRECT not in MAIL.redirects
