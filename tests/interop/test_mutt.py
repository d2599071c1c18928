"""mutt and NeoMutt send, and read a box with the keys that a user presses."""

import mailbox
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess
from tests.interop import terminal
from tests.interop.witness import Box, deliver, digest, digests, parted, text

pytestmark = pytest.mark.interop

# Copy all to a file, flag the first, delete the second, leave.
KEYS = (
    "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{copy}<enter>"
    "<untag-pattern>~A<enter><first-entry><flag-message><next-entry><delete-message><sync-mailbox><quit>"
)


def configuration(demo: DemoProcess, local: str, folder: Path) -> str:
    """What both programs read."""
    account = demo.account(local)
    return f"""
set my_pass="{demo.password(local)}"
set folder="imaps://localhost:{demo.port("imaps")}/"
set spoolfile="+INBOX" record="+Sent" postponed="+Drafts" trash="+Trash"
set imap_user="{account["login"]}" imap_pass=$my_pass
set smtp_url="smtps://{account["login"]}@localhost:{demo.port("submissions")}/" smtp_pass=$my_pass
set from="{account["address"]}" realname="{account["name"]}" use_from=yes
set ssl_ca_certificates_file="{demo.description["ca"]}" certificate_file="{folder}/none" ssl_starttls=yes
set header_cache="{folder}/headers" message_cachedir="{folder}/bodies"
set confirmcreate=no confirmappend=no copy=yes quit=yes delete=yes move=no abort_unmodified=no mail_check=60
set wait_key=no beep=no resolve=no charset="utf-8" send_charset="utf-8" sort=mailbox-order
"""


@pytest.mark.parametrize(
    ("program", "local", "peer"), [("mutt", "box0011", "box0012"), ("neomutt", "box0013", "box0014")]
)
def test_sends_and_reads(demo: DemoProcess, tmp_path: Path, program: str, local: str, peer: str) -> None:
    """Bodies go and come unchanged, flags and deletion reach the server, and a second run reads no message."""
    bodies = {f"{program} {n}": text(f"{program} {n}", lines=40) for n in range(8)}
    deliver(demo, local, bodies)
    for folder in ("headers", "bodies"):
        (tmp_path / folder).mkdir()
    config = tmp_path / "muttrc"
    config.write_text(configuration(demo, local, tmp_path))
    own = {**os.environ, "HOME": str(tmp_path), "LANG": "C.UTF-8"}

    sent = text(f"{program} sent").replace("\r\n", "\n")
    recipient = demo.account(peer)["address"]
    command = [program, "-n", "-F", str(config), "-s", f"{program} envoi", "--", recipient]
    ran = subprocess.run(command, input=sent.encode(), capture_output=True, env=own, timeout=30)
    assert ran.returncode == 0, ran.stderr.decode()
    copies = [(peer, "INBOX")]
    if program == "mutt":  # NeoMutt keeps no copy over IMAP when it isn't at a terminal, and says so
        copies.append((local, "Sent"))
    for place, folder in copies:
        found = Box(demo, place).find(folder, f"{program} envoi")
        assert found is not None, ran.stdout + ran.stderr
        assert digest(found[1]) == digest(sent.encode()), place

    box, copy = Box(demo, local), tmp_path / "copy"
    keys = KEYS.format(copy=copy)
    status, screen = terminal.run([program, "-n", "-F", str(config), "-e", f'push "{keys}"'], own, 30)
    assert status == 0, screen
    kept = mailbox.mbox(copy, create=False)
    assert dict(parted(kept.get_bytes(key)) for key in kept.iterkeys()) == digests(bodies)
    kept.close()
    assert box.has_flag(f"{program} 0", rb"\Flagged")
    assert box.find("INBOX", f"{program} 1") is None
    assert box.find("Trash", f"{program} 1") is not None

    read = box.events("read")
    command = [program, "-n", "-F", str(config), "-e", 'push "<tag-pattern>~A<enter><quit>"']
    status, screen = terminal.run(command, own, 30)
    assert status == 0, screen
    assert box.events("read") == read


def test_both_are_there() -> None:
    """NeoMutt isn't mutt under another name."""
    assert os.path.realpath(str(shutil.which("mutt"))) != os.path.realpath(str(shutil.which("neomutt")))
