"""A local service in a process of its own, with answers that show what a call may and may not do; and raw callers."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.others import environment

_SERVE = """
import os, sys, threading
from pathlib import Path
from mssmail.servers.net import local

def answer(call):
    what, *rest = call.arguments
    if what in ("who", "account"):
        print(call.uid, call.user)
    elif what == "say":
        print("to output"); print("to errors", file=sys.stderr)
    elif what == "cat":
        sys.stdout.write(sys.stdin.read())
    elif what == "files":
        for fd in call.files:
            sys.stdout.write(os.read(fd, 1000).decode())
    elif what == "wait":
        call.folder.mkdir()
        print(os.getpid(), call.folder, flush=True)
        threading.Event().wait()
    elif what == "terminal":
        try:
            os.open("/dev/tty", os.O_RDWR)
        except OSError as error:
            print(error.strerror)
    elif what == "open":
        print(*sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1])
    elif what == "environment":
        print(os.environ.get("MINE"), os.getcwd())
    elif what == "fail":
        raise ValueError("broken")
    return int(rest[0]) if rest and what == "say" else 0

folder = Path(sys.argv[1])
local.REQUEST_S = 0.5
service = local.LocalService(local.listening_at(folder / "admin.sock", sys.argv[2]), folder, answer)
print("ready", flush=True)
service.live(0)
"""


class Counter:
    """A running service; a context manager that ends it as its server's end would."""

    def __init__(self, folder: Path, group: str = "") -> None:
        self.folder = folder
        self.path = folder / "admin.sock"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(folder), group],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment({"MINE": "the server's"}),
            cwd="/",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(10)
        made.connect(str(self.path))
        return made

    def ask(self, octets: bytes, descriptors: Sequence[int]) -> bytes:
        """Send octets with descriptors as they are; the whole answer."""
        with self.connected() as made:
            if octets:
                try:
                    socket.send_fds(made, [octets], descriptors)
                except BrokenPipeError:
                    pass
            return answer(made)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    found = b""
    try:
        while more := connection.recv(4096):
            found += more
    except ConnectionResetError:
        pass
    return found


def framed(*arguments: str) -> bytes:
    """A call's octets."""
    body = b"".join(argument.encode() + b"\0" for argument in arguments)
    return struct.pack(">I", len(body)) + body


class Caller:
    """A call under way, its output in a pipe."""

    def __init__(self, counter: Counter, *arguments: str) -> None:
        read, write = os.pipe()
        self.connection = counter.connected()
        null = os.open(os.devnull, os.O_RDWR)
        socket.send_fds(self.connection, [framed(*arguments)], [null, write, null])
        os.close(write)
        os.close(null)
        self.output = os.fdopen(read)

    def hang_up(self) -> None:
        self.connection.close()

    def close(self) -> None:
        self.connection.close()
        self.output.close()
