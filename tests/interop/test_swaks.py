"""swaks submits on 587 with STARTTLS and on 465."""

import subprocess

import pytest

from tests.demo_process import DemoProcess

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(("listener", "tls"), [("submission", "--tls"), ("submissions", "--tls-on-connect")])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_submits(demo: DemoProcess, listener: str, tls: str, mechanism: str) -> None:
    """A message is taken after AUTH by password and code, over verified TLS."""
    sender = demo.account("box0003")["address"]
    ran = subprocess.run(
        [
            *("swaks", "--server", demo.host, "--port", str(demo.port(listener)), tls, "--tls-verify"),
            *("--tls-ca-path", demo.description["ca"], "--auth", mechanism),
            *("--auth-user", sender, "--auth-password", demo.password("box0003")),
            *("--from", sender, "--to", demo.account("box0004")["address"], "--hide-all", "--timeout", "20"),
        ],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("listener", ["submission"])
def test_nothing_in_clear(demo: DemoProcess, listener: str) -> None:
    """AUTH isn't offered before STARTTLS: swaks ends with its status for that, 28."""
    sender = demo.account("box0003")["address"]
    ran = subprocess.run(
        [
            *("swaks", "--server", demo.host, "--port", str(demo.port(listener)), "--auth", "PLAIN"),
            *("--auth-user", sender, "--auth-password", "wrong000000", "--from", sender, "--to", sender),
            *("--hide-all", "--timeout", "20"),
        ],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 28, ran.stdout + ran.stderr
