"""SIGHUP: certificates, anchors and settings are read again while sessions stay open."""

import contextlib
import imaplib
import json
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from mssmail.base.clock import SystemClock
from mssmail.demo.people import CLAIRE
from mssmail.demo.pki import DemoPki, Leaf
from tests.cli.conftest import House
from tests.cli.test_serve import LISTEN, serving

TRUST = '[trust]\npersons_ca = "anchors.pem"\ncrls = ["pki/root.crl", "pki/persons.crl"]\n'


class Served:
    """A running server whose certificates the test makes."""

    def __init__(self, house: House, process: "subprocess.Popen[str]", port: int, pki: DemoPki, workers: int) -> None:
        self.house = house
        self._process = process
        self._port = port
        self._pki = pki
        self._workers = workers

    def reload(self, event: str = "configuration reloaded") -> list[dict[str, str]]:
        """Send SIGHUP; what the log says until every worker has said `event`."""
        assert self._process.stderr is not None
        self._process.send_signal(signal.SIGHUP)
        said: list[dict[str, str]] = []
        while sum(line["event"] == event for line in said) < self._workers:
            said.append(json.loads(self._process.stderr.readline()))
        return said

    def person(self, pki: DemoPki | None = None) -> Leaf:
        return (pki or self._pki).person(CLAIRE.national_id, CLAIRE.surname, CLAIRE.given_name, CLAIRE.title)

    def imap(self, leaf: Leaf | None = None) -> imaplib.IMAP4_SSL:
        """A session, signed in by certificate where one is given."""
        context = ssl.create_default_context(cafile=self._pki.anchors)
        if leaf is not None:
            context.load_cert_chain(leaf.cert, leaf.key)
        client = imaplib.IMAP4_SSL("localhost", self._port, ssl_context=context, timeout=10)
        if leaf is not None:
            client.authenticate("EXTERNAL", lambda _: b"")
        return client

    def serial(self) -> int:
        """The serial number of the certificate that a new handshake shows."""
        client = self.imap()
        connection = client.socket()
        assert isinstance(connection, ssl.SSLSocket)
        shown = connection.getpeercert(binary_form=True)
        client.shutdown()
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number

    def renew_certificate(self) -> int:
        """Put another server certificate in the old one's place; its serial number."""
        (self.house.folder / "pki" / "leaf" / "server.pem").unlink()
        leaf = self._pki.server()
        return x509.load_pem_x509_certificate(leaf.cert.read_bytes()).serial_number

    def set(self, text: str) -> None:
        """Put these lines behind the configuration as it was at first."""
        file = self.house.config
        first = file.with_suffix(".first")
        if not first.exists():
            first.write_text(file.read_text())
        file.write_text(first.read_text() + text)


def _anchors(pki: DemoPki) -> bytes:
    return pki.persons.pem + pki.root.pem


@pytest.fixture
def start(house: House) -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def started(workers: int = 1) -> Served:
            pki = DemoPki.create_or_load(house.folder / "pki", SystemClock())
            (house.folder / "anchors.pem").write_bytes(_anchors(pki))
            with house.config.open("a") as file:
                file.write(LISTEN.format(imaps=0) + TRUST)
            process, ports = stack.enter_context(serving(house, "--workers", str(workers)))
            return Served(house, process, ports["imaps"], pki, workers)

        yield started


@pytest.mark.parametrize("workers", [1, 2])
def test_new_certificate(start: Callable[..., Served], workers: int) -> None:
    """After SIGHUP every worker shows the new certificate, and a session that was open goes on."""
    served = start(workers)
    session = served.imap(served.person())
    before, new = served.serial(), served.renew_certificate()
    assert served.serial() == before != new
    served.reload()
    assert {served.serial() for _ in range(4 * workers)} == {new}
    assert session.select("INBOX")[0] == "OK"


def test_new_anchors(start: Callable[..., Served], tmp_path: Path) -> None:
    """A CA that is put into the anchors lets its people in after SIGHUP; one that is taken out no longer does."""
    served = start()
    other = DemoPki.create_or_load(tmp_path / "other", SystemClock())
    with pytest.raises((ssl.SSLError, OSError, imaplib.IMAP4.error)):
        served.imap(served.person(other))
    (served.house.folder / "anchors.pem").write_bytes(_anchors(other))
    served.set(f'[trust]\npersons_ca = "anchors.pem"\ncrls = ["{other.crls[0]}", "{other.crls[1]}"]\n')
    text = served.house.config.read_text().replace(TRUST, "")
    served.house.config.write_text(text)
    served.reload()
    assert served.imap(served.person(other)).select("INBOX")[0] == "OK"
    with pytest.raises((ssl.SSLError, OSError, imaplib.IMAP4.error)):
        served.imap(served.person())


def test_settings(start: Callable[..., Served]) -> None:
    """What can change does, what can't is named and keeps its value."""
    served = start()
    served.set('[retention]\ndefault = "30d"\n[imap]\nmax_connections_per_address = 1\n[log]\nlevel = "error"\n')
    said = served.reload("settings need a restart")
    lines = {line["event"]: line for line in said}
    assert lines["configuration reloaded"]["changed"] == "imap.max_connections_per_address, retention.default"
    assert lines["settings need a restart"]["settings"] == "log.level"
    first = served.imap()
    with pytest.raises(imaplib.IMAP4.error):
        served.imap()
    first.shutdown()
    traced = served.house("audit", "search", "--kind", "configuration-reloaded", "--json")
    assert "retention.default" in traced.out


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ('[retention]\ndefault = "ages"\n', "retention.default"),
        ("[nonsense\n", "TOML syntax"),
        ('[smtp]\ntimeout = "1s"\n[auth]\nmax_failures = 99\n', "auth.max_failures"),
    ],
)
def test_broken_file(start: Callable[..., Served], broken: str, told: str) -> None:
    """A file with a fault changes nothing: the fault is logged, and the server serves on."""
    served = start()
    new = served.renew_certificate()
    served.set(broken)
    (line,) = served.reload("configuration kept")
    assert told in line["fault"]
    assert served.serial() != new
    served.set("")
    served.reload()
    assert served.serial() == new


def test_broken_certificate(start: Callable[..., Served]) -> None:
    """A key that doesn't belong to the certificate is told, and the old pair goes on serving."""
    served = start()
    before = served.serial()
    folder = served.house.folder / "pki"
    (folder / "leaf" / "server.key").write_bytes((folder / "root.key").read_bytes())
    (line,) = served.reload("configuration kept")
    assert "tls.key" in line["fault"]
    assert served.serial() == before
