"""Thunderbird by OAuth: an add-on names our authorization server, a person consents in the window that opens.

What it did is read from the server and from its own files; pictures of its screen stay in var/interop.
"""

import shutil
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess
from tests.interop import thunderbird_profile
from tests.interop.screen import Screen
from tests.interop.test_thunderbird import MAIN, NEEDED, PICTURES, compose, downloaded, thunderbird
from tests.interop.witness import Box, deliver, digests, text, until

HOST = "127.0.0.1"
"""Of the mail server: a name with dots, and one that the demo's certificate has."""
PAGES = "^Enter credentials for "
TO_CERTIFICATE = ("Tab",) * 5
"""Past the address, the way to the content, the home page and the other language."""
TO_ALLOW = ("Tab",) * 6
"""Past the way to the content, the home page, the account, signing out and the other language."""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.thunderbird,
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)}"),
]


def let_in(screen: Screen, box: Box) -> None:
    """Sign in by certificate and allow what is asked, by keys alone."""
    screen.focus(PAGES, 60)
    first = screen.settled(PAGES)
    screen.keep(PICTURES / "oauth-sign-in.png")
    screen.press(*TO_CERTIFICATE, "Return")
    until(lambda: box.events("signed-in"), "the sign-in on the page")
    screen.settled(PAGES, unlike=first)
    screen.keep(PICTURES / "oauth-consent.png")
    screen.press(*TO_ALLOW, "Return")
    until(lambda: not screen.windows(PAGES), "the window of the pages closes")


@pytest.mark.timeout(240)
def test_by_oauth(demo: DemoProcess, screen: Screen, tmp_path: Path) -> None:
    """One consent lets Thunderbird read and send by token, at its next start too."""
    local, peer, profile = "box0033", "box0034", tmp_path / "oauth"
    account, box = demo.account(local), Box(demo, local)
    body = text("oauth")
    deliver(demo, local, {"Avant le consentement": body})
    settings = thunderbird_profile.Account(
        account["name"],
        account["address"],
        demo.port("imaps"),
        demo.port("submissions"),
        thunderbird_profile.OAUTH2,
        HOST,
    )
    thunderbird_profile.write(profile, settings)
    thunderbird_profile.trust(profile, Path(demo.description["ca"]))
    thunderbird_profile.own(profile, Path(account["cert"]), Path(account["key"]))
    thunderbird_profile.provider(profile, f"https://localhost:{demo.port('https')}", HOST)

    with thunderbird(screen, profile):
        let_in(screen, box)
        until(lambda: "Avant le consentement" in downloaded(profile, HOST), "the message is downloaded")
        assert downloaded(profile, HOST) == digests({"Avant le consentement": body})
        until(lambda: screen.windows(f"^Inbox - .*{MAIN}"), "the inbox is shown")
        screen.keep(PICTURES / "oauth-inbox.png")
        compose(screen, demo.account(peer)["address"], "Par jeton", "Bonjour.")
        until(lambda: Box(demo, peer).find("INBOX", "Par jeton"), "the sent message at its recipient")
        until(lambda: box.find("Sent", "Par jeton"), "a copy in Sent")

    by_pages, by_mail = parted(box)
    assert by_pages == [("https", "external")]
    assert set(by_mail) == {("imap", "token"), ("smtp", "token")}

    deliver(demo, local, {"Au prochain jour": body})
    with thunderbird(screen, profile):
        until(lambda: "Au prochain jour" in downloaded(profile, HOST), "the new message, without a question", 60)
        assert screen.windows(PAGES) == []
    assert parted(box)[0] == by_pages
    assert box.events("sign-in-refused") == []


def parted(box: Box) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The box's sign-ins, as protocol and mechanism: on pages, and by Thunderbird's mail programs.

    The test's own looks at the box, by certificate over IMAP, are left out.
    """
    events = [(str(event["protocol"]), str(event["mechanism"])) for event in box.events("signed-in")]
    pages = [event for event in events if event[0] == "https"]
    return pages, [event for event in events if event[0] != "https" and event != ("imap", "external")]
