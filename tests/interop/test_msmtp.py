"""msmtp submits by each mechanism it knows, on both ports."""

import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, message
from tests.interop.witness import Box, digest, text

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(("listener", "starttls"), [("submission", "on"), ("submissions", "off")])
@pytest.mark.parametrize("mechanism", ["plain", "login", "external", "off"])
def test_submits(demo: DemoProcess, tmp_path: Path, listener: str, starttls: str, mechanism: str) -> None:
    """The body arrives as it was sent; a certificate counts with EXTERNAL, and without AUTH."""
    account, recipient = demo.account("box0018"), demo.account("box0019")["address"]
    subject, body = f"msmtp {mechanism} {listener}", text(mechanism + listener, starts=("From ", ".", "é "))
    proof = {
        "external": f"tls_cert_file {account['cert']}\ntls_key_file {account['key']}",
        "off": f"tls_cert_file {account['cert']}\ntls_key_file {account['key']}",
    }.get(mechanism, f"password {demo.password('box0018')}")
    config = tmp_path / "msmtprc"
    config.write_text(
        f"""
account demo
host localhost
port {demo.port(listener)}
tls on
tls_starttls {starttls}
tls_trust_file {demo.description["ca"]}
auth {mechanism}
user {account["login"]}
from {account["address"]}
domain client.example
timeout 20
{proof}
"""
    )
    config.chmod(0o600)
    mail = message(account["address"], recipient, subject, body)
    ran = subprocess.run(["msmtp", "-C", config, "-a", "demo", "-t"], input=mail, capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    found = Box(demo, "box0019").find("INBOX", subject)
    assert found is not None
    assert digest(found[1]) == digest(body.encode())
