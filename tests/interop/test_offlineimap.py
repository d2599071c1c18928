"""OfflineIMAP keeps a Maildir and a box the same, both ways."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, message
from tests.interop.witness import Box, deliver, digest, digests, parted, text

pytestmark = pytest.mark.interop


def test_both_ways(demo: DemoProcess, tmp_path: Path) -> None:
    """Mail comes down whole, flags and new mail go up, and a run with nothing to do reads no message."""
    account = demo.account("box0015")
    bodies = {f"offlineimap {n}": text(f"offlineimap {n}") for n in range(30)}
    deliver(demo, "box0015", bodies)
    config = tmp_path / "offlineimaprc"
    config.write_text(
        f"""
[general]
accounts = demo
metadata = {tmp_path}/metadata
ui = basic

[Account demo]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {tmp_path}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {demo.port("imaps")}
ssl = yes
sslcacertfile = {demo.description["ca"]}
remoteuser = {account["login"]}
remotepass = {demo.password("box0015").replace("%", "%%")}
auth_mechanisms = PLAIN
maxconnections = 3
"""
    )

    def run() -> str:
        command = ["offlineimap", "-o", "-c", str(config)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=90)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def kept() -> dict[str, Path]:
        files = [file for folder in ("new", "cur") for file in (tmp_path / "mail" / "INBOX" / folder).iterdir()]
        return {parted(file.read_bytes())[0]: file for file in files}

    run()
    box = Box(demo, "box0015")
    assert {subject: parted(file.read_bytes())[1] for subject, file in kept().items()} == digests(bodies)

    read = box.events("read")
    run()
    assert box.events("read") == read

    file = kept()["offlineimap 7"]
    file.rename(file.parents[1] / "cur" / (re.sub(r":.*", "", file.name) + ":2,FS"))
    draft = text("offlineimap draft")
    (tmp_path / "mail" / "Drafts" / "new" / "1.draft.example").write_bytes(
        message(account["address"], account["address"], "offlineimap draft", draft)
    )
    run()
    assert box.has_flag("offlineimap 7", rb"\Flagged")
    assert box.has_flag("offlineimap 7", rb"\Seen")
    found = box.find("Drafts", "offlineimap draft")
    assert found is not None
    assert digest(found[1]) == digest(draft.encode())
