"""curl signs in by a token of an OpenID provider, by OAUTHBEARER and by XOAUTH2, to send and to read."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssmail.base.clock import SystemClock
from mssmail.settings.kind import many, table
from mssmail.settings.provider import OpenIdProvider
from tests.demo_process import DemoProcess, message
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


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(("sender", "reader"), [("smtp:submission", "imap:imap"), ("smtps:submissions", "imaps:imaps")])
def test_sends_and_reads(
    trusting: DemoProcess, played: PlayedProvider, tmp_path: Path, mechanism: str, sender: str, reader: str
) -> None:
    """What curl sends by a token of 2 KB, curl reads by another; a forged one lets it do neither."""
    claire = trusting.account("claire.martin")
    me, holder = claire["address"], claire["national_id"]
    subject = f"curl {mechanism} {sender}".replace(":", " ")
    mail = tmp_path / "mail.eml"
    mail.write_bytes(message(me, me, subject))
    scheme, _, port = sender.partition(":")
    sending = [
        *("--mail-from", me, "--mail-rcpt", me, "--upload-file", str(mail)),
        f"{scheme}://{trusting.host}:{trusting.port(port)}/client.example",
    ]
    scheme, _, port = reader.partition(":")
    box = f"{scheme}://{trusting.host}:{trusting.port(port)}/INBOX"
    reading = [f'{box}?SUBJECT%20"{subject.replace(" ", "%20")}"']

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
