"""A demo in a process of its own, for tests that drive it from outside as clients do."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pyotp

COMMAND = (sys.executable, "-m", "mssmail.cli.main")
READY = "ready\n"


def environment() -> dict[str, str]:
    """This process's, without settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MSSMAIL_")}


class DemoProcess:
    """A running demo; a context manager that stops it."""

    def __init__(self, data: Path, *arguments: str) -> None:
        """Start it on ports that the system chooses, and wait until it says that it is ready."""
        self.data = data
        self._errors = data.with_name(data.name + ".err")
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, "demo", "--data", str(data), "--port-base", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(),
            )
        assert self.process.stdout is not None
        self.told: list[str] = []
        for line in self.process.stdout:
            self.told.append(line)
            if line == READY:
                break
        else:
            raise AssertionError(f"the demo ended with {self.process.wait()}: {self.errors()}")
        self.description: dict[str, Any] = json.loads((data / "demo.json").read_text())
        self._passwords: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """End it by a signal; its exit status, and the seconds that took. Nothing where it has ended."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status, time.monotonic() - began

    @property
    def host(self) -> str:
        return str(self.description["host"])

    def port(self, name: str) -> int:
        return int(self.description["ports"][name])

    def account(self, local: str) -> dict[str, str]:
        """An account by the part of its address before the @."""
        accounts: list[dict[str, str]] = self.description["accounts"]
        return next(a for a in accounts if a["address"].split("@")[0] == local)

    def password(self, local: str) -> str:
        """The password and, straight after it, a code; the same again within the grant that it opened."""
        if local not in self._passwords:
            account = self.account(local)
            self._passwords[local] = account["password"] + pyotp.TOTP(account["totp_secret"]).now()
        return self._passwords[local]

    def tls(self, local: str | None = None) -> ssl.SSLContext:
        """A client's context that trusts the demo's CA, and shows that account's certificate."""
        context = ssl.create_default_context(cafile=self.description["ca"])
        if local is not None:
            account = self.account(local)
            context.load_cert_chain(account["cert"], account["key"])
        return context


def message(sender: str, recipient: str, subject: str, body: str = "Bonjour,\r\n") -> bytes:
    """A message with the fields it must have, lines ending in CR LF."""
    head = f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
    fixed = "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <" + subject.replace(" ", ".") + "@test.example>\r\n"
    return (head + fixed + "\r\n" + body).encode()
