"""Through HAProxy: TLS and certificates go through, and the client's own address is who counts."""

import contextlib
import imaplib
import json
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.demo_process import COMMAND, DemoProcess, environment, message

SETTINGS = """[proxy]
listeners = ["imaps", "submission"]
networks = ["127.0.0.0/8"]
"""
CONFIGURATION = """global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen imaps
    bind 127.0.0.1:{imaps}
    server one 127.0.0.1:{real_imaps} send-proxy-v2 check check-send-proxy inter 200ms
listen submission
    bind 127.0.0.1:{submission}
    server one 127.0.0.1:{real_submission} send-proxy
"""
CLIENT = "127.0.0.77"


class Behind:
    """A demo whose IMAP over TLS and submission are reached through HAProxy alone."""

    def __init__(self, demo: DemoProcess, ports: dict[str, int]) -> None:
        self.demo = demo
        self.ports = ports

    def imap(self, local: str | None = None) -> imaplib.IMAP4_SSL:
        """A connection from CLIENT's address, showing that account's certificate."""
        return _FromClient("127.0.0.1", self.ports["imaps"], ssl_context=self.demo.tls(local))

    def told(self, *verb: str) -> str:
        done = subprocess.run(
            [*COMMAND, *verb, "--config", str(self.demo.data / "mssmail.toml")],
            capture_output=True,
            text=True,
            env=environment(),
            check=True,
        )
        return done.stdout


class _FromClient(imaplib.IMAP4_SSL):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), 20, source_address=(CLIENT, 0))
        return self.ssl_context.wrap_socket(plain, server_hostname="localhost")  # type: ignore[no-any-return]


def _free(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("haproxy")
    (folder / "more.toml").write_text(SETTINGS)
    with DemoProcess(folder / "data", "--config", str(folder / "more.toml")) as demo:
        imaps, submission = _free(2)
        ports = {"imaps": imaps, "submission": submission}
        real = {f"real_{name}": demo.port(name) for name in ports}
        (folder / "haproxy.cfg").write_text(CONFIGURATION.format(**ports, **real))
        with subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", str(folder / "haproxy.cfg")]) as proxy:
            _until_up(imaps)
            yield Behind(demo, ports)
            proxy.terminate()


def _until_up(port: int) -> None:
    """Wait for the proxy to listen and to have found the server alive."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), 5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("haproxy doesn't listen")


def test_imaps(behind: Behind) -> None:
    """A certificate goes through, and the trail has the client's own address."""
    box = behind.imap("claire.martin")
    assert box.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
    assert box.select("INBOX")[0] == "OK"
    box.logout()
    events = [json.loads(line) for line in behind.told("audit", "tail", "-n", "9", "--json").splitlines()]
    assert {e["details"]["client"] for e in events if e["kind"] == "signed-in"} == {CLIENT}


def test_submission(behind: Behind) -> None:
    """Submission with STARTTLS goes through by version 1 of the protocol."""
    account = behind.demo.account("claire.martin")
    with smtplib.SMTP("127.0.0.1", behind.ports["submission"], timeout=20, source_address=(CLIENT, 0)) as client:
        client.starttls(context=behind.demo.tls())
        client.login(account["login"], behind.demo.password("claire.martin"))
        paul = behind.demo.account("paul.durand")["address"]
        assert client.sendmail(account["address"], paul, message(account["address"], paul, "through a proxy")) == {}


def test_failures_count_for_the_client(behind: Behind) -> None:
    """Wrong passwords close the client's address, not the proxy's."""
    login = behind.demo.account("paul.durand")["login"]
    box = behind.imap()
    with pytest.raises(imaplib.IMAP4.error):
        box.login(login, "faux123456")
    box.shutdown()
    counted = json.loads(behind.told("ban", "list", "--json"))
    assert {c["subject"] for c in counted} == {CLIENT, login}


def test_not_by_itself(behind: Behind) -> None:
    """Who comes past the proxy isn't heard."""
    with socket.create_connection(("127.0.0.1", behind.demo.port("submission")), 20) as sock:
        sock.sendall(b"EHLO me\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""
