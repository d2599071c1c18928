"""Postfix as another operator: an instance of the test's own, with a certificate of its own, on a port of its own.

Needs root, as Postfix does; its folders lie where its unprivileged processes can reach them.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from mssmail.demo.pki import Leaf

NOBODY = 65_534
SERVICES = """\
{port} inet n - n - - smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
postlog unix-dgram n - n - 1 postlogd
"""


def is_here() -> bool:
    return shutil.which("postfix") is not None and os.geteuid() == 0


class Postfix:
    """A running instance that holds the boxes of a domain; a context manager that stops it."""

    def __init__(
        self,
        name: str,
        domain: str,
        leaf: Leaf,
        anchors: Path,
        *,
        next_hop: str = "",
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`next_hop`: where mail for any other domain goes, as `[127.0.0.1]:2525`; `more`: settings of main.cf."""
        self.folder = Path(tempfile.mkdtemp(prefix="mssmail-postfix-"))
        self.folder.chmod(0o755)
        self.domain = domain
        self.port = _free_port()
        for part in ("etc", "queue", "data", "boxes"):
            (self.folder / part).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        os.chown(self.folder / "boxes", NOBODY, NOBODY)
        self._etc = self.folder / "etc"
        for file, stem in ((leaf.cert, "cert"), (leaf.key, "key"), (anchors, "ca")):
            shutil.copy(file, self._etc / f"{stem}.pem")
        (self._etc / "master.cf").write_text(SERVICES.format(port=f"127.0.0.1:{self.port}"))
        (self._etc / "boxes").write_text(f"anne@{domain} anne/\nbob@{domain} bob/\n")
        (self._etc / "main.cf").write_text(self._settings(name, next_hop, more))
        self._run("postfix", "-c", str(self._etc), "start")

    def _settings(self, name: str, next_hop: str, more: Mapping[str, str]) -> str:
        etc = self._etc
        lines = {
            "compatibility_level": "3.6",
            "multi_instance_name": "postfix-mssmail",
            "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data",
            "maillog_file": self.folder / "log",
            "maillog_file_prefixes": self.folder,
            "daemon_directory": "/usr/lib/postfix/sbin",
            "command_directory": "/usr/sbin",
            "myhostname": name,
            "mydestination": "",
            "alias_maps": "",
            "local_recipient_maps": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "virtual_mailbox_domains": self.domain,
            "virtual_mailbox_maps": f"texthash:{etc / 'boxes'}",
            "virtual_mailbox_base": self.folder / "boxes",
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
            "smtpd_relay_restrictions": "permit_auth_destination, reject",
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_req_ccert": "yes",
            "smtpd_tls_cert_file": etc / "cert.pem",
            "smtpd_tls_key_file": etc / "key.pem",
            "smtpd_tls_CAfile": etc / "ca.pem",
            "smtp_tls_security_level": "verify",
            "smtp_tls_verify_cert_match": "nexthop",
            "smtp_tls_cert_file": etc / "cert.pem",
            "smtp_tls_key_file": etc / "key.pem",
            "smtp_tls_CAfile": etc / "ca.pem",
            "relayhost": next_hop,
            **more,  # in place of those above: its log daemon hangs where it has to warn of a setting given twice
        }
        return "".join(f"{key} = {value}\n" for key, value in lines.items())

    @staticmethod
    def _run(*words: str, given: bytes = b"") -> None:
        ran = subprocess.run(words, input=given, capture_output=True, timeout=60)
        assert ran.returncode == 0, ran.stderr.decode()

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Hand it a message to send on; lines ended by CRLF."""
        words = ("sendmail", "-C", str(self._etc), "-f", sender, "-i", recipient)
        self._run(*words, given=message.replace(b"\r\n", b"\n"))

    def box(self, local: str, count: int) -> list[bytes]:
        """So many messages of a box, once they are there."""
        folder = self.folder / "boxes" / local / "new"
        found = self.wait(lambda: sorted(folder.iterdir()) if folder.is_dir() else [], count)
        return [file.read_bytes() for file in found]

    def wait(self, look, count: int):  # type: ignore[no-untyped-def]
        """What `look` gives, once it is so many."""
        deadline = time.monotonic() + 30
        while len(found := look()) < count:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        return found

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.is_file() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(("postfix", "-c", str(self._etc), "stop"), capture_output=True, timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
