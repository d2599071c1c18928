"""The web server over real sockets and TLS on a real house with people in it, and browsers and programs to call it."""

import asyncio
import base64
import hashlib
import html
import re
import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from mssmail.base.secret import Secret
from mssmail.demo import people as demo
from mssmail.demo.pki import Leaf
from mssmail.flow.clients import Client, Clients
from mssmail.flow.house import House
from mssmail.servers.net.tls import server_context
from mssmail.servers.web.server import WebServer
from mssmail.settings.model import Settings, Tls
from tests.support.town import CLAIRE, PASSWORD, Town, address

VERIFIER = "dBjftJeZ4CVP-mBgSEQbcS1a-0A9w0sRwEwCNX0gSsY"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:4711/"
STATE = "état & +=%"
MAIL = Client("mail", "Courrier & Cie", ("http://127.0.0.1/", "https://mail.example/cb?x=1", "org.example.mail:/cb"))
RESOURCE = Client("resource", "Archive", ("https://archive.example/cb",), confidential=True)
PATIENCE_S = 20.0


class Portal:
    """A town with a web server. `open` it, `close` it."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder)
        self.secret = Secret("")
        """Of RESOURCE."""

    async def open(self, **web: Any) -> "Portal":
        town = self.town
        await town.settle_in()
        self.leaf = town.pki.server(("localhost", "127.0.0.1"))
        house = town.house
        settings = replace(
            house.settings,
            tls=Tls(self.leaf.cert, self.leaf.key),
            web=replace(house.settings.web, **web),
        )
        house.renew(settings)
        self.server_context = server_context(settings)
        self._placeholder = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        self.port: int = self._placeholder.sockets[0].getsockname()[1]
        self._placeholder.close()
        self.web = WebServer(house, town.login, town.standing, port=self.port)
        self._listener = await asyncio.get_running_loop().create_server(
            self.web.factory, "127.0.0.1", self.port, ssl=self.server_context
        )
        clients = Clients(house, "root")
        await clients.add(MAIL)
        secret = await clients.add(RESOURCE)
        assert secret is not None
        self.secret = secret
        return self

    async def close(self) -> None:
        self._listener.close()
        await self.web.close(1.0)
        self.town.close()

    @property
    def house(self) -> House:
        return self.town.house

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    def change(self, **sections: Mapping[str, Any]) -> None:
        """Other values of settings, as `oauth={"registration": True}`."""
        settings: Settings = self.house.settings
        self.house.renew(
            replace(settings, **{name: replace(getattr(settings, name), **dict(of)) for name, of in sections.items()})
        )

    def tls(self, leaf: Leaf | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.town.pki.anchors.read_text())
        if leaf is not None:
            context.load_cert_chain(leaf.cert, leaf.key)
        return context

    def card(self, local: str = CLAIRE) -> Leaf:
        """The certificate of a demo account's holder."""
        account = next(a for a in demo.ACCOUNTS if a.address == str(address(local)))
        person = account.holder
        if person is None:
            assert account.structure is not None
            return self.town.pki.organisation(
                account.common_name, account.structure.structure_id, account.structure.name, "Paris (75)"
            )
        return self.town.pki.person(person.national_id, person.surname, person.given_name, person.title)

    def browser(self, local: str | None = None, **more: Any) -> httpx.AsyncClient:
        """Keeps cookies, follows nothing; with `local` it shows that account's certificate."""
        context = self.tls(None if local is None else self.card(local))
        return httpx.AsyncClient(base_url=self.address, verify=context, timeout=PATIENCE_S, **more)

    # --- what people do ---

    async def sign_in(
        self, browser: httpx.AsyncClient, local: str = CLAIRE, *, after: str = "", password: str = PASSWORD
    ) -> httpx.Response:
        """By password and a code that nobody used."""
        self.town.clock.advance(30)
        fields = {"address": str(address(local)), "password": password, "code": self.town.code(local)}
        return await self.post(browser, "/sign-in", fields, page=f"/sign-in?next={after}")

    async def sign_in_by_certificate(self, browser: httpx.AsyncClient, *, after: str = "") -> httpx.Response:
        return await self.post(browser, "/sign-in/certificate", {}, page=f"/sign-in?next={after}")

    async def post(
        self, browser: httpx.AsyncClient, path: str, fields: Mapping[str, str], *, page: str
    ) -> httpx.Response:
        """Show a page, then send a form of it with these fields."""
        shown = await browser.get(page)
        hidden = hidden_fields(shown.text, path)
        return await browser.post(path, data={**hidden, **fields})

    def request(self, **changed: str | None) -> dict[str, str]:
        """An authorization request's parameters; None leaves one out."""
        plain: dict[str, str | None] = {
            "response_type": "code",
            "client_id": MAIL.client_id,
            "redirect_uri": REDIRECT,
            "scope": "imap smtp",
            "state": STATE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**plain, **changed}.items() if value is not None}

    async def decide(
        self, browser: httpx.AsyncClient, decision: str = "allow", **changed: str | None
    ) -> httpx.Response:
        """Ask for consent as a signed-in user, and decide."""
        shown = await browser.get("/oauth/authorize", params=self.request(**changed))
        assert shown.status_code == 200, shown.text
        hidden = hidden_fields(shown.text, "/oauth/authorize")
        return await browser.post("/oauth/authorize", data={**hidden, "decision": decision})

    async def code(self, browser: httpx.AsyncClient, **changed: str | None) -> str:
        return answer(await self.decide(browser, "allow", **changed))["code"]

    async def token(self, browser: httpx.AsyncClient, **fields: str | None) -> httpx.Response:
        """Ask the token endpoint; by default for a code's tokens."""
        plain: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": MAIL.client_id,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        sent = {name: value for name, value in {**plain, **fields}.items() if value is not None}
        return await browser.post("/oauth/token", data=sent)

    async def refresh(self, browser: httpx.AsyncClient, token: str, **fields: str | None) -> httpx.Response:
        more = {"redirect_uri": None, "code_verifier": None, **fields}
        return await self.token(browser, grant_type="refresh_token", refresh_token=token, **more)

    async def introspect(self, browser: httpx.AsyncClient, token: str) -> dict[str, Any]:
        said = await browser.post(
            "/oauth/introspect", data={"token": token}, auth=(RESOURCE.client_id, self.secret.reveal())
        )
        assert said.status_code == 200
        content: dict[str, Any] = said.json()
        return content


def hidden_fields(text: str, action: str) -> dict[str, str]:
    """Names and values of the hidden fields of the form with that action."""
    form = next(f for f in re.findall(r"<form.*?</form>", text, re.S) if f'action="{action}"' in f)
    pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    return {html.unescape(name): html.unescape(value) for name, value in pairs}


def answer(response: httpx.Response) -> dict[str, str]:
    """The parameters with which a browser is sent back to a program."""
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def said(response: httpx.Response) -> tuple[int, str | None]:
    """Status and error code of an answer in JSON."""
    return response.status_code, response.json().get("error")
