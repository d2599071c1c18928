"""A person lets a program in on the pages of a running demo: by authorization code with PKCE, and by device flow.

Reads the pages as a browser does, and sends what their forms hold.
"""

import base64
import hashlib
import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

PROGRAM = "mail-client"
REDIRECT = "http://127.0.0.1:4711/"
VERIFIER = "dBjftJeZ4CVP-mBgSEQbcS1a-0A9w0sRwEwCNX0gSsY"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def hidden(page: str, action: str) -> dict[str, str]:
    """Names and values of the hidden fields of the form with that action."""
    form = next(f for f in re.findall(r"<form.*?</form>", page, re.S) if f'action="{action}"' in f)
    return dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))


class Browser:
    """A person's browser; shows the certificate of its TLS context, if that has one. Close it, or use it in `with`."""

    def __init__(self, site: str, context: ssl.SSLContext) -> None:
        # each request on a connection of its own: any worker of the demo may get it
        self._pages = httpx.Client(base_url=site, verify=context, headers={"connection": "close"}, timeout=20)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._pages.close()

    def sign_in(self) -> None:
        """By the certificate."""
        self._send("/sign-in", "/sign-in/certificate", {}, 303)

    def sign_in_by_password(self, address: str, password: str, code: str) -> None:
        self._send("/sign-in", "/sign-in", {"address": address, "password": password, "code": code}, 303)

    def _send(self, page: str, action: str, fields: Mapping[str, str], status: int) -> httpx.Response:
        """Show a page and send a form of it."""
        shown = self._pages.get(page)
        sent = self._pages.post(action, data={**hidden(shown.text, action), **fields})
        assert sent.status_code == status, sent.text
        return sent

    def tokens(self) -> dict[str, Any]:
        """Consent, and what the program gets for the code (RFC 6749 §4.1, RFC 7636)."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": PROGRAM,
            "redirect_uri": REDIRECT,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page = str(httpx.URL("/oauth/authorize", params=asked))
        sent = self._send(page, "/oauth/authorize", {"decision": "allow"}, 303)
        code = dict(parse_qsl(urlsplit(sent.headers["location"]).query))["code"]
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        return self._exchange({**fields, "redirect_uri": REDIRECT})

    def device_tokens(self) -> dict[str, Any]:
        """Enter a device's code, consent, and what the device gets then (RFC 8628)."""
        begun = self._pages.post("/oauth/device_authorization", data={"client_id": PROGRAM}).json()
        entered = self._send("/device", "/device", {"user_code": begun["user_code"]}, 200)
        fields = {**hidden(entered.text, "/device"), "decision": "allow"}
        assert self._pages.post("/device", data=fields).status_code == 200
        return self._exchange({"grant_type": DEVICE_GRANT, "device_code": begun["device_code"]})

    def revoke(self, token: str) -> None:
        """As the program does when its user signs out of it (RFC 7009)."""
        assert self._pages.post("/oauth/revoke", data={"token": token, "client_id": PROGRAM}).status_code == 200

    def _exchange(self, fields: Mapping[str, str]) -> dict[str, Any]:
        given = self._pages.post("/oauth/token", data={**fields, "client_id": PROGRAM})
        assert given.status_code == 200, given.text
        content: dict[str, Any] = given.json()
        return content
