"""mbsync mirrors a box twice; the second time there is nothing to do."""

import imaplib
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, message

pytestmark = pytest.mark.interop

COUNT = 1000


def mirror(config: Path) -> str:
    command = ["mbsync", "-V", "-c", str(config), "-a"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_mirrors_twice(demo: DemoProcess, tmp_path: Path) -> None:
    """1,000 messages and two folders arrive whole; a second run moves nothing, a third takes a deletion over."""
    account = demo.account("box0005")
    address = account["address"]
    with imaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=demo.tls()) as imap:
        # imaplib sends a literal and its line's end apart: with Nagle's delay each APPEND would wait 40 ms for an ACK
        imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        imap.login(address, demo.password("box0005"))
        for n in range(COUNT):
            folder = "Archive" if n % 10 == 0 else "INBOX"
            assert imap.append(folder, "", "", message(address, address, f"number {n}", f"{n}\r\n" * 20))[0] == "OK"
    mail = tmp_path / "mail"
    mail.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""
IMAPAccount demo
Host localhost
Port {demo.port("imaps")}
User {address}
Pass {demo.password("box0005")}
SSLType IMAPS
CertificateFile {demo.description["ca"]}
AuthMechs LOGIN
PipelineDepth 50

IMAPStore far
Account demo

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
    )
    config.chmod(0o600)
    mirror(config)
    files = [file for file in mail.rglob("*") if file.parent.name in ("cur", "new") and file.is_file()]
    assert len(files) == COUNT
    numbers = {re.search(rb"Subject: number (\d+)", file.read_bytes())[1] for file in files}  # type: ignore[index]
    assert len(numbers) == COUNT
    before = {file: file.stat().st_mtime_ns for file in files}
    mirror(config)
    assert {file: file.stat().st_mtime_ns for file in files if file.exists()} == before

    with imaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=demo.tls()) as imap:
        imap.login(address, demo.password("box0005"))
        imap.select("INBOX")
        imap.store("1:10", "+FLAGS", r"(\Deleted)")
        imap.expunge()
    mirror(config)
    assert sum(file.exists() for file in files) == COUNT - 10
