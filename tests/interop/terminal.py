"""A terminal of 120 columns for programs that won't run without one."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from threading import Thread


def run(command: list[str], environment: dict[str, str], seconds: float) -> tuple[int, bytes]:
    """Run it there until it ends; its exit status, and what it wrote on the screen.

    Raises subprocess.TimeoutExpired where it doesn't end by itself, having killed it.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    written = bytearray()

    def drain() -> None:
        while True:
            try:
                octets = os.read(ours, 4096)
            except OSError:  # the other side has closed
                return
            written.extend(octets)

    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env={**environment, "TERM": "xterm"}, start_new_session=True
    )
    os.close(its)
    reader = Thread(target=drain)
    reader.start()
    try:
        status = process.wait(seconds)
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(ours)
    return status, bytes(written)
