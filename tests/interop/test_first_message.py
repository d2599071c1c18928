"""`docs/first-message.md` does what it says: its blocks are taken from the page and run, a demo being the server."""

import imaplib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess

pytestmark = pytest.mark.interop
PAGE = Path(__file__).parents[2] / "docs" / "first-message.md"
_BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.M | re.S)
BLOCKS = {title: text for _, title, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8"))}
TAKEN, REFUSED = "claire.martin@demo.mssante.fr", "jean.inconnu@demo.mssante.fr"
JARS = (Path("/usr/share/java/jakarta-mail.jar"), Path("/usr/share/java/jakarta-activation.jar"))
NODE_MODULES = Path("/usr/share/nodejs")
"""Where Debian's packages for Node lie; `npm install` puts them beside the program."""


@pytest.fixture
def place(demo: DemoProcess, tmp_path: Path) -> Path:
    """A folder in which the page's paths lead to the running demo."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(demo.data)
    return tmp_path


def run(demo: DemoProcess, place: Path, *titles: str) -> str:
    """Run blocks one after the other in one shell, after the page's settings; what they said."""
    settings = BLOCKS["settings"].replace("20465", str(demo.port("submissions")))
    script = "set -eu\n" + settings + "".join(BLOCKS[title] for title in titles)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    mine = {name: value for name, value in os.environ.items() if not name.startswith("MSS")}
    config = str(place / "var" / "demo" / "mssmail.toml")
    said = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=mine | {"PATH": path, "NODE_PATH": str(NODE_MODULES), "MSSMAIL_CONFIG": config},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    assert said.returncode == 0, said.stdout
    return said.stdout


@pytest.fixture
def inbox(demo: DemoProcess) -> Iterator[imaplib.IMAP4]:
    """Claire's."""
    with imaplib.IMAP4_SSL(demo.host, demo.port("imaps"), ssl_context=demo.tls("claire.martin")) as client:
        client.authenticate("EXTERNAL", lambda _: b"")
        yield client


def received(inbox: imaplib.IMAP4, subject: str) -> bytes:
    """The one message of that subject."""
    inbox.select("INBOX", readonly=True)
    _, (found,) = inbox.search(None, "SUBJECT", f'"{subject}"')
    assert len(found.split()) == 1, subject
    _, parts = inbox.fetch(found.decode(), "(BODY.PEEK[])")
    assert isinstance(parts[0], tuple)
    return bytes(parts[0][1])


def written(place: Path, title: str) -> None:
    (place / title).write_text(BLOCKS[title], encoding="utf-8")


def test_curl(demo: DemoProcess, place: Path, inbox: imaplib.IMAP4) -> None:
    """The command sends; the recipient that isn't registered is told by its code."""
    said = run(demo, place, "send.sh")
    assert said.count("< 250 2.6.0") == 1
    assert "< 550 5.1.1" in said
    assert "prêt".encode() in received(inbox, "Premier message (curl)")


def test_python(demo: DemoProcess, place: Path, inbox: imaplib.IMAP4) -> None:
    """The program sends, attachment and all, and names who was refused and why."""
    written(place, "send.py")
    said = run(demo, place, "run send.py").splitlines()
    assert said[0] == f"{TAKEN} taken"
    assert said[1].startswith(f"{REFUSED} refused: 550 5.1.1")
    assert b"compte-rendu.pdf" in received(inbox, "Premier message (Python)")


@pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_MODULES / "nodemailer").is_dir(), reason="no Node with nodemailer here"
)
def test_node(demo: DemoProcess, place: Path, inbox: imaplib.IMAP4) -> None:
    """The program sends, attachment and all, and names who was refused and why."""
    written(place, "send.js")
    said = run(demo, place, "run send.js").splitlines()
    assert said[0] == f"{TAKEN} taken"
    assert said[1].startswith(f"{REFUSED} refused: 550 5.1.1")
    assert b"compte-rendu.pdf" in received(inbox, "Premier message (Node)")


@pytest.mark.skipif(
    shutil.which("java") is None or shutil.which("javac") is None or not all(jar.is_file() for jar in JARS),
    reason="no Java with Jakarta Mail here",
)
def test_java(demo: DemoProcess, place: Path, inbox: imaplib.IMAP4) -> None:
    """The program sends, and names who was refused and why."""
    written(place, "Send.java")
    said = run(demo, place, "certificate for Java", "run Send.java")
    assert f"{TAKEN} taken" in said
    assert f"{REFUSED} refused" in said
    assert "550 5.1.1" in said
    assert b"Premier message" in received(inbox, "Premier message (Java)")


def test_operator(demo: DemoProcess, place: Path) -> None:
    """The operator's commands make the box and its limits."""
    said = run(demo, place, "operator")
    assert "facturation@demo.mssante.fr: made" in said
    assert "192.0.2.0/24 2001:db8:1::/48" in said


def test_every_block_is_run() -> None:
    """Each block of the page is one that a test here runs."""
    told = {title for title in BLOCKS if f'"{title}"' in Path(__file__).read_text(encoding="utf-8")}
    assert told == set(BLOCKS)
    assert PAGE.read_text(encoding="utf-8").count("\n```") == 2 * len(BLOCKS)
