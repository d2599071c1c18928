"""Chromium, as a person uses it: enrols by a link, signs in, lets a program in, looks at the account, in two languages.

Pictures stay in var/interop. The browser must have nothing to complain of: no policy broken, no file failed.
"""

import hashlib
import json
import re
import shutil
import socket
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

import pyotp
import pytest

from tests.demo_process import COMMAND, DemoProcess, environment
from tests.interop.chromium import Chromium

NEEDED = ("chromium", "chromedriver", "certutil")
PICTURES = Path(__file__).parents[2] / "var" / "interop"
PASSWORD = "nouvelle-Loutre9-Vitrail2"
VERIFIER = "dBjftJeZ4CVP-mBgSEQbcS1a-0A9w0sRwEwCNX0gSsY"
LOCAL = "box0021"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)}"),
]


@pytest.fixture
def browser(tmp_path: Path, demo: DemoProcess) -> Iterator[Chromium]:
    with Chromium(tmp_path, demo.data / "pki" / "root.pem") as running:
        yield running


class Loopback:
    """The port that a native program listens at for its user to come back; one request."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self.asked = ""
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            self.asked = connection.recv(8192).split()[1].decode()
            page = b"<title>x</title>back in the program"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n" % len(page))
            connection.sendall(b"Connection: close\r\n\r\n" + page)

    def parameters(self) -> dict[str, str]:
        self._thread.join(20)
        self._socket.close()
        return dict(parse_qsl(urlsplit(self.asked).query))


def enrolment(demo: DemoProcess, address: str) -> str:
    command = [*COMMAND, "--config", str(demo.data / "mssmail.toml"), "account", "enrol", address, "--json"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    return str(json.loads(made.stdout)["link"])


def test_a_day(browser: Chromium, demo: DemoProcess) -> None:
    """Enrolment, sign-in, consent, the way back to the program, tokens, and the account page."""
    address = demo.account(LOCAL)["address"]
    site = f"https://localhost:{demo.port('https')}"
    browser.open(enrolment(demo, address))
    browser.wait("Scannez ce code QR")
    browser.keep(PICTURES / "chromium-enrolment.png")
    secret = re.sub(r"\s", "", re.findall(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", browser.text)[0])
    totp = pyotp.TOTP(secret)
    browser.type("#password", PASSWORD)
    browser.type("#repeated", PASSWORD)
    browser.type("#first-code", totp.now())
    browser.click("main button")
    browser.wait("Codes de secours")
    browser.keep(PICTURES / "chromium-recovery.png")
    recovery = re.findall(r"[A-Z]{4}-[A-Z]{5}-[A-Z]{5}", browser.text)
    assert len(recovery) == 10

    program = Loopback()
    asked = {
        "response_type": "code",
        "client_id": "mail-client",
        "redirect_uri": program.address,
        "state": "xyz",
        "code_challenge": urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "login_hint": address,
    }
    browser.open(f"{site}/oauth/authorize?{urlencode(asked)}")
    browser.wait("Pour autoriser")
    browser.keep(PICTURES / "chromium-sign-in.png")
    assert browser.attribute("#address", "value") == address
    browser.type("#password", PASSWORD)
    browser.type("#code", recovery[0])
    browser.click("form[action='/sign-in'] button")
    browser.wait("demande l'accès")
    browser.keep(PICTURES / "chromium-consent.png")
    browser.click("button[value=allow]")
    browser.wait("back in the program")
    back = program.parameters()
    assert (back["state"], back["iss"]) == ("xyz", site)
    fields = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "code_verifier": VERIFIER,
        "client_id": "mail-client",
        "redirect_uri": program.address,
    }
    with urlopen(Request(f"{site}/oauth/token", urlencode(fields).encode()), context=demo.tls()) as answer:
        assert json.load(answer)["scope"] == "imap smtp"

    browser.open(f"{site}/account")
    browser.wait("Logiciel de messagerie")
    browser.keep(PICTURES / "chromium-account.png")
    browser.click("nav a[hreflang=en]")
    browser.wait("Programs that you let in")
    browser.size(400, 900)
    browser.keep(PICTURES / "chromium-account-narrow.png")
    browser.open(f"{site}/device")
    browser.wait("Code that the device shows")
    browser.keep(PICTURES / "chromium-device.png")
    browser.click("form[action='/sign-out'] button")
    browser.wait("With password and code")
    assert [said for said in browser.complaints() if program.address not in said] == []
