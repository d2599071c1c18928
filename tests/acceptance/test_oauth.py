"""A program is let in over HTTPS and used over IMAP and SMTP, by other workers too; taken back, it is out at once."""

import base64
import imaplib
import smtplib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.consent import Browser
from tests.support.demos import Demo

CLAIRE = "claire.martin"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("oauth") / "data", "--workers", "2").start()
    yield running
    running.stop()


def site(demo: Demo) -> str:
    return f"https://localhost:{demo.about['ports']['https']}"


def tokens(demo: Demo, local: str = CLAIRE) -> dict[str, Any]:
    """Sign in by certificate, consent, and exchange the code."""
    with Browser(site(demo), demo.account(local).certificate_context()) as browser:
        browser.sign_in()
        return browser.tokens()


def imap(demo: Demo, token: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("localhost", demo.about["ports"]["imaps"], ssl_context=demo.context(), timeout=20)
    client.authenticate("OAUTHBEARER", lambda _: f"n,,\x01auth=Bearer {token}\x01\x01".encode())
    return client


def test_used_and_taken_back(demo: Demo) -> None:
    """A token opens IMAP and SMTP on any worker; revoked, it opens nothing, and its sessions end within 5 s."""
    token = tokens(demo)["access_token"]
    sessions = [imap(demo, token) for _ in range(6)]
    assert all(session.select()[0] == "OK" for session in sessions)
    address = demo.account(CLAIRE).address
    with smtplib.SMTP_SSL("localhost", demo.about["ports"]["submissions"], context=demo.context()) as smtp:
        smtp.ehlo()
        carried = base64.b64encode(f"user={address}\x01auth=Bearer {token}\x01\x01".encode()).decode()
        assert smtp.docmd("AUTH", f"XOAUTH2 {carried}")[0] == 235
    listed = demo.run("token", "list", address, "--json")
    assert '"client": "mail-client"' in listed.stdout
    revoked = demo.run("token", "revoke", address)
    assert "1 revoked" in revoked.stdout, revoked.stderr
    began = time.monotonic()
    for session in sessions:
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            while time.monotonic() - began < 5:
                session.noop()
    with pytest.raises(imaplib.IMAP4.error):
        imap(demo, token)


def test_refresh_across_workers(demo: Demo) -> None:
    """Rotation and its alarm hold over all workers: of many uses of one refresh token at most one is served."""
    issued = tokens(demo, "paul.durand")
    fields = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"], "client_id": "mail-client"}
    told = [httpx.post(f"{site(demo)}/oauth/token", data=fields, verify=demo.context()).status_code for _ in range(4)]
    assert told == [200, 400, 400, 400]
    with pytest.raises(imaplib.IMAP4.error):
        imap(demo, issued["access_token"])


def test_nothing_in_logs(demo: Demo) -> None:
    """No token, code or address of it stands in the log or in clear on disk."""
    issued = tokens(demo, "paul.durand")
    for secret in (issued["access_token"], issued["refresh_token"]):
        random = secret.partition("_")[2].encode()
        assert random.decode() not in demo.log()
        for file in demo.folder.rglob("*"):
            assert not file.is_file() or random not in file.read_bytes(), file
