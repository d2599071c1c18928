"""What the server says of a box, beside the client under test; and mail for that client.

Looks by certificate, and changes nothing.
"""

import hashlib
import imaplib
import json
import random
import re
import smtplib
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.demo_process import COMMAND, DemoProcess, environment, message

T = TypeVar("T")
SENDER = "box0030"


def until(wanted: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """Ask again and again until the answer is true; that answer. An AssertionError names what never came."""
    end = time.monotonic() + seconds
    while True:
        answer = wanted()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def text(seed: str, *, lines: int = 0, starts: tuple[str, ...] = ("", ".", "..", "é ")) -> str:
    """A body of some lines in CR LF, another for each seed, with points and letters beyond ASCII at lines' starts."""
    draw = random.Random(seed)
    count = lines or draw.randint(20, 400)
    return "".join(f"{draw.choice(starts)}{draw.randbytes(30).hex()}\r\n" for _ in range(count))


def digest(body: bytes) -> str:
    """The SHA-256 of a body, its lines ended by CR LF and nothing empty at its end, as clients keep files otherwise."""
    return hashlib.sha256(b"\r\n".join(body.rstrip(b"\r\n").splitlines())).hexdigest()


def digests(bodies: dict[str, str]) -> dict[str, str]:
    """The same of many, by subject."""
    return {subject: digest(body.encode()) for subject, body in bodies.items()}


def parted(kept: bytes) -> tuple[str, str]:
    """The subject of a message that a client keeps, and its body's digest."""
    head, _, body = kept.replace(b"\r\n", b"\n").partition(b"\n\n")
    subject = re.search(rb"^Subject: (.*)$", head, re.MULTILINE)
    assert subject is not None
    return subject[1].decode(), digest(body)


def deliver(demo: DemoProcess, local: str, bodies: dict[str, str]) -> None:
    """Send to that box, a message for each subject, from an account that no client here uses."""
    sender, recipient = demo.account(SENDER)["address"], demo.account(local)["address"]
    with smtplib.SMTP_SSL(demo.host, demo.port("submissions"), context=demo.tls(SENDER)) as smtp:
        for subject, body in bodies.items():
            assert smtp.sendmail(sender, [recipient], message(sender, recipient, subject, body)) == {}


class Box:
    """A box as the server shows it."""

    def __init__(self, demo: DemoProcess, local: str) -> None:
        self._demo, self._local = demo, local
        self._address = demo.account(local)["address"]

    def find(self, folder: str, subject: str) -> tuple[bytes, bytes] | None:
        """The flags and the body of the newest message with that subject, or None."""
        tls = self._demo.tls(self._local)
        with imaplib.IMAP4_SSL(self._demo.host, self._demo.port("imaps"), ssl_context=tls) as imap:
            imap.authenticate("EXTERNAL", lambda _: b"")
            imap.select(folder, readonly=True)
            _, (found,) = imap.search(None, "SUBJECT", f'"{subject}"')
            if not found:
                return None
            _, parts = imap.fetch(found.split()[-1].decode(), "(FLAGS BODY.PEEK[TEXT])")
        # an answer with flags alone may stand before: a client has just set one
        (whole,) = (part for part in parts if isinstance(part, tuple))
        return b" ".join(part if isinstance(part, bytes) else part[0] for part in parts if part), whole[1]

    def has_flag(self, subject: str, flag: bytes) -> bool:
        """True where the message is in INBOX with that flag."""
        found = self.find("INBOX", subject)
        return found is not None and flag in found[0]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the trail holds of that kind about the account."""
        command = [*COMMAND, "--config", str(self._demo.data / "mssmail.toml"), "audit", "search", "--json"]
        command += ["--account", self._address, "--kind", kind]
        ran = subprocess.run(command, capture_output=True, check=True, env=environment())
        return [json.loads(line)["details"] for line in ran.stdout.splitlines()]
