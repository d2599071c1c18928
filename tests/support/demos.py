"""A demo in a process of its own, and small clients that drive it as users' programs do."""

import base64
import contextlib
import imaplib
import json
import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyotp
import pytest
import zstandard

START_S = 90.0
PROGRAM = Path(sys.executable).with_name("mssmail")


class Demo:
    """A running demo. `stop` or `kill` it; `start` again goes on with the same folder and ports."""

    def __init__(self, folder: Path, *options: str, config: str = "") -> None:
        self.folder = folder
        self._options = list(options)
        self._port_base = "0"
        away = folder.parent.parent if folder.parent.is_mount() else folder.parent
        self._log = away / f"{folder.name}.log"
        """Never on a file system that a test fills up."""
        if config:
            overlay = folder.parent / f"{folder.name}.overlay.toml"
            overlay.write_text(config)
            self._options += ["--config", str(overlay)]
        self.process: subprocess.Popen[str] | None = None
        self.about: dict[str, Any] = {}

    def start(self) -> "Demo":
        command = [str(PROGRAM), "demo", "--data", str(self.folder), "--port-base", self._port_base, *self._options]
        log = self._log.open("a")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, cwd=self.folder.parent
        )
        log.close()
        assert self.process.stdout is not None
        until = time.monotonic() + START_S
        for line in self.process.stdout:
            if line == "ready\n":
                break
            assert time.monotonic() < until, "the demo took too long to start"
        else:
            raise AssertionError(f"the demo ended: {self.log()[-2000:]}")
        self.about = json.loads((self.folder / "demo.json").read_text())
        return self

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """SIGKILL to the whole tree."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._close()

    def stop(self) -> float:
        """SIGTERM; how many seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        self._close()
        return time.monotonic() - began

    def _close(self) -> None:
        assert self.process is not None
        if self.process.stdout is not None:
            self.process.stdout.close()

    def run(self, *verb: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """A command on the running demo."""
        command = [str(PROGRAM), "--config", str(self.folder / "mssmail.toml"), *verb]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)

    def account(self, which: int | str) -> "Person":
        rows = self.about["accounts"]
        row = rows[which] if isinstance(which, int) else next(r for r in rows if r["address"].startswith(which))
        return Person(self, row)

    def people(self) -> list["Person"]:
        return [Person(self, row) for row in self.about["accounts"] if row["kind"] == "PER"]

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.about["ca"])


class Person:
    """An account of the demo and its ways in."""

    _codes: ClassVar[dict[str, str]] = {}

    def __init__(self, demo: Demo, row: dict[str, Any]) -> None:
        self.demo = demo
        self.address: str = row["address"]
        self.row = row

    @property
    def secret(self) -> str:
        """The password and a code: the same code for a while, as a mail program that saved it would send."""
        key = self.address + str(self.demo.folder)
        if key not in self._codes:
            self._codes[key] = pyotp.TOTP(self.row["totp_secret"]).now()
        return str(self.row["password"]) + self._codes[key]

    def certificate_context(self) -> ssl.SSLContext:
        context = self.demo.context()
        context.load_cert_chain(self.row["cert"], self.row["key"])
        return context

    def smtp(self, timeout: float = 20.0) -> smtplib.SMTP_SSL:
        """A submission session over implicit TLS, signed in by password and code."""
        port = self.demo.about["ports"]["submissions"]
        client = smtplib.SMTP_SSL("localhost", port, context=self.demo.context(), timeout=timeout)
        client.login(self.address, self.secret)
        return client

    def imap(self, timeout: float = 20.0) -> imaplib.IMAP4_SSL:
        """An IMAP session over implicit TLS, signed in by password and code."""
        port = self.demo.about["ports"]["imaps"]
        client = imaplib.IMAP4_SSL("localhost", port, ssl_context=self.demo.context(), timeout=timeout)
        plain = b"\0" + self.address.encode() + b"\0" + self.secret.encode()
        client.authenticate("PLAIN", lambda _: plain)
        return client


def message(sender: str, to: str, ident: str, body: bytes = b"Bonjour.\r\n") -> bytes:
    """A small message with this Message-ID."""
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: Compte rendu {ident}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0100\r\n"
        f"Message-ID: <{ident}@test.example>\r\n\r\n"
    ).encode() + body


_IDENT = re.compile(rb"Message-ID: <([^@>]+)@test\.example>", re.IGNORECASE)


def idents(client: imaplib.IMAP4, folder: str) -> dict[int, str]:
    """UID to the identifier of our Message-ID, of every message in a folder."""
    status, found = client.select(folder, readonly=True)
    assert status == "OK", found
    if int(found[0] or 0) == 0:
        return {}
    out: dict[int, str] = {}
    status, rows = client.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    assert status == "OK", rows
    for row in rows:
        if isinstance(row, tuple):
            uid = re.search(rb"UID (\d+)", row[0])
            ident = _IDENT.search(row[1])
            assert uid is not None
            out[int(uid[1])] = ident[1].decode() if ident else ""
    return out


def encoded_forms(word: str) -> list[bytes]:
    """A word as it may lie on disk: clear, UTF-16, hex, and base64 at each of the three alignments."""
    octets = word.encode()
    forms = [octets, word.encode("utf-16-le"), octets.hex().encode(), octets.hex().upper().encode()]
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + octets + bytes(2))
        forms.append(coded[-(-shift * 8 // 6) : (shift + len(octets)) * 8 // 6])
    return forms


def files_with(folder: Path, words: list[str]) -> dict[str, set[str]]:
    """Files below a folder that hold one of these words in any form, also inside zstd and zlib frames."""
    forms = {word: encoded_forms(word) for word in words}
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        try:
            octets = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        for text in [octets, *unpacked(octets)]:
            for word, shapes in forms.items():
                if any(shape in text for shape in shapes):
                    found.setdefault(word, set()).add(path.name)
    return found


def unpacked(octets: bytes) -> list[bytes]:
    """What zstd and zlib frames in these octets hold, as far as it can be read."""
    out = []
    for magic in (b"\x28\xb5\x2f\xfd", b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b\x08"):
        at = octets.find(magic)
        while at >= 0:
            with contextlib.suppress(zstandard.ZstdError, zlib.error, MemoryError):
                if magic[0] == 0x28:
                    out.append(zstandard.ZstdDecompressor().decompress(octets[at:], max_output_size=1 << 24))
                else:
                    out.append(zlib.decompressobj(47).decompress(octets[at : at + (1 << 20)], 1 << 24))
            at = octets.find(magic, at + 1)
    return out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB of its own (needs root)."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
