"""A whole server with two workers: what a fetched list revokes is out in both, and in no more than seconds."""

import imaplib
import ssl
import subprocess
from pathlib import Path

from cryptography import x509

from mssmail.base.clock import SystemClock
from mssmail.demo.pki import DemoPki
from tests.demo_process import COMMAND, DemoProcess, environment
from tests.support.issuance import Statuses


def external(demo: DemoProcess, context: ssl.SSLContext) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("localhost", demo.port("imaps"), ssl_context=context, timeout=10.0)
    client.authenticate("EXTERNAL", lambda _: b"")
    return client


def test_revoked_in_every_worker(tmp_path: Path) -> None:
    """`cert refresh` beside the server: each worker ends the sessions of a revoked card, and lets it in no more."""
    clock = SystemClock()
    statuses = Statuses(tmp_path, DemoPki.create_or_load(tmp_path / "unused", clock), clock)
    overlay = tmp_path / "overlay.toml"
    overlay.write_text(f'[trust]\ncrl_sources = ["{statuses.base}/persons.crl"]\n')
    try:
        with DemoProcess(tmp_path / "data", "--workers", "2", "--config", str(overlay)) as demo:
            account = demo.account("claire.martin")
            context = demo.tls("claire.martin")
            clients = [external(demo, context) for _ in range(12)]
            serial = x509.load_pem_x509_certificate(Path(account["cert"]).read_bytes()).serial_number
            statuses.publish(DemoPki.create_or_load(tmp_path / "data" / "pki", clock).persons, serial)
            command = [*COMMAND, "--config", str(tmp_path / "data" / "mssmail.toml"), "cert", "refresh"]
            ran = subprocess.run(command, capture_output=True, text=True, env=environment())
            assert (ran.returncode, ran.stderr) == (0, "")
            assert "new" in ran.stdout
            for client in clients:
                client.sock.settimeout(5.0)
                assert b"BYE" in client.readline()
            for _ in range(6):
                try:
                    external(demo, context)
                except imaplib.IMAP4.error as error:
                    assert "Certificat refus" in str(error)
                else:
                    raise AssertionError("a revoked card was let in")
            inside = demo.tls("paul.durand")
            external(demo, inside).logout()
    finally:
        statuses.close()
