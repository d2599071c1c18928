"""getmail fetches a box and hands each message on, once."""

import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess
from tests.interop.witness import deliver, digests, parted, text

pytestmark = pytest.mark.interop


def test_fetches_once(demo: DemoProcess, tmp_path: Path) -> None:
    """All bodies arrive as they were sent; a second run fetches nothing, a third only what is new."""
    account = demo.account("box0016")
    bodies = {f"getmail {n}": text(f"getmail {n}") for n in range(20)}
    deliver(demo, "box0016", bodies)
    mail = tmp_path / "mail"
    mail.mkdir()
    (tmp_path / "getmailrc").write_text(
        f"""
[retriever]
type = SimpleIMAPSSLRetriever
server = localhost
port = {demo.port("imaps")}
username = {account["login"]}
password = {demo.password("box0016")}
mailboxes = ("INBOX",)
ca_certs = {demo.description["ca"]}

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > $(mktemp {mail}/XXXXXX)")
allow_root_commands = true

[options]
read_all = false
delivered_to = false
received = false
"""
    )

    def run() -> str:
        command = ["getmail", "--getmaildir", str(tmp_path), "--rcfile", "getmailrc"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "20 messages" in run()
    assert dict(parted(file.read_bytes()) for file in mail.iterdir()) == digests(bodies)
    assert "0 messages (0 bytes) retrieved" in run()
    deliver(demo, "box0016", {"getmail 20": text("getmail 20")})
    assert "1 messages" in run()
