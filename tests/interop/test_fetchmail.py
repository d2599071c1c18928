"""fetchmail polls a box and hands each new message on, once."""

import mailbox
import os
import subprocess
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess
from tests.interop.witness import Box, deliver, digests, parted, text

pytestmark = pytest.mark.interop

NO_MAIL = 1


@pytest.mark.parametrize(("listener", "tls", "local"), [("imaps", "ssl", "box0017"), ("imap", "", "box0029")])
def test_hands_on_once(demo: DemoProcess, tmp_path: Path, listener: str, tls: str, local: str) -> None:
    """Over both ports all bodies arrive as they were sent and are seen; a second run finds nothing."""
    account = demo.account(local)
    bodies = {f"fetchmail {n}": text(f"fetchmail {n}") for n in range(20)}
    deliver(demo, local, bodies)
    kept = tmp_path / "kept"
    config = tmp_path / "fetchmailrc"
    config.write_text(
        f"""
poll localhost protocol imap service {demo.port(listener)} timeout 20
  user "{account["login"]}" password "{demo.password(local)}" is "nobody" here
  {tls} sslproto "TLS1.2+" sslcertck sslcertfile "{demo.description["ca"]}"
  keep no rewrite pass8bits
  mda "(echo 'From nobody Tue Nov 24 10:00:00 2026'; cat; echo) >> {kept}"
"""
    )
    config.chmod(0o600)
    command = ["fetchmail", "-f", str(config), "--nosyslog", "--verbose"]

    def run() -> subprocess.CompletedProcess[str]:
        home = {**os.environ, "FETCHMAILHOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, env=home)

    first = run()
    assert first.returncode == 0, first.stdout + first.stderr
    box = mailbox.mbox(kept, create=False)
    assert dict(parted(box.get_bytes(key)) for key in box.iterkeys()) == digests(bodies)
    box.close()
    assert Box(demo, local).has_flag("fetchmail 7", rb"\Seen")
    second = run()
    assert second.returncode == NO_MAIL, second.stdout + second.stderr
