"""curl signs in by OAUTHBEARER and by XOAUTH2 to send and to read: by tokens of an OpenID provider, and by our own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from mssmail.base.clock import SystemClock
from mssmail.settings.kind import many, table
from mssmail.settings.provider import OpenIdProvider
from tests.demo_process import DemoProcess, message
from tests.interop.witness import Box
from tests.support.consent import Browser
from tests.support.provider import PlayedProvider

pytestmark = pytest.mark.interop
LOGIN_DENIED = 67
"""curl's exit status."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedProvider]:
    provider = PlayedProvider(tmp_path_factory.mktemp("provider"), SystemClock())
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, played: PlayedProvider) -> Iterator[DemoProcess]:
    """A demo that trusts the provider."""
    folder = tmp_path_factory.mktemp("trusting")
    config = folder / "openid.toml"
    written = many(table(OpenIdProvider)).write((played.rules(),))
    config.write_text(f"[openid]\nproviders = {written}\n", encoding="utf-8")
    with DemoProcess(folder / "data", "--config", str(config)) as running:
        yield running


def curl(
    demo: DemoProcess, mechanism: str, login: str, token: str, *arguments: str
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--max-time", "20", "--cacert", demo.description["ca"], "--ssl-reqd"),
            *("--oauth2-bearer", token, "--user", f"{login}:", "--login-options", f"AUTH={mechanism}"),
            *arguments,
        ],
        capture_output=True,
    )


def errands(
    demo: DemoProcess, me: str, subject: str, folder: Path, sender: str, reader: str
) -> tuple[list[str], list[str]]:
    """curl's arguments to send a message to oneself, and to find it; `sender`, `reader`: scheme and port's name."""
    mail = folder / "mail.eml"
    mail.write_bytes(message(me, me, subject))
    scheme, _, port = sender.partition(":")
    sending = [
        *("--mail-from", me, "--mail-rcpt", me, "--upload-file", str(mail)),
        f"{scheme}://{demo.host}:{demo.port(port)}/client.example",
    ]
    scheme, _, port = reader.partition(":")
    box = f"{scheme}://{demo.host}:{demo.port(port)}/INBOX"
    return sending, [f'{box}?SUBJECT%20"{subject.replace(" ", "%20")}"']


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(("sender", "reader"), [("smtp:submission", "imap:imap"), ("smtps:submissions", "imaps:imaps")])
def test_sends_and_reads(
    trusting: DemoProcess, played: PlayedProvider, tmp_path: Path, mechanism: str, sender: str, reader: str
) -> None:
    """What curl sends by a token of 2 KB, curl reads by another; a forged one lets it do neither."""
    claire = trusting.account("claire.martin")
    me, holder = claire["address"], claire["national_id"]
    subject = f"curl {mechanism} {sender}".replace(":", " ")
    sending, reading = errands(trusting, me, subject, tmp_path, sender, reader)

    def token(pad: str = "") -> str:
        return played.token(holder, pad=pad)

    ran = curl(trusting, mechanism, me, token("x" * 1200), *sending)
    assert ran.returncode == 0, ran.stderr.decode()
    ran = curl(trusting, mechanism, me, token(), *reading)
    assert ran.returncode == 0, ran.stderr.decode()
    number = ran.stdout.split()[-1].decode()
    assert number.isdigit()
    for arguments in (sending, reading):
        refused = curl(trusting, mechanism, me, token()[:-6], *arguments)
        assert refused.returncode == LOGIN_DENIED, refused


@pytest.mark.parametrize(("flow", "local"), [("code", "box0031"), ("device", "box0032")])
def test_own_token(demo: DemoProcess, tmp_path: Path, flow: str, local: str) -> None:
    """What a person grants on our pages sends and reads by OAUTHBEARER; taken back, it does neither."""
    account = demo.account(local)
    me = account["address"]
    site = f"https://localhost:{demo.port('https')}"
    with Browser(site, demo.tls(local if flow == "code" else None)) as browser:
        if flow == "code":
            browser.sign_in()
            issued = browser.tokens()
        else:
            browser.sign_in_by_password(me, account["password"], pyotp.TOTP(account["totp_secret"]).now())
            issued = browser.device_tokens()
        errand = errands(demo, me, f"curl {flow}", tmp_path, "smtp:submission", "imaps:imaps")
        for arguments in errand:
            ran = curl(demo, "OAUTHBEARER", me, issued["access_token"], *arguments)
            assert ran.returncode == 0, ran.stderr.decode()
        assert ran.stdout.split()[-1].isdigit()
        browser.revoke(issued["refresh_token"])
    for arguments in errand:
        refused = curl(demo, "OAUTHBEARER", me, issued["access_token"], *arguments)
        assert refused.returncode == LOGIN_DENIED, refused
    by_mail = [event for event in Box(demo, local).events("signed-in") if event["protocol"] != "https"]
    assert {(event["protocol"], event["mechanism"]) for event in by_mail} == {("smtp", "token"), ("imap", "token")}
    assert {event["program"] for event in by_mail} == {"mail-client"}
