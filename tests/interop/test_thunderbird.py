"""Thunderbird, as a person uses it: signs in, lists, downloads, stars, hears of a new message, sends.

What it did is read from the server and from its own files; pictures of its screen stay in var/interop.
"""

import mailbox
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess
from tests.interop import thunderbird_profile
from tests.interop.screen import Screen
from tests.interop.witness import Box, deliver, digests, parted, text, until

NEEDED = ("thunderbird", "Xvfb", "xdotool", "import", "certutil", "pk12util", "openssl")
MAIN, COMPOSE, PASSWORD = "Mozilla Thunderbird$", "^Write: ", "assword"
PICTURES = Path(__file__).parents[2] / "var" / "interop"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.thunderbird,
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)}"),
]


@contextmanager
def thunderbird(screen: Screen, profile: Path) -> Iterator[None]:
    """Thunderbird on that profile, ended as by its menu; killed where the test failed before."""
    command = ["thunderbird", "--no-remote", "--profile", str(profile)]
    own = {**screen.environment, "HOME": str(profile.parent), "LANG": "C.UTF-8"}
    process = subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        screen.focus(MAIN)
        screen.press("ctrl+q")
        process.wait(20)
    except BaseException:
        screen.keep(PICTURES / f"{profile.name}-failed.png")
        raise
    finally:
        process.kill()
        process.wait(10)


def downloaded(profile: Path, host: str = "localhost") -> dict[str, str]:
    """The messages of INBOX that Thunderbird keeps: the SHA-256 of each body in CR LF, by subject."""
    file = profile / "ImapMail" / host / "INBOX"
    if not file.exists():
        return {}
    box = mailbox.mbox(file, create=False)
    try:
        return dict(parted(box.get_bytes(key)) for key in box.iterkeys())
    finally:
        box.close()


def answer_password(screen: Screen, password: str) -> None:
    screen.focus(PASSWORD)
    screen.type(password)
    screen.press("Return")
    until(lambda: not screen.windows(PASSWORD), "the prompt closes")


def compose(screen: Screen, recipient: str, subject: str, body: str) -> None:
    """Write a message and send it, by keys alone."""
    screen.focus(MAIN)
    screen.press("ctrl+n")
    screen.focus(COMPOSE)

    def subject_stands() -> bool:
        """The window takes keys a while after it is shown; its title tells when the subject came through."""
        screen.press("alt+s", "ctrl+a")
        screen.type(subject)
        return bool(screen.windows(f"{COMPOSE}{subject} - "))

    until(subject_stands, "the subject in the window's title")
    # to the recipients, where what came before the window was ready may stand
    screen.press("shift+Tab", "ctrl+a", "Delete")
    screen.type(f"{recipient},")
    screen.press("alt+s", "Tab")
    screen.type(body)
    screen.press("ctrl+Return")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("how", "local", "peer"), [("external", "box0021", "box0023"), ("password", "box0022", "box0024")]
)
def test_a_persons_day(demo: DemoProcess, screen: Screen, tmp_path: Path, how: str, local: str, peer: str) -> None:
    """By certificate and by password with code, all that a person does reaches the server and the screen."""
    account, recipient = demo.account(local), demo.account(peer)["address"]
    address, profile = account["address"], tmp_path / how
    bodies = {"Compte rendu": text(f"first {how}"), "Pendant IDLE": text(f"second {how}")}
    deliver(demo, local, {"Compte rendu": bodies["Compte rendu"]})
    method = thunderbird_profile.EXTERNAL if how == "external" else thunderbird_profile.PASSWORD
    ports = demo.port("imaps"), demo.port("submissions")
    thunderbird_profile.write(profile, thunderbird_profile.Account(account["name"], address, *ports, method))
    thunderbird_profile.trust(profile, Path(demo.description["ca"]))
    if how == "external":
        thunderbird_profile.own(profile, Path(account["cert"]), Path(account["key"]))
    box = Box(demo, local)

    with thunderbird(screen, profile):
        screen.focus(MAIN, 60)
        if how == "password":
            answer_password(screen, demo.password(local))
        until(lambda: "Compte rendu" in downloaded(profile), "the message is downloaded")
        until(lambda: screen.windows(f"^Inbox - .*{MAIN}"), "the inbox is shown")

        screen.focus(MAIN)
        screen.press("n")
        until(lambda: box.has_flag("Compte rendu", rb"\Seen"), "the opened message is seen")
        screen.press("s")
        until(lambda: box.has_flag("Compte rendu", rb"\Flagged"), "the starred message is flagged")

        deliver(demo, local, {"Pendant IDLE": bodies["Pendant IDLE"]})
        until(lambda: "Pendant IDLE" in downloaded(profile), "the new message, of itself", 5)
        screen.keep(PICTURES / f"{how}-inbox.png")
        assert downloaded(profile) == digests(bodies)

        compose(screen, recipient, "Depuis Thunderbird", "Bonjour, voici ma conclusion.")
        if how == "password":
            answer_password(screen, demo.password(local))
        sent = until(lambda: Box(demo, peer).find("INBOX", "Depuis Thunderbird"), "the sent message at its recipient")
        assert sent[1].split() == b"Bonjour, voici ma conclusion.".split()
        kept = until(lambda: box.find("Sent", "Depuis Thunderbird"), "a copy in Sent")
        assert kept[1] == sent[1]
        until(lambda: not screen.windows(COMPOSE), "the window of the message closes")
        screen.keep(PICTURES / f"{how}-sent.png")

    signed_in = {(event["protocol"], event["mechanism"]) for event in box.events("signed-in")}
    assert {("imap", how), ("smtp", how)} <= signed_in
    assert box.events("sign-in-refused") == []

    if how == "external":
        read = box.events("read")
        with thunderbird(screen, profile):
            until(lambda: screen.windows(f"^Inbox - .*{MAIN}"), "the inbox is shown again")
        assert box.events("read") == read
