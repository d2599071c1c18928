"""A screen without a monitor, and the hands before it: Xvfb, xdotool and ImageMagick's `import`.

Knows windows by their titles. Whoever uses it waits for what a window's title or the server says, never for a time.
"""

import os
import subprocess
from pathlib import Path
from typing import Self

from tests.interop.witness import until

SIZE = "1280x800"


class Screen:
    """A running X server of its own; a context manager that ends it."""

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "Xvfb found no display"
        self.environment = {**os.environ, "DISPLAY": f":{number}"}
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait(10)

    def _xdotool(self, *arguments: str) -> str:
        ran = subprocess.run(["xdotool", *arguments], capture_output=True, text=True, env=self.environment)
        return ran.stdout

    def windows(self, title: str) -> list[str]:
        """The visible windows whose title has that regular expression."""
        return self._xdotool("search", "--onlyvisible", "--name", title).split()

    def focus(self, title: str, seconds: float = 30) -> str:
        """Wait for a window of that title, and turn the keyboard to it; its number."""
        window = until(lambda: self.windows(title), f"a window {title!r}", seconds)[-1]
        self._xdotool("windowraise", window, "windowfocus", "--sync", window)
        return window

    def press(self, *keys: str) -> None:
        """Press keys, each by its name as `ctrl+Return`, in the window that has the focus."""
        self._xdotool("key", "--delay", "60", *keys)

    def type(self, text: str) -> None:
        """Type ASCII text into what has the focus."""
        self._xdotool("type", "--delay", "15", text)

    def click(self, x: int, y: int) -> None:
        """Click on that point of the screen."""
        self._xdotool("mousemove", str(x), str(y), "click", "1")

    def keep(self, file: Path) -> None:
        """Keep a picture of the whole screen."""
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["import", "-window", "root", str(file)], env=self.environment, check=True)
