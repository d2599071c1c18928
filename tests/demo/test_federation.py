"""`mssmail demo --federation`: several operators, each a demo of its own, that one command starts and ends."""

import json
import os
import signal
import smtplib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mssmail.demo.casts import MOST, cast
from mssmail.settings.load import load
from tests.demo_process import COMMAND, DemoProcess, environment, message
from tests.support.demos import Demo, Person, idents

HOSPITAL, LABORATORY = "hopital-demo.mssante.fr", "laboratoire-demo.mssante.fr"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """Two operators, for the tests that only look."""
    with DemoProcess(tmp_path_factory.mktemp("federation") / "data", "--federation", "2") as running:
        yield running


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What it gives, once that is true."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not (found := holds()):
        assert time.monotonic() < deadline
        pause.wait(0.1)
    return found


def described(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return content


def hospital_of(demo: DemoProcess) -> Demo:
    """The second operator, as a demo that runs already."""
    other = Demo(Path(demo.description["operators"][0]["data"]))
    other.about = described(other.folder)
    return other


def send(sender: Person, to: str, subject: str) -> None:
    port = sender.demo.about["ports"]["submissions"]
    with smtplib.SMTP_SSL("localhost", port, context=sender.certificate_context()) as client:
        client.sendmail(sender.address, [to], message(sender.address, to, subject))


def test_described(demo: DemoProcess) -> None:
    """The first is the usual demo, and says where the others run; each of them has a demo.json of the same shape."""
    first = demo.description
    assert first["domain"] == "demo.mssante.fr"
    assert [each["domain"] for each in first["operators"]] == [HOSPITAL, LABORATORY]
    running, other = first["operators"]
    assert "ports" not in other
    second = described(Path(running["data"]))
    assert second.keys() == first.keys()
    assert (second["domain"], second["ports"]) == (HOSPITAL, running["ports"])
    assert set(running["addresses"]) == {each["address"] for each in second["accounts"]}
    assert {each["reason"] for each in second["refused"]} == {each["reason"] for each in first["refused"]}
    assert second["operators"][0]["domain"] == "demo.mssante.fr"
    assert not set(first["ports"].values()) & set(second["ports"].values())
    assert len({first["pid"], second["pid"], demo.process.pid}) == 3
    assert demo.told.count("ready\n") == 1


def test_both_ways(demo: DemoProcess) -> None:
    """People of both write to each other; who isn't there is told of by a report."""
    hospital = hospital_of(demo)
    anne = hospital.people()[0]
    here = Demo(demo.data)
    here.about = demo.description
    claire = here.people()[0]
    send(claire, anne.address, "there")
    send(anne, claire.address, "and back")
    until(lambda: idents(anne.imap(), "INBOX"))
    until(lambda: idents(claire.imap(), "INBOX"))
    send(anne, "luc.sansboite@demo.mssante.fr", "to nobody")
    until(lambda: len(idents(anne.imap(), "INBOX")) == 2)


def test_a_killed_operator_comes_back(tmp_path: Path) -> None:
    """One that dies is told of and started again, with what was sent to it; one told to stop stays down."""
    with DemoProcess(tmp_path / "data", "--federation", "2") as demo:
        hospital = hospital_of(demo)
        here = Demo(demo.data)
        here.about = demo.description
        pid = hospital.about["pid"]
        os.kill(pid, signal.SIGKILL)
        send(here.people()[0], hospital.people()[0].address, "while it was down")
        second = until(lambda: described(hospital.folder)["pid"] != pid and described(hospital.folder)["pid"])
        assert until(lambda: idents(hospital.people()[0].imap(), "INBOX"))
        assert f"{HOSPITAL}: process {pid} was ended by SIGKILL; started again" in demo.errors()
        os.kill(second, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{second}").exists())
        status, seconds = demo.stop()
        assert (status, seconds < 5) == (0, True)
        assert described(hospital.folder)["pid"] == second


def test_all_end_with_the_command(tmp_path: Path) -> None:
    """No operator outlives the command, though that be killed; the next start has the mail of all."""
    with DemoProcess(tmp_path / "data", "--federation", "2") as demo:
        hospital = hospital_of(demo)
        here = Demo(demo.data)
        here.about = demo.description
        send(here.people()[0], hospital.people()[0].address, "kept")
        until(lambda: idents(hospital.people()[0].imap(), "INBOX"))
        pids = [demo.description["pid"], hospital.about["pid"]]
        demo.stop(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    with DemoProcess(tmp_path / "data", "--federation", "2") as demo:
        hospital = hospital_of(demo)
        assert len(idents(hospital.people()[0].imap(), "INBOX")) == 1
        refused = subprocess.run(
            [*COMMAND, "demo", "--data", str(demo.data), "--port-base", "0", "--fresh"],
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert refused.returncode == 1
        assert load(hospital.folder / "mssmail.toml", environment={}).relay.routes[0].port == demo.port("smtp")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--federation", "1"), "--federation 1"),
        (("--federation", "10"), "--federation"),
        (("--federation", "3", "--port-base", "64000"), "66993"),
    ],
)
def test_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """What can't be is told, and nothing is made."""
    command = [*COMMAND, "demo", "--data", str(tmp_path / "data"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not (tmp_path / "data").exists()


def test_one_store_for_all_is_refused(tmp_path: Path) -> None:
    """Settings that would give all operators one database are refused: each has keys of its own."""
    overlay = tmp_path / "over.toml"
    overlay.write_text(f'[store]\ndatabase = "sqlite:///{tmp_path}/one.db"\n')
    command = [*COMMAND, "demo", "--data", str(tmp_path / "data"), "--port-base", "0", "--federation", "2"]
    ran = subprocess.run([*command, "--config", str(overlay)], capture_output=True, text=True, env=environment())
    assert ran.returncode == 2
    assert "store.database" in ran.stderr


def test_casts_are_distinct() -> None:
    """No two operators share a domain, a folder, a structure's certificate or a person of their own."""
    casts = [cast(number) for number in range(1, MOST + 1)]
    assert [each.domain for each in casts[:3]] == ["demo.mssante.fr", HOSPITAL, LABORATORY]
    for found in (
        [each.domain for each in casts],
        [each.name for each in casts],
        [each.structure.structure_id for each in casts],
        [a.holder.national_id for each in casts for a in each.accounts if a.holder is not None],
        [a.common_name for each in casts for a in each.accounts if a.common_name],
    ):
        assert len(set(found)) == len(found)
