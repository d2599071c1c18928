"""The README's second example does what it says: its blocks are taken from the page and run, a federation answering."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, environment

pytestmark = pytest.mark.interop
ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r'^```sh title="([^"]+)"\n(.*?)^```$', re.M | re.S)
BLOCKS: dict[str, str] = dict(_BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
STEPS = ("settings", "ask", "trace", "answer", "read")


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[DemoProcess]:
    """Three operators, of which the page's hospital and laboratory are two."""
    with DemoProcess(tmp_path / "data", "--federation", "3") as running:
        yield running
        _, seconds = running.stop()
        assert seconds < 5
        assert running.errors() == ""


def patient(step: str) -> str:
    """A block, again until it tells of what a person, who types more slowly, would find done."""
    awaited = {"trace": "delivered", "read": "Demande"}.get(step)
    if awaited is None:
        return BLOCKS[step]
    return f'until said=$({BLOCKS[step].rstrip()}) && [[ $said == *{awaited}* ]]; do sleep 0.1; done; echo "$said"\n'


def test_hospital_and_laboratory(federation: DemoProcess, tmp_path: Path) -> None:
    """Each reads what the other wrote, and the hospital sees where its message went."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(federation.data)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "mssmail").symlink_to(Path(sys.executable).with_name("mssmail"))
    script = "set -eu\n" + "".join(f"echo '--- {step}'\n{patient(step)}" for step in STEPS)
    for number, operator in enumerate(federation.description["operators"], 1):
        for offset, name in ((465, "submissions"), (993, "imaps")):
            script = script.replace(f":{20_000 + 1_000 * number + offset}", f":{operator['ports'][name]}")
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=90, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said = dict(zip(STEPS, re.split(r"^--- \w+\n", ran.stdout, flags=re.M)[1:], strict=True))
    assert "delivered" in said["trace"]
    assert "CN=smtp.laboratoire-demo.mssante.fr" in said["trace"]
    assert "La troponine de ce matin, s'il vous plaît." in said["answer"]
    assert "12 ng/L." in said["read"]


def test_every_block_is_run() -> None:
    """Each titled block of the page is a step of the example."""
    assert tuple(BLOCKS) == STEPS
