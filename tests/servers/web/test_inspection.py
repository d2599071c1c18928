"""What the authorization server tells of tokens and of itself, gives up, and lets register."""

import httpx
import pytest

from tests.servers.web.portal import MAIL, RESOURCE, Portal, said
from tests.support.town import CLAIRE, address


async def test_introspected(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A confidential program learns whose a token is, what for, and until when (RFC 7662 §2.2)."""
    issued = (await portal.token(claire, code=await portal.code(claire, scope="smtp"))).json()
    told = await portal.introspect(claire, issued["access_token"])
    assert told["active"] is True and told["scope"] == "smtp" and told["client_id"] == MAIL.client_id
    assert told["username"] == str(address(CLAIRE)) and told["token_type"] == "Bearer"
    assert told["exp"] == int(portal.town.clock.now()) + 3600 and told["iss"] == portal.address
    assert (await portal.introspect(claire, issued["refresh_token"]))["active"] is True


@pytest.mark.parametrize("token", ["x", "mssat_" + "A" * 43, "a.b.c", "é", "x" * 60_000])
async def test_not_active(portal: Portal, claire: httpx.AsyncClient, token: str) -> None:
    """Of any other token it learns that it isn't active, and nothing more."""
    assert await portal.introspect(claire, token) == {"active": False}


async def test_not_active_any_more(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A token that is over, and a used refresh token, aren't active."""
    issued = (await portal.token(claire, code=await portal.code(claire))).json()
    await portal.refresh(claire, issued["refresh_token"])
    assert await portal.introspect(claire, issued["refresh_token"]) == {"active": False}
    portal.town.clock.advance(3600)
    assert await portal.introspect(claire, issued["access_token"]) == {"active": False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"token": "x"}, (401, "invalid_client")),
        ({"token": "x", "client_id": "mail"}, (401, "invalid_client")),
        ({"token": "x", "client_id": "resource"}, (401, "invalid_client")),
        ({"token": "x", "client_id": "resource", "client_secret": "wrong"}, (401, "invalid_client")),
    ],
)
async def test_introspection_for_whom(
    browser: httpx.AsyncClient, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    """Only a confidential program with its secret may ask."""
    assert said(await browser.post("/oauth/introspect", data=fields)) == expected


async def test_token_missing(portal: Portal, browser: httpx.AsyncClient) -> None:
    """A question about no token is invalid_request."""
    auth = (RESOURCE.client_id, portal.secret.reveal())
    for path in ("/oauth/introspect", "/oauth/revoke"):
        assert said(await browser.post(path, data={"a": "b"}, auth=auth)) == (400, "invalid_request")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_revoked(portal: Portal, claire: httpx.AsyncClient, which: str) -> None:
    """A program that gives either token back ends both, and the trail says who did it (RFC 7009 §2.1)."""
    issued = (await portal.token(claire, code=await portal.code(claire))).json()
    fields = {"token": issued[which], "client_id": MAIL.client_id, "token_type_hint": "nonsense"}
    sent = await claire.post("/oauth/revoke", data=fields)
    assert (sent.status_code, sent.text) == (200, "")
    assert await portal.introspect(claire, issued["access_token"]) == {"active": False}
    assert said(await portal.refresh(claire, issued["refresh_token"])) == (400, "invalid_grant")
    assert "authorization-revoked" in [kind for kind, *_ in portal.town.events()]


async def test_revoking_anothers(portal: Portal, claire: httpx.AsyncClient) -> None:
    """Another program's token stays, and so does nothing; whoever asks isn't told (RFC 7009 §2.2)."""
    issued = (await portal.token(claire, code=await portal.code(claire))).json()
    auth = (RESOURCE.client_id, portal.secret.reveal())
    for token in (issued["access_token"], "nonsense"):
        assert (await claire.post("/oauth/revoke", data={"token": token}, auth=auth)).status_code == 200
    assert (await portal.introspect(claire, issued["access_token"]))["active"]
    assert said(await claire.post("/oauth/revoke", data={"token": "x", "client_id": "nobody"})) == (
        401,
        "invalid_client",
    )


async def test_metadata(portal: Portal, browser: httpx.AsyncClient) -> None:
    """The metadata names this issuer and only what is there (RFC 8414 §3.2)."""
    told = (await browser.get("/.well-known/oauth-authorization-server")).json()
    assert told["issuer"] == portal.address and told["code_challenge_methods_supported"] == ["S256"]
    assert "registration_endpoint" not in told
    for name, value in told.items():
        if name.endswith("_endpoint"):
            assert value.startswith(portal.address + "/")
            path = value.removeprefix(portal.address)
            assert (await browser.request("OPTIONS", path)).status_code == 405, path
    assert (await browser.get("/.well-known/openid-configuration")).status_code == 404


async def test_address_setting(portal: Portal, browser: httpx.AsyncClient) -> None:
    """The issuer is the address that the settings name, whatever the server is called by a peer."""
    portal.change(web={"address": "https://mail.example:8443"})
    told = (await browser.get("/.well-known/oauth-authorization-server")).json()
    assert told["issuer"] == "https://mail.example:8443"
    assert told["token_endpoint"] == "https://mail.example:8443/oauth/token"
    named = await browser.get("/sign-in", headers={"host": "mail.example"})
    assert named.status_code == 200


# --- registration ---


async def test_registration_off(portal: Portal, browser: httpx.AsyncClient) -> None:
    """Programs don't register themselves unless the operator lets them."""
    sent = await browser.post("/oauth/register", json={"redirect_uris": ["http://127.0.0.1/"]})
    assert said(sent) == (403, "access_denied")
    assert len(await portal.web.site.clients.list()) == 2


async def test_registration(portal: Portal, claire: httpx.AsyncClient) -> None:
    """A program that registered itself serves like another, and the consent page says that nobody vouches for it."""
    portal.change(oauth={"registration": True})
    told = (await claire.get("/.well-known/oauth-authorization-server")).json()
    asked = {"redirect_uris": ["http://127.0.0.1/"], "client_name": "<b>Mien</b>", "contacts": ["a@b.example"]}
    sent = await claire.post(told["registration_endpoint"], json=asked)
    assert sent.status_code == 201 and sent.json()["token_endpoint_auth_method"] == "none"
    client_id = sent.json()["client_id"]
    shown = await claire.get("/oauth/authorize", params=portal.request(client_id=client_id))
    assert "&lt;b&gt;Mien" in shown.text and "s&#39;est enregistré lui-même" in shown.text
    code = await portal.code(claire, client_id=client_id)
    assert (await portal.token(claire, code=code, client_id=client_id)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"redirect_uris": ["http://evil.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://a.example/"}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a.example/"] * 11}, "invalid_redirect_uri"),
        ({"client_name": 1}, "invalid_client_metadata"),
        ({"client_name": "x" * 100}, "invalid_client_metadata"),
        ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ([], "invalid_client_metadata"),
    ],
)
async def test_registration_refused(portal: Portal, browser: httpx.AsyncClient, asked: object, error: str) -> None:
    """Each fault by its code (RFC 7591 §3.2.2)."""
    portal.change(oauth={"registration": True})
    assert said(await browser.post("/oauth/register", json=asked)) == (400, error)


async def test_registration_not_json(portal: Portal, browser: httpx.AsyncClient) -> None:
    """What is no JSON object is refused, however deep or large."""
    portal.change(oauth={"registration": True})
    kind = {"content-type": "application/json"}
    for body in (b"", b"{", b"[" * 30_000, b"\xff", b'{"a":' * 10_000):
        assert said(await browser.post("/oauth/register", content=body, headers=kind))[0] == 400
    assert said(await browser.post("/oauth/register", data={"a": "b"})) == (400, "invalid_client_metadata")
