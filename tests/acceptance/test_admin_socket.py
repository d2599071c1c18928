"""A running server administered by users who can read neither its data nor its configuration."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_process import COMMAND, DemoProcess
from tests.support.others import ALICE, BOB, CARLA, STRANGER, as_user, command_as, environment, needs_root

pytestmark = needs_root
CLAIRE = "claire.martin@demo.mssante.fr"
PAUL = "paul.durand@demo.mssante.fr"
PASSWORD = "gorge ballon tuile 73 verger"


class Site:
    """A demo, its socket in a folder that everybody can enter, and three administrators."""

    def __init__(self, folder: Path, workers: int) -> None:
        overlay = folder / "overlay.toml"
        self.socket = folder / "admin.sock"
        overlay.write_text(f'[admin]\nsocket = "{self.socket}"\ntwo_persons = ["account.close"]\n')
        self.demo = DemoProcess(folder / "demo", "--config", str(overlay), "--workers", str(workers))
        self.config = folder / "demo" / "mssmail.toml"
        for name, user, role in (
            ("alice", ALICE, "operator"),
            ("bob", BOB, "security-officer"),
            ("carla", CARLA, "auditor"),
        ):
            self.local("admin", "add", name, "--user", user, "--role", role)

    def local(self, *arguments: str) -> str:
        """A call by root, on the data folder."""
        command = [*COMMAND, "--config", str(self.config), *arguments]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout

    def ask(self, user: str, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        return as_user(user, "--socket", str(self.socket), *arguments, stdin=stdin)


@pytest.fixture(params=[1, 2], scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    made = Site(folder, request.param)
    yield made
    made.demo.stop()
    shutil.rmtree(folder)


def at_terminal(command: list[str], answers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """Run a command on a terminal of its own; its status, and what was seen. Each answer follows its question."""
    pid, terminal = pty.fork()
    if not pid:
        os.execve(command[0], command, environment())
    seen = b""
    waiting = list(answers)
    while select.select([terminal], [], [], 60)[0]:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        if not more:
            break
        seen += more
        if waiting and seen.endswith(waiting[0][0]):
            os.write(terminal, waiting.pop(0)[1])
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


def test_a_days_work(site: Site) -> None:
    """Each administrator does their work through the socket, a stranger none; the trail has everybody's name."""
    assert CLAIRE in site.ask(ALICE, "account", "list").stdout
    assert site.ask(STRANGER, "account", "list").returncode == 1
    assert site.ask(CARLA, "account", "list").returncode == 1
    made = site.ask(ALICE, "account", "password", PAUL, "--stdin", stdin=PASSWORD + "\n")
    assert (made.returncode, made.stdout, made.stderr) == (0, f"{PAUL}: password set\n", "")
    assert "waits" in site.ask(ALICE, "account", "close", PAUL, "--yes").stdout
    assert site.ask(BOB, "admin", "approve", "1").returncode == 0
    assert "closed" in site.ask(ALICE, "account", "show", PAUL).stderr
    said = [json.loads(line) for line in site.ask(CARLA, "audit", "search", "--json").stdout.splitlines()]
    by = {e["kind"]: e["details"].get("administrator") for e in said}
    assert (by["password-set"], by["account-closed"]) == ("alice", "bob")
    assert by["administrator-added"] == "local root"
    assert {e["details"]["uid"] for e in said if e["kind"] == "administration-refused"} >= {2, 5}
    site.local("audit", "verify")


def test_found_without_a_configuration(site: Site) -> None:
    """The socket is found by the environment; a configuration that can't be read is told with a remedy."""
    named = as_user(ALICE, "admin", "whoami", more={"MSSMAIL_ADMIN_SOCKET": str(site.socket)})
    assert named.stdout == "alice: operator\n"
    said = as_user(ALICE, "--config", str(site.config), "admin", "whoami")
    assert said.returncode == 2
    assert "--socket" in said.stderr


def test_prompts_on_the_callers_terminal(site: Site) -> None:
    """A password is asked for on the caller's terminal, unseen; and never on the server's."""
    command = command_as(ALICE, "--socket", str(site.socket), "account", "password", CLAIRE)
    answer = PASSWORD.encode() + b"\n"
    status, seen = at_terminal(command, [(b"New password: ", answer), (b"Again: ", answer)])
    assert status == 0, seen
    assert b"password set" in seen
    assert PASSWORD.encode() not in seen


def test_interrupted(site: Site) -> None:
    """Ctrl-C at the caller's ends the command on the server, and the caller's with status 130."""
    process = subprocess.Popen(
        command_as(CARLA, "--socket", str(site.socket), "audit", "tail", "--follow", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("{")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)  # the pipe ends once the server's side has let go of it too
    assert process.returncode == 130
    assert site.ask(CARLA, "audit", "tail").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_server_gone(site: Site, number: int) -> None:
    """A stopped or killed server takes its callers along; its socket says so, and the next server takes it over."""
    process = subprocess.Popen(
        command_as(CARLA, "--socket", str(site.socket), "audit", "tail", "--follow", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("{")
    _, took = site.demo.stop(number)
    assert took < 5
    process.communicate(timeout=20)
    assert process.returncode == 1
    said = site.ask(CARLA, "audit", "tail")
    assert (said.returncode, "refused" in said.stderr) == (1, True)
    overlay = site.demo.data.with_name("overlay.toml")
    site.demo = DemoProcess(site.demo.data, "--config", str(overlay))
    assert site.ask(CARLA, "audit", "tail").returncode == 0


def test_root_may_ask_too(site: Site) -> None:
    """Who has the data folder needs no socket, and is nobody there."""
    said = subprocess.run(
        [sys.executable, "-m", "mssmail.cli.main", "--socket", str(site.socket), "account", "list"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, "no administrator" in said.stderr) == (1, True)
