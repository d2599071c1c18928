"""The device flow: a device waits, its user enters the code in a browser and decides (RFC 8628)."""

import httpx
import pytest

from mssmail.flow import devices
from mssmail.settings.units import Seconds
from tests.servers.web.portal import MAIL, RESOURCE, Portal, hidden_fields, said

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def begin(browser: httpx.AsyncClient, **more: str) -> dict[str, str]:
    sent = await browser.post("/oauth/device_authorization", data={"client_id": MAIL.client_id, **more})
    assert sent.status_code == 200, sent.text
    content: dict[str, str] = sent.json()
    return content


async def poll(portal: Portal, browser: httpx.AsyncClient, begun: dict[str, str], **more: str) -> httpx.Response:
    portal.town.clock.advance(6)
    fields = {"grant_type": GRANT, "device_code": begun["device_code"], "client_id": MAIL.client_id, **more}
    return await browser.post("/oauth/token", data=fields)


async def enter(claire: httpx.AsyncClient, code: str) -> httpx.Response:
    page = await claire.get("/device")
    return await claire.post("/device", data={**hidden_fields(page.text, "/device"), "user_code": code})


async def decide(claire: httpx.AsyncClient, code: str, decision: str) -> httpx.Response:
    shown = await enter(claire, code)
    assert shown.status_code == 200, shown.text
    return await claire.post("/device", data={**hidden_fields(shown.text, "/device"), "decision": decision})


async def test_let_in(portal: Portal, browser: httpx.AsyncClient, claire: httpx.AsyncClient) -> None:
    """A device polls until its user has let it in, then gets tokens, once."""
    begun = await begin(browser, scope="imap")
    assert begun["verification_uri"] == f"{portal.address}/device" and int(begun["interval"]) == 5
    assert said(await poll(portal, browser, begun)) == (400, "authorization_pending")
    linked = await claire.get(begun["verification_uri_complete"])
    assert f'value="{begun["user_code"]}"' in linked.text
    consent = await enter(claire, begun["user_code"].lower().replace("-", " "))
    assert "Courrier &amp; Cie" in consent.text and "lire, classer" in consent.text and "envoyer" not in consent.text
    assert said(await poll(portal, browser, begun)) == (400, "authorization_pending")
    assert (await decide(claire, begun["user_code"], "allow")).status_code == 200
    issued = await poll(portal, browser, begun)
    assert issued.status_code == 200 and issued.json()["scope"] == "imap"
    assert (await portal.introspect(claire, issued.json()["access_token"]))["active"]
    assert said(await poll(portal, browser, begun)) == (400, "invalid_grant")
    assert (await portal.refresh(browser, issued.json()["refresh_token"])).status_code == 200


async def test_denied(portal: Portal, browser: httpx.AsyncClient, claire: httpx.AsyncClient) -> None:
    """A device that its user denies hears so, and the code is used up."""
    begun = await begin(browser)
    await decide(claire, begun["user_code"], "deny")
    assert said(await poll(portal, browser, begun)) == (400, "access_denied")
    assert (await enter(claire, begun["user_code"])).status_code == 400


async def test_too_fast(portal: Portal, browser: httpx.AsyncClient) -> None:
    """A device that polls too often is told to slow down, by five seconds each time."""
    begun = await begin(browser)
    fields = {"grant_type": GRANT, "device_code": begun["device_code"], "client_id": MAIL.client_id}
    told = []
    for wait_s in (0, 0, 6, 15, 10):
        portal.town.clock.advance(wait_s)
        told.append(said(await browser.post("/oauth/token", data=fields))[1])
    assert told == ["authorization_pending", "slow_down", "slow_down", "authorization_pending", "slow_down"]


async def test_expires(portal: Portal, browser: httpx.AsyncClient, claire: httpx.AsyncClient) -> None:
    """Past its time a device hears so, and its user can't let it in."""
    begun = await begin(browser)
    portal.town.clock.advance(600)
    assert (await enter(claire, begun["user_code"])).status_code in (303, 400)
    assert said(await poll(portal, browser, begun)) == (400, "expired_token")


@pytest.mark.parametrize("code", ["", "nonsense", "mssdc_" + "A" * 43, "x" * 5000])
async def test_unknown_device(portal: Portal, browser: httpx.AsyncClient, code: str) -> None:
    """What is no device code gives nothing."""
    status, error = said(await poll(portal, browser, {"device_code": code}))
    assert (status, error) == (400, "invalid_grant" if code else "invalid_request")


async def test_another_program(portal: Portal, browser: httpx.AsyncClient, claire: httpx.AsyncClient) -> None:
    """Another program gets nothing by a device code."""
    begun = await begin(browser)
    await decide(claire, begun["user_code"], "allow")
    other = {"client_id": RESOURCE.client_id, "client_secret": portal.secret.reveal()}
    assert said(await poll(portal, browser, begun, **other)) == (400, "invalid_grant")
    assert (await poll(portal, browser, begun)).status_code == 200


async def test_guessing(portal: Portal, browser: httpx.AsyncClient, claire: httpx.AsyncClient) -> None:
    """Whoever tries codes is locked out after ten, also from the right one."""
    portal.change(server={"loopback_unlimited": False})
    begun = await begin(browser)
    tried = [(await enter(claire, "BBBB-BBBB")).status_code for _ in range(11)]
    assert tried == [400] * 10 + [429]
    assert (await enter(claire, begun["user_code"])).status_code == 429


async def test_sign_in_first(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Who isn't signed in is sent to sign in, and comes back with the code."""
    begun = await begin(browser)
    sent = await browser.get(begun["verification_uri_complete"])
    assert sent.status_code == 303
    entered = await portal.sign_in(browser, after="")
    assert entered.status_code == 303
    page = await browser.get(sent.headers["location"])
    assert page.headers["location"] == f"/device?user_code={begun['user_code']}"


async def test_too_many(portal: Portal, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many devices may wait and no more, and one address may begin only so many a minute."""
    monkeypatch.setattr(devices, "MAX_WAITING", 3)
    fields = {"client_id": MAIL.client_id}
    sent = [await browser.post("/oauth/device_authorization", data=fields) for _ in range(4)]
    assert [s.status_code for s in sent] == [200, 200, 200, 503]
    portal.change(server={"loopback_unlimited": False}, oauth={"device_lifetime": Seconds(60)})
    portal.town.clock.advance(1200)
    sent = [await browser.post("/oauth/device_authorization", data=fields) for _ in range(31)]
    assert sent[0].status_code == 200 and said(sent[-1]) == (429, "slow_down")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"scope": "imap"}, (401, "invalid_client")),
        ({"client_id": "nobody"}, (401, "invalid_client")),
        ({"client_id": "mail", "scope": "admin"}, (400, "invalid_scope")),
    ],
)
async def test_errors(browser: httpx.AsyncClient, fields: dict[str, str], expected: tuple[int, str]) -> None:
    """Each error by its code (RFC 8628 §3.2)."""
    assert said(await browser.post("/oauth/device_authorization", data=fields)) == expected
