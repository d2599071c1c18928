"""Workers that die: who is started again and when, and when all of it ends. This file is also the server under test."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mssmail import supervise
from mssmail.metrics import logs
from mssmail.servers.net.post import Post, Ready


async def dies_at_start(post: Post, ready: Ready, stop: asyncio.Event, reload: asyncio.Event) -> None:
    """One worker of the two is never ready."""
    if post.slot:
        raise OSError
    ready()
    await stop.wait()


async def dies_when_told(post: Post, ready: Ready, stop: asyncio.Event, reload: asyncio.Event) -> None:
    """Worker 1 is ready once, and dies at the first SIGHUP; whoever takes its place dies at once."""
    if post.slot and Path("died").exists():
        raise OSError
    ready()
    if post.slot:
        await reload.wait()
        Path("died").touch()
        raise OSError
    await stop.wait()


async def tells_orders(post: Post, ready: Ready, stop: asyncio.Event, reload: asyncio.Event) -> None:
    """Says when it is told to reload, each time."""

    async def tell() -> None:
        while True:
            await reload.wait()
            reload.clear()
            say(f"reload {post.slot}")

    telling = asyncio.create_task(tell())
    ready()
    await stop.wait()
    telling.cancel()


def say(line: str) -> None:
    """In one write, as several processes share the pipe."""
    os.write(1, line.encode() + b"\n")


def main(worker: str) -> None:
    logs.configure()
    try:
        supervise.run(
            globals()[worker],
            asyncio.run,
            workers=2,
            wanted=[],
            run_folder=Path("run"),
            on_ready=lambda _: say("ready"),
            on_worker_death=lambda slot: None,
            on_reload=lambda: say("reload"),
        )
    except supervise.NeverReady as error:
        say(str(error))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    begun: list[subprocess.Popen[str]] = []

    def started(worker: str) -> "subprocess.Popen[str]":
        code = f"import runpy; runpy.run_path({__file__!r})['main']({worker!r})"
        environment = {**os.environ, "PYTHONPATH": str(Path(supervise.__file__).parent.parent)}
        server = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(server)
        return server

    yield started
    for server in begun:
        server.kill()
        server.communicate()


def test_never_ready(start: Callable[[str], "subprocess.Popen[str]"]) -> None:
    """A worker that dies before the server was ready ends the server, which says so; none is forked again."""
    out, err = start("dies_at_start").communicate(timeout=20)
    assert out == "worker 1 died before the server was ready; the log says why\n"
    (line,) = [json.loads(line) for line in err.splitlines()]
    assert (line["event"], line["slot"], line["error"]) == ("worker failed", 1, "OSError")


def test_growing_pauses(start: Callable[[str], "subprocess.Popen[str]"]) -> None:
    """A worker that dies again and again is started again after 0.5 s, then 1 s, then 2 s; the other serves on."""
    server = start("dies_when_told")
    assert server.stdout is not None and server.stderr is not None
    assert server.stdout.readline() == "ready\n"
    server.send_signal(signal.SIGHUP)
    pauses: list[float] = []
    while len(pauses) < 3:
        line = json.loads(server.stderr.readline())
        pauses += [line["started_again_in_s"]] if line["event"] == "worker died" else []
    server.send_signal(signal.SIGTERM)
    assert server.wait(5) == 0
    assert pauses == [0.5, 1.0, 2.0]


def test_reload_reaches_every_worker(start: Callable[[str], "subprocess.Popen[str]"]) -> None:
    """SIGHUP to the supervisor is told to it and to each worker, and ends none."""
    server = start("tells_orders")
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    for _ in range(2):
        server.send_signal(signal.SIGHUP)
        assert {server.stdout.readline() for _ in range(3)} == {"reload\n", "reload 0\n", "reload 1\n"}
    server.kill()
