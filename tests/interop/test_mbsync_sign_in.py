"""mbsync signs in by password over STARTTLS, its mechanism left to it, and by certificate."""

import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess
from tests.interop.witness import Box, deliver, digests, parted, text

pytestmark = pytest.mark.interop

LOCAL = "box0028"
BODIES = {f"sign-in {n}": text(f"sign-in {n}", starts=("From ", ".", "é ")) for n in range(5)}


@pytest.fixture(scope="module", autouse=True)
def mail(demo: DemoProcess) -> None:
    """The messages that each way in must bring."""
    deliver(demo, LOCAL, BODIES)


@pytest.mark.parametrize("how", ["password", "external"])
@pytest.mark.parametrize(("listener", "tls"), [("imaps", "IMAPS"), ("imap", "STARTTLS")])
def test_signs_in(demo: DemoProcess, tmp_path: Path, how: str, listener: str, tls: str) -> None:
    """Each way in brings all bodies as they were sent, and is what the trail names."""
    account = demo.account(LOCAL)
    proof = f"Pass {demo.password(LOCAL)}"
    if how == "external":
        proof = f"ClientCertificate {account['cert']}\nClientKey {account['key']}\nAuthMechs EXTERNAL"
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""
IMAPAccount demo
Host localhost
Port {demo.port(listener)}
User {account["login"]}
SSLType {tls}
CertificateFile {demo.description["ca"]}
{proof}

IMAPStore far
Account demo

MaildirStore near
Inbox {tmp_path}/INBOX

Channel all
Far :far:
Near :near:
Create Near
Sync Pull
SyncState *
"""
    )
    config.chmod(0o600)
    before = len(Box(demo, LOCAL).events("signed-in"))
    ran = subprocess.run(["mbsync", "-c", str(config), "-a"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    files = [file for folder in ("new", "cur") for file in (tmp_path / "INBOX" / folder).iterdir()]
    assert dict(parted(file.read_bytes()) for file in files) == digests(BODIES)
    assert [event["mechanism"] for event in Box(demo, LOCAL).events("signed-in")[before:]] == [how]
