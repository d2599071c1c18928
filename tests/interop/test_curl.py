"""curl sends and reads: by certificate, and by password with its code."""

import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, message

pytestmark = pytest.mark.interop


def curl(demo: DemoProcess, *arguments: str) -> bytes:
    ran = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", demo.description["ca"], *arguments],
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def credentials(demo: DemoProcess, local: str, how: str) -> list[str]:
    account = demo.account(local)
    if how == "certificate":
        shown = ["--cert", account["cert"], "--key", account["key"], "--login-options", "AUTH=EXTERNAL"]
        return [*shown, "--user", f"{account['login']}:"]
    return ["--user", f"{account['login']}:{demo.password(local)}"]


@pytest.mark.parametrize("how", ["certificate", "password"])
@pytest.mark.parametrize("listener", ["submission", "submissions"])
@pytest.mark.parametrize("reader", ["imap", "imaps"])
def test_sends_and_reads(demo: DemoProcess, tmp_path: Path, how: str, listener: str, reader: str) -> None:
    """What curl sends, curl reads, the octets of the body being those that were sent."""
    sender, recipient = demo.account("box0001")["address"], demo.account("box0002")["address"]
    subject = f"curl {how} {listener} {reader}"
    body = "".join(f"ligne {n:04d} àéîõü .\r\n.\r\n" for n in range(300))
    mail = tmp_path / "mail.eml"
    mail.write_bytes(message(sender, recipient, subject, body))
    scheme = {"submission": "smtp", "submissions": "smtps"}[listener]
    curl(
        demo,
        *credentials(demo, "box0001", how),
        "--ssl-reqd",
        *("--mail-from", sender, "--mail-rcpt", recipient, "--upload-file", str(mail)),
        f"{scheme}://{demo.host}:{demo.port(listener)}/client.example",
    )
    box = f"{reader}://{demo.host}:{demo.port(reader)}/INBOX"
    reading = [*credentials(demo, "box0002", how), "--ssl-reqd"]
    found = curl(demo, *reading, f'{box}?SUBJECT%20"{subject.replace(" ", "%20")}"').split()
    read = curl(demo, *reading, f"{box};MAILINDEX={found[-1].decode()}")
    assert read.partition(b"\r\n\r\n")[2] == body.encode()


def test_refused_at_rcpt(demo: DemoProcess, tmp_path: Path) -> None:
    """Without --mail-rcpt-allowfails curl stops at a refused recipient: exit 55."""
    sender = demo.account("box0001")["address"]
    refused = demo.description["refused"][0]["address"]
    mail = tmp_path / "mail.eml"
    mail.write_bytes(message(sender, refused, "refused"))
    ran = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--cacert", demo.description["ca"], "--max-time", "20"),
            *credentials(demo, "box0001", "password"),
            *("--mail-from", sender, "--mail-rcpt", refused, "--upload-file", str(mail)),
            f"smtps://{demo.host}:{demo.port('submissions')}",
        ],
        capture_output=True,
    )
    assert ran.returncode == 55, ran.stderr.decode()
