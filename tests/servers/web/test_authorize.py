"""The authorization endpoint: who gets a code, and where everybody else is, or isn't, sent."""

import re
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from tests.servers.web.portal import MAIL, REDIRECT, STATE, Portal, answer, hidden_fields
from tests.support.town import CLAIRE


async def test_by_certificate(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A user who signed in by certificate lets a program in: code, state and issuer go to its redirect."""
    sent = await portal.decide(claire)
    assert sent.headers["location"].startswith(REDIRECT + "?")
    back = answer(sent)
    assert back["code"].startswith("mssac_")
    assert (back["state"], back["iss"]) == (STATE, portal.address)
    assert "error" not in back


async def test_from_the_start_by_password(portal: Portal, browser: httpx.AsyncClient) -> None:
    """A program's link leads to the sign-in, password and code lead back to its request, and that to consent."""
    first = await browser.get("/oauth/authorize", params=portal.request(login_hint="claire.martin@demo.mssante.fr"))
    assert first.status_code == 303
    page = first.headers["location"]
    assert urlsplit(page).path == "/sign-in"
    shown = await browser.get(page)
    assert "Courrier &amp; Cie" in shown.text and 'value="claire.martin@demo.mssante.fr"' in shown.text
    portal.town.clock.advance(30)
    fields = {"address": "claire.martin@demo.mssante.fr", "password": "vrai-Tulipe7-Quai3-ocre"}
    entered = await portal.post(browser, "/sign-in", {**fields, "code": portal.town.code()}, page=page)
    assert entered.status_code == 303, entered.text
    consent = await browser.get(entered.headers["location"])
    assert consent.status_code == 200 and "Courrier &amp; Cie" in consent.text
    assert "claire.martin@demo.mssante.fr" in consent.text and "lire, classer" in consent.text
    hidden = hidden_fields(consent.text, "/oauth/authorize")
    back = answer(await browser.post("/oauth/authorize", data={**hidden, "decision": "allow"}))
    assert back["state"] == STATE and back["code"]


async def test_denied(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A user who says no is sent back with access_denied, and it is in the trail."""
    back = answer(await portal.decide(claire, "deny"))
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", STATE, portal.address)
    assert portal.town.events()[-1][0] == "authorization-denied"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "!" * 43}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"state": "x" * 3000}, "invalid_request"),
    ],
)
async def test_told_to_program(
    portal: Portal, claire: httpx.AsyncClient, changed: dict[str, str | None], error: str
) -> None:
    """What is wrong with a request is told to the program, at its redirect (RFC 6749 §4.1.2.1), whoever asks."""
    async with portal.browser() as nobody:
        for one in (claire, nobody):
            sent = await one.get("/oauth/authorize", params=portal.request(**changed))
            assert sent.headers["location"].startswith(REDIRECT + "?")
            back = answer(sent)
            assert (back["error"], back["iss"]) == (error, portal.address)
            assert back.get("state") == (STATE if "state" not in changed else None)
            assert "code" not in back


async def test_repeated_parameter(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A parameter sent twice is an error (RFC 6749 §3.1): told to the program, but for those that name it."""
    twice = urlencode([*portal.request().items(), ("scope", "imap")])
    assert answer(await claire.get("/oauth/authorize", params=twice))["error"] == "invalid_request"
    for name, value in (("client_id", MAIL.client_id), ("redirect_uri", REDIRECT)):
        shown = await claire.get("/oauth/authorize", params=urlencode([*portal.request().items(), (name, value)]))
        assert shown.status_code == 400 and "location" not in shown.headers


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "x" * 5000},
        {"client_id": "mail\r\nX: y"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "//evil.example/"},
        {"redirect_uri": "http://127.0.0.1.evil.example/"},
        {"redirect_uri": "http://127.0.0.1:80@evil.example/"},
        {"redirect_uri": "http://127.0.0.1:99999/"},
        {"redirect_uri": "http://127.0.0.1:4711/other"},
        {"redirect_uri": "http://localhost:4711/"},
        {"redirect_uri": "https://127.0.0.1:4711/"},
        {"redirect_uri": "http://127.0.0.2:4711/"},
        {"redirect_uri": "http://127.0.0.1:4711/#x"},
        {"redirect_uri": "http://127.0.0.1:4711/\r\nSet-Cookie: a=b"},
        {"redirect_uri": "https://mail.example/cb"},
        {"redirect_uri": "https://mail.example/cb?x=1&y=2"},
        {"redirect_uri": "https://mail.example:444/cb?x=1"},
        {"redirect_uri": "https://MAIL.example/cb?x=1"},
        {"redirect_uri": "https://mail.example\\@evil.example/cb?x=1"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "org.example.mail:/cb/../x"},
        {"redirect_uri": "http://127.0.0.1:4711/" + "x" * 5000},
    ],
)
async def test_sent_nowhere(portal: Portal, claire: httpx.AsyncClient, changed: dict[str, str | None]) -> None:
    """Where program and redirect don't belong together, the user is told and nobody is sent anywhere."""
    shown = await claire.get("/oauth/authorize", params=portal.request(**changed))
    assert shown.status_code == 400
    assert "location" not in shown.headers and re.search(r'="[^"]*//evil', shown.text) is None


@pytest.mark.parametrize(
    ("redirect", "source"),
    [
        ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ("http://127.0.0.1/", "http://127.0.0.1"),
        ("https://mail.example/cb?x=1", "https://mail.example"),
        ("org.example.mail:/cb", "org.example.mail:"),
    ],
)
async def test_redirects_taken(portal: Portal, claire: httpx.AsyncClient, redirect: str, source: str) -> None:
    """Any port of a loopback redirect is taken (RFC 8252 §7.3), others to the letter; the page's policy lets its form
    lead there and nowhere else."""
    shown = await claire.get("/oauth/authorize", params=portal.request(redirect_uri=redirect))
    assert f"form-action 'self' {source};" in shown.headers["content-security-policy"]
    sent = await portal.decide(claire, redirect_uri=redirect)
    location = sent.headers["location"]
    assert location.startswith(redirect + ("&" if "?" in redirect else "?")) and answer(sent)["code"]


async def test_form_altered(portal: Portal, claire: httpx.AsyncClient) -> None:
    """What the decision's form carries is checked as the request was."""
    shown = await claire.get("/oauth/authorize", params=portal.request())
    hidden = hidden_fields(shown.text, "/oauth/authorize")
    sent = await claire.post(
        "/oauth/authorize", data={**hidden, "decision": "allow", "redirect_uri": "https://evil.example/"}
    )
    assert sent.status_code == 400 and "location" not in sent.headers
    sent = await claire.post("/oauth/authorize", data={**hidden, "decision": "perhaps"})
    assert sent.status_code == 400
    plain = {**hidden, "decision": "allow", "code_challenge_method": "plain"}
    assert answer(await claire.post("/oauth/authorize", data=plain))["error"] == "invalid_request"


@pytest.mark.parametrize("forged", ["", "0" * 32, "another's"])
async def test_form_forged(portal: Portal, claire: httpx.AsyncClient, forged: str) -> None:
    """A decision without this browser's own token is refused, and gives nothing."""
    shown = await claire.get("/oauth/authorize", params=portal.request())
    hidden = hidden_fields(shown.text, "/oauth/authorize")
    if forged == "another's":
        async with portal.browser(CLAIRE) as other:
            await portal.sign_in_by_certificate(other)
            page = await other.get("/oauth/authorize", params=portal.request())
            forged = hidden_fields(page.text, "/oauth/authorize")["form_token"]
    sent = await claire.post("/oauth/authorize", data={**hidden, "form_token": forged, "decision": "allow"})
    assert sent.status_code == 403 and "location" not in sent.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_form_from_elsewhere(portal: Portal, claire: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A decision that the browser says comes from elsewhere is refused, its token right or not."""
    shown = await claire.get("/oauth/authorize", params=portal.request())
    hidden = hidden_fields(shown.text, "/oauth/authorize")
    form = {**hidden, "decision": "allow"}
    assert (await claire.post("/oauth/authorize", data=form, headers=headers)).status_code == 403
    own = {"origin": portal.address, "sec-fetch-site": "same-origin"}
    assert (await claire.post("/oauth/authorize", data=form, headers=own)).status_code == 303


async def test_signed_out_meanwhile(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Who was signed out before deciding signs in again, and then sees the same request."""
    shown = await claire.get("/oauth/authorize", params=portal.request())
    hidden = hidden_fields(shown.text, "/oauth/authorize")
    portal.town.clock.advance(3600)
    sent = await claire.post("/oauth/authorize", data={**hidden, "decision": "allow"})
    assert sent.status_code == 303 and sent.headers["location"].startswith("/sign-in?next=")
    entered = await portal.post(claire, "/sign-in/certificate", {}, page=sent.headers["location"])
    consent = await claire.get(entered.headers["location"])
    assert hidden_fields(consent.text, "/oauth/authorize")["code_challenge"] == hidden["code_challenge"]


async def test_unknown_scopes_left_out(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Of a scope, what isn't known here is left out, and the token says what was granted."""
    code = await portal.code(claire, scope="openid imap offline_access")
    issued = (await portal.token(claire, code=code)).json()
    assert issued["scope"] == "imap"
