"""`mssmail serve` as a service manager sees it: what it says, and how it ends."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.conftest import CLAIRE_ADDRESS, House
from tests.demo_process import COMMAND, environment

LISTEN = '[listen]\nhost = "127.0.0.1"\nsubmission = 0\nsubmissions = 0\nimap = 0\nhttps = 0\nimaps = {imaps}\n'
LISTENERS = ("submission", "submissions", "imap", "imaps")


@contextmanager
def serving(house: House, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """The process, and its ports once it has said that it serves."""
    arguments = [*COMMAND, "serve", "--config", str(house.config), *more]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stderr is not None
    try:
        for line in process.stderr:
            said = json.loads(line)
            if said["event"] == "serving":
                yield process, {name: said[name] for name in LISTENERS}
                break
        else:
            raise AssertionError("it ended before it served")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("more", [(), ("--workers", "2")])
def test_serves_until_told(house: House, more: tuple[str, ...]) -> None:
    """It listens, other verbs act beside it, a second server on the folder is refused, SIGTERM ends it with 0."""
    with house.config.open("a") as file:
        file.write(LISTEN.format(imaps=0))
    with serving(house, *more) as (process, ports):
        for port in ports.values():
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert house("account", "suspend", CLAIRE_ADDRESS).status == 0
        second = subprocess.run(
            [*COMMAND, "serve", "--config", str(house.config)], capture_output=True, text=True, env=environment()
        )
        assert second.returncode == 1
        assert f"process {process.pid}" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    assert house("audit", "verify").status == 0


def test_workers_end_with_their_supervisor(house: House) -> None:
    """Workers whose supervisor was killed end by themselves, so that another server can start."""
    with house.config.open("a") as file:
        file.write(LISTEN.format(imaps=0))
    with serving(house, "--workers", "2") as (process, ports):
        assert process.stderr is not None
        process.kill()
        process.wait()
        assert [line for line in process.stderr if "error" in line] == []  # until the last worker has closed it
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports["imaps"]), timeout=5)


def test_port_taken(house: House) -> None:
    """A port that another program has ends the start with status 1 and the listener's name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with house.config.open("a") as file:
            file.write(LISTEN.format(imaps=taken.getsockname()[1]))
        ran = subprocess.run(
            [*COMMAND, "serve", "--config", str(house.config)], capture_output=True, text=True, env=environment()
        )
    assert ran.returncode == 1
    assert "listener imaps" in ran.stderr


def test_wrong_key_for_the_certificate(house: House) -> None:
    """A certificate and a key that don't belong together are told before anything listens."""
    key = house.folder / "pki" / "leaf" / "server.key"
    key.write_bytes((house.folder / "pki" / "root.key").read_bytes())
    said = house("serve")
    assert said.status == 2
    assert "tls.key" in said.err


def test_damaged_trust_file(house: House) -> None:
    """An anchors file without certificates is told by its name."""
    anchors = house.folder / "anchors.pem"
    anchors.write_text("nothing\n")
    with house.config.open("a") as file:
        file.write('[trust]\npersons_ca = "anchors.pem"\n')
    said = house("serve")
    assert said.status == 2
    assert "anchors.pem" in said.err
