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


RELAYED: dict[str, tuple[dict[str, str], int, str]] = {
    "accepted": ({}, 0, ""),
    "no certificate": ({"cert": "", "key": ""}, 23, "550 5.7.1"),
    "another's domain": ({"from": "x@laboratoire-demo.mssante.fr"}, 23, "550 5.7.1"),
    "our own domain": ({"from": "x@demo.mssante.fr"}, 23, "553 5.7.1"),
    "a relay": ({"to": "somebody@example.org"}, 24, "550 5.7.1"),
    "nobody": ({"to": "jean.inconnu@demo.mssante.fr"}, 24, "550 5.1.1"),
    "another author": ({"h-From": "x@example.org"}, 26, "550 5.7.1"),
}
"""What differs from a good call, swaks' status, and the reply that it shows."""


@pytest.mark.parametrize("case", RELAYED)
def test_as_another_operator(demo: DemoProcess, case: str) -> None:
    """On 25 a listed operator's message is taken over STARTTLS with its certificate; each other call hears why not."""
    hospital = demo.description["operators"][0]
    differing, status, reply = RELAYED[case]
    options = {
        "from": hospital["addresses"][0],
        "to": demo.account("box0004")["address"],
        "cert": hospital["cert"],
        "key": hospital["key"],
        **differing,
    }
    words = ["swaks", "--server", demo.host, "--port", str(demo.port("smtp")), "--tls", "--tls-verify"]
    words += ["--tls-ca-path", demo.description["ca"], "--timeout", "20"]
    for name, value in options.items():
        word = {"cert": "--tls-cert", "key": "--tls-key"}.get(name, f"--{name}")
        words += [word, value] if value else []
    ran = subprocess.run(words, capture_output=True, text=True)
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert reply in ran.stdout


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
