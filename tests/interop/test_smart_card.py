"""A key in a PKCS#11 token signs in by EXTERNAL: curl and Thunderbird reach it as docs/smart-card.md tells."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, message
from tests.interop import card, thunderbird_profile
from tests.interop.card import PIN, Card
from tests.interop.screen import Screen
from tests.interop.test_thunderbird import MAIN, NEEDED, answer_password, compose, downloaded, thunderbird
from tests.interop.witness import Box, deliver, text, until

pytestmark = [pytest.mark.interop, pytest.mark.skipif(card.MISSING is not None, reason=str(card.MISSING))]


def card_of(demo: DemoProcess, local: str, folder: Path) -> Card:
    account = demo.account(local)
    return Card(folder / "card", Path(account["cert"]), Path(account["key"]))


def engine() -> bool:
    """Whether OpenSSL's engine for PKCS#11 is installed."""
    if shutil.which("openssl") is None:
        return False
    return subprocess.run(["openssl", "engine", "pkcs11"], capture_output=True).returncode == 0


@pytest.mark.skipif(not engine(), reason="needs libengine-pkcs11-openssl")
def test_curl(demo: DemoProcess, tmp_path: Path) -> None:
    """curl sends and reads with the card alone: no key is in a file."""
    mine, subject = card_of(demo, "box0035", tmp_path), "Depuis la carte"
    address = demo.account("box0035")["address"]
    mail = tmp_path / "mail.eml"
    mail.write_bytes(message(address, address, subject))
    pin = f"pin-value={PIN}"
    shown = ["--engine", "pkcs11", "--cert-type", "ENG", "--cert", f"{mine.uri};type=cert;{pin}"]
    shown += ["--key-type", "ENG", "--key", f"{mine.uri};type=private;{pin}"]
    common = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", demo.description["ca"], *shown]
    common += ["--login-options", "AUTH=EXTERNAL", "--user", f"{address}:"]
    sent = ["--mail-from", address, "--mail-rcpt", address, "--upload-file", str(mail)]
    for arguments in (
        [*sent, f"smtps://{demo.host}:{demo.port('submissions')}/client.example"],
        [f"imaps://{demo.host}:{demo.port('imaps')}/INBOX?SUBJECT%20%22{subject.replace(' ', '%20')}%22"],
    ):
        ran = subprocess.run([*common, *arguments], capture_output=True, env=mine.environment)
        assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.split()[:2] == [b"*", b"SEARCH"]
    assert len(ran.stdout.split()) == 3
    signed_in = {(event["protocol"], event["mechanism"]) for event in Box(demo, "box0035").events("signed-in")}
    assert {("imap", "external"), ("smtp", "external")} <= signed_in


@pytest.mark.thunderbird
@pytest.mark.timeout(180)
@pytest.mark.skipif(not all(map(shutil.which, (*NEEDED, "modutil"))), reason=f"needs {', '.join(NEEDED)}, modutil")
def test_thunderbird(demo: DemoProcess, screen: Screen, tmp_path: Path) -> None:
    """Thunderbird asks for the card's PIN once, then reads and sends by the certificate on it."""
    local, peer = "box0026", "box0027"
    account, mine, profile = demo.account(local), card_of(demo, local, tmp_path), tmp_path / "card-profile"
    deliver(demo, local, {"Pour la carte": text("card")})
    ports = demo.port("imaps"), demo.port("submissions")
    method = thunderbird_profile.EXTERNAL
    settings = thunderbird_profile.Account(account["name"], account["address"], *ports, method)
    thunderbird_profile.write(profile, settings)
    thunderbird_profile.trust(profile, Path(demo.description["ca"]))
    thunderbird_profile.reader(profile, mine.module)
    screen.environment |= {"SOFTHSM2_CONF": mine.environment["SOFTHSM2_CONF"]}
    with thunderbird(screen, profile):
        answer_password(screen, PIN)
        until(lambda: "Pour la carte" in downloaded(profile), "the message is downloaded", 60)
        until(lambda: screen.windows(f"^Inbox - .*{MAIN}"), "the inbox is shown")
        compose(screen, demo.account(peer)["address"], "Par la carte", "Bonjour.")
        until(lambda: Box(demo, peer).find("INBOX", "Par la carte"), "the sent message at its recipient")
    signed_in = {(event["protocol"], event["mechanism"]) for event in Box(demo, local).events("signed-in")}
    assert {("imap", "external"), ("smtp", "external")} <= signed_in
