"""Chromium without a screen, driven through chromedriver by W3C WebDriver's own JSON over HTTP."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.interop.witness import until

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_TEXT = "return document.body ? document.body.innerText : ''"
"""The key under which WebDriver names an element."""


class Chromium:
    """A browser with a fresh profile that trusts a demo's CA; a context manager that ends it."""

    def __init__(self, folder: Path, ca: Path) -> None:
        self._folder = folder
        self._ca = ca

    def __enter__(self) -> Self:
        store = self._folder / ".pki" / "nssdb"
        store.mkdir(parents=True)
        subprocess.run(["certutil", "-d", f"sql:{store}", "-N", "--empty-password"], check=True)
        trust = ["certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", "demo", "-i", str(self._ca)]
        subprocess.run(trust, check=True)
        self._log = (self._folder / "chromedriver.log").open("w")
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "HOME": str(self._folder)},
        )
        assert self._driver.stdout is not None
        port = next(
            line.rpartition("port ")[2].strip(" .\n") for line in self._driver.stdout if "successfully on port" in line
        )
        self._at = f"http://127.0.0.1:{port}/session"
        options = {
            # no sandbox: the tests of a machine without users run as root
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,1200", "--lang=fr"],
            "prefs": {"intl.accept_languages": "fr,en"},
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._at += f"/{made['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            assert self._driver.stdout is not None
            self._driver.stdout.close()
            self._log.close()

    def _ask(self, method: str, path: str, content: object = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        asked = urllib.request.Request(self._at + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, address: str) -> None:
        self._ask("POST", "/url", {"url": address})

    @property
    def address(self) -> str:
        return str(self._ask("GET", "/url"))

    @property
    def text(self) -> str:
        """What a person reads on the page; asked for in one go, since the next page may be coming in."""
        return str(self._ask("POST", "/execute/sync", {"script": _TEXT, "args": []}))

    def _element(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def type(self, selector: str, text: str) -> None:
        self._ask("POST", f"/element/{self._element(selector)}/value", {"text": text})

    def attribute(self, selector: str, name: str) -> str:
        return str(self._ask("GET", f"/element/{self._element(selector)}/attribute/{name}"))

    def click(self, selector: str) -> None:
        """Click, and wait until the page that follows is there."""
        self._ask("POST", f"/element/{self._element(selector)}/click", {})

    def size(self, width: int, height: int) -> None:
        self._ask("POST", "/window/rect", {"width": width, "height": height})

    def wait(self, words: str) -> None:
        """Until the page says that."""
        until(lambda: words in self.text, f"a page with {words!r}", 20)

    def complaints(self) -> list[str]:
        """What the browser found wrong with the pages so far: a policy that was broken, a file that failed."""
        return [str(entry["message"]) for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def keep(self, file: Path) -> None:
        """Keep a picture of the page."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))
