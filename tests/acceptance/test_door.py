"""The door under attack, over real sockets: one code for twenty, answers that tell nothing, and a flood of guesses.

The slow ones measure, and print what they found: `pytest -s -m slow tests/acceptance/test_door.py`.
"""

import asyncio
import base64
import contextlib
import json
import os
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.demos import Demo, Person

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"
GUESSES = 10_000
GUESSES_PER_S = 100
"""As steady as many strangers are who know nothing of each other; in waves, handshakes alone would fill the core."""
SAMPLES = 300
NOTICED_S = 0.05
"""A wait that nobody notices: attacker, server and client share this machine's cores here, which no attacker does."""


def sign_in(demo: Demo, login: str, secret: str, client: str = HERE) -> tuple[str, float]:
    """One sign-in over IMAP from an address; the tagged answer, and the seconds from TCP's begin until it came."""
    return asyncio.run(_sign_in(demo.context(), demo.about["ports"]["imaps"], login, secret, client))


async def _sign_in(
    context: ssl.SSLContext, port: int, login: str | None, secret: str, client: str
) -> tuple[str, float]:
    """`login` None: by the certificate that the context shows."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost", local_addr=(client, 0)
    )
    try:
        await reader.readline()
        plain = "=" if login is None else base64.b64encode(f"\0{login}\0{secret}".encode()).decode()
        writer.write(f"a AUTHENTICATE {'EXTERNAL' if login is None else 'PLAIN'} {plain}\r\n".encode())
        answer = (await asyncio.wait_for(reader.readline(), 60)).decode()
        return answer.strip(), time.monotonic() - began
    finally:
        writer.transport.abort()


def grants(demo: Demo, person: Person) -> list[tuple[str, int]]:
    """The client and the number of codes of each of somebody's grants."""
    said = demo.run("grant", "list", person.address, "--json").stdout
    return [(g["client"], g["codes"]) for g in json.loads(said)]


def test_one_code(tmp_path: Path) -> None:
    """Twenty uses of one code at once open one grant, over two workers; nobody gets in by it from elsewhere, by no
    worker, and after a restart neither."""
    demo = Demo(tmp_path / "demo", "--workers", "2").start()
    try:
        claire = demo.account("claire.martin")
        with ThreadPoolExecutor(20) as crowd:
            told = list(crowd.map(lambda _: sign_in(demo, claire.address, claire.secret)[0], range(20)))
        assert {answer.split()[1] for answer in told} == {"OK"}
        assert grants(demo, claire) == [(HERE, 1)]
        for restarted in (False, True):
            if restarted:
                demo.stop()
                demo.start()
            for _ in range(3):
                assert sign_in(demo, claire.address, claire.secret)[0].startswith("a OK")
                assert sign_in(demo, claire.address, claire.secret, ELSEWHERE)[0].startswith("a NO")
        assert grants(demo, claire) == [(HERE, 1)]
    finally:
        demo.stop()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "demo", "--accounts", str(SAMPLES)).start()
    yield demo
    demo.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_answers_tell_nothing(crowded: Demo) -> None:
    """Unknown login, wrong password and wrong code are answered alike: in the same words, and in the same time."""
    people = [p for p in crowded.people() if p.row.get("password")]
    kinds = ("unknown login", "wrong password", "wrong code")
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    said: set[str] = set()
    for number in range(SAMPLES // 2):
        first, second = people[2 * number], people[2 * number + 1]
        tries = (
            (f"nobody{number}@demo.mssante.fr", "faux-Tulipe7-Quai3-ocre123456"),
            (first.address, "faux-Tulipe7-Quai3-ocre123456"),
            (second.address, str(second.row["password"]) + "000000"),
        )
        for which, (kind, (login, secret)) in enumerate(zip(kinds, tries, strict=True)):
            client = f"127.{20 + which}.{number // 250}.{number % 250 + 1}"
            answer, seconds = sign_in(crowded, login, secret, client)
            said.add(answer)
            took[kind].append(seconds)
    medians = {kind: statistics.median(seconds) for kind, seconds in took.items()}
    print("\n" + "\n".join(f"{kind}: median {1000 * median:.1f} ms" for kind, median in medians.items()))
    assert len(said) == 1
    spread = max(medians.values()) - min(medians.values())
    assert spread <= min(0.005, 0.1 * min(medians.values()))


async def _flood(port: int, ca: str, logins: list[str]) -> None:
    """Guess, from an address for each guess, half of all at the first login; runs in a process of its own."""
    context = ssl.create_default_context(cafile=ca)

    async def guess(n: int) -> None:
        login = logins[0] if n % 2 else logins[1 + n // 2 % (len(logins) - 1)]
        client = f"127.{60 + n // 62_500}.{n // 250 % 250}.{n % 250 + 1}"
        await asyncio.sleep(n / GUESSES_PER_S)
        with contextlib.suppress(OSError, TimeoutError):
            await _sign_in(context, port, login, f"faux-{n}-Quai3-ocre123456", client)

    await asyncio.gather(*map(guess, range(GUESSES)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_flood(crowded: Demo) -> None:
    """10,000 wrong passwords from 10,000 addresses leave the owner's certificate and everybody's grants good; those
    who sign in meanwhile wait less than twice as long as they do in peace, or not noticeably."""
    claire, *others = [p for p in crowded.people() if p.row.get("password")]
    someone, busy = others[0], os.getloadavg()[0]
    port, plain, card = crowded.about["ports"]["imaps"], crowded.context(), claire.certificate_context()

    def sample(count: int) -> list[float]:
        found = []
        for _ in range(count):
            answer, seconds = asyncio.run(_sign_in(plain, port, someone.address, someone.secret, HERE))
            assert answer.startswith("a OK"), answer
            found.append(seconds)
        return found

    def p99(seconds: list[float]) -> float:
        return statistics.quantiles(seconds, n=100)[98]

    sample(20)
    idle = p99(sample(SAMPLES))
    attack = f"""
import asyncio, json, sys
from tests.acceptance.test_door import _flood
asyncio.run(_flood({port}, {crowded.about["ca"]!r}, json.loads(sys.stdin.read())))
"""
    root = Path(__file__).parents[2]
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", attack], stdin=subprocess.PIPE, cwd=root, text=True) as attacker:
        assert attacker.stdin is not None
        attacker.stdin.write(json.dumps([claire.address, *(p.address for p in others[1:]), "nobody@demo.mssante.fr"]))
        attacker.stdin.close()
        time.sleep(3)
        meanwhile, cards = [], []
        while attacker.poll() is None:
            meanwhile += sample(10)
            answer, seconds = asyncio.run(_sign_in(card, port, None, "", HERE))
            assert answer.startswith("a OK"), answer
            cards.append(seconds)
    rate = GUESSES / (time.monotonic() - began)
    print(f"\n{rate:.0f} guesses/s; sign-in in a grant p99 {1000 * idle:.1f} ms idle, {1000 * p99(meanwhile):.1f} ms")
    print(f"owner's certificate: median {1000 * statistics.median(cards):.1f} ms, longest {1000 * max(cards):.1f} ms")
    assert json.loads(crowded.run("ban", "list", "--json").stdout)
    if busy > 1:
        pytest.skip(f"{busy:.1f} others ran beside it: how long anybody waits says nothing of the server")
    assert p99(meanwhile) < max(2 * idle, NOTICED_S)
